"""What the paper claims, tried on the figures of an evaluation: each claim with what was found and what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ACD_SHARE = 0.6
"""ACD of LGA over MoCoGAN-HD's; 0.258 over 0.451 in the paper (Table I)."""
FASTER = 100
"""Times that a clip of StyleCLIP's takes longer, at least."""


@dataclass(frozen=True)
class Claim:
    """`met` is None where it could not be tried, and `found` says why."""

    claim: str
    found: str
    needed: str
    met: bool | None


def claims(told: Mapping[str, Any]) -> list[Claim]:
    """Of LGA against StyleCLIP's interpolation and MoCoGAN-HD's motion, as far as they were run."""
    methods = told["methods"]
    return [_content(methods), _pictures(methods), _words(methods), _time(methods)]


def _content(methods: Mapping[str, Any]) -> Claim:
    claim = "LGA keeps the person better than MoCoGAN-HD, when both move as much (ACD)"
    needed = f"at most {ACD_SHARE} of its ACD"
    if (lacks := _lacks(methods, "lga", "mocogan-equal")) is not None:
        return Claim(claim, lacks, needed, None)
    ours, theirs = _mean(methods, "lga", "acd"), _mean(methods, "mocogan-equal", "acd")
    told = f"{_shown(methods, 'lga', 'acd')} / {_shown(methods, 'mocogan-equal', 'acd')} = {ours / theirs:.2f}"
    return Claim(claim, told, needed, ours <= ACD_SHARE * theirs)


def _pictures(methods: Mapping[str, Any]) -> Claim:
    claim, needed = "LGA's frames are closer to real pictures than StyleCLIP's (FID)", "below"
    if (lacks := _lacks(methods, "lga", "styleclip")) is not None:
        return Claim(claim, lacks, needed, None)
    if "fid" not in methods["lga"]["means"]:
        return Claim(claim, "no network to take features with", needed, None)
    return _compared(methods, claim, "fid", needed, below=True)


def _words(methods: Mapping[str, Any]) -> Claim:
    claim, needed = "LGA does what the words say more often than StyleCLIP (the judge's first choice)", "above"
    if (lacks := _lacks(methods, "lga", "styleclip")) is not None:
        return Claim(claim, lacks, needed, None)
    if "judge_top1" not in methods["lga"]["means"]:
        return Claim(claim, "no judge compares expressions of this domain", needed, None)
    return _compared(methods, claim, "judge_top1", needed, below=False)


def _time(methods: Mapping[str, Any]) -> Claim:
    claim, needed = "It takes a hundredth of StyleCLIP's time", f"{FASTER} times as fast"
    if (lacks := _lacks(methods, "lga", "styleclip")) is not None:
        return Claim(claim, lacks, needed, None)
    found, whole = (
        sum(_mean(methods, "styleclip", each) for each in parts) / sum(_mean(methods, "lga", each) for each in parts)
        for parts in (("seconds",), ("seconds", "drawing_seconds"))
    )
    told = f"{found:.0f} times from words to motion, {whole:.0f} times from words to pictures"
    return Claim(claim, told, needed, whole >= FASTER)


def _compared(methods: Mapping[str, Any], claim: str, figure: str, needed: str, below: bool) -> Claim:
    ours, theirs = _mean(methods, "lga", figure), _mean(methods, "styleclip", figure)
    told = f"{_shown(methods, 'lga', figure)} and {_shown(methods, 'styleclip', figure)}"
    return Claim(claim, told, needed, ours < theirs if below else ours > theirs)


def _shown(methods: Mapping[str, Any], name: str, figure: str) -> str:
    found = methods[name]["means"][figure]
    return f"{found['mean']:.3g} ({found['low']:.3g} to {found['high']:.3g})"


def _lacks(methods: Mapping[str, Any], *names: str) -> str | None:
    absent = [name for name in names if name not in methods]
    return f"{absent[0].removesuffix('-equal')} was not run" if absent else None


def _mean(methods: Mapping[str, Any], name: str, figure: str) -> float:
    return methods[name]["means"][figure]["mean"]
