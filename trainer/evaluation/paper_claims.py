"""What the paper claims, tried on the figures of an evaluation: each claim with what was found and what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .registry import ABLATION

ACD_SHARE = 0.6
"""ACD of LGA over MoCoGAN-HD's; 0.258 over 0.451 in the paper (Table I)."""
FASTER = 100
"""Times that a clip of StyleCLIP's takes longer, at least."""

WHOLE = "paper"
"""The preset with everything in it."""
CALLED = {"judge_rise": "does what the words say, rising", "first_step_share": "first step's share, rising"}


@dataclass(frozen=True)
class Claim:
    """`met` is None where it could not be tried, and `found` says why."""

    claim: str
    found: str
    needed: str
    met: bool | None


def claims(told: Mapping[str, Any]) -> list[Claim]:
    """Of LGA against StyleCLIP's interpolation and MoCoGAN-HD's motion, and of the paper's settings against ablations
    that are called as the trainer's presets are; as far as they were run."""
    methods = told["methods"]
    return [
        _content(methods, "mocogan-equal", "when both move as much"),
        _content(methods, "mocogan", "each at its own strength, as in Table I"),
        _pictures(methods),
        _words(methods),
        _time(methods),
        *_ablations(methods),
    ]


def _content(methods: Mapping[str, Any], theirs: str, how: str) -> Claim:
    claim = f"LGA keeps the person better than MoCoGAN-HD, {how} (ACD)"
    needed = f"at most {ACD_SHARE} of its ACD"
    if (lacks := _lacks(methods, "lga", theirs)) is not None:
        return Claim(claim, lacks, needed, None)
    ratio = _mean(methods, "lga", "acd") / _mean(methods, theirs, "acd")
    told = f"{_shown(methods, 'lga', 'acd')} / {_shown(methods, theirs, 'acd')} = {ratio:.2f}"
    return Claim(claim, told, needed, ratio <= ACD_SHARE)


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


def _ablations(methods: Mapping[str, Any]) -> list[Claim]:
    """Fig. 5, where the paper's own settings were trained beside what it leaves out."""
    tried = [
        ("Contrast makes words matter (Fig. 5a)", "judge_rise", ("no-contrastive", WHOLE)),
        ("A larger batch, more words that come true (Fig. 5b to d)", "judge_rise", ("batch-2", WHOLE, "batch-8")),
        ("The path term evens out the pace (Fig. 5e)", "first_step_share", (WHOLE, "no-path")),
        ("Second differences even it out more than first ones (Fig. 5f)", "first_step_share", (WHOLE, "first-order")),
    ]
    found = []
    for claim, figure, order in tried:
        names = [ABLATION + name for name in order]
        if all(name in methods and figure in methods[name]["means"] for name in names):
            means = [_mean(methods, name, figure) for name in names]
            shown = ", ".join(f"{name}: {_shown(methods, ABLATION + name, figure)}" for name in order)
            met = all(less < more for less, more in pairwise(means))
            found.append(Claim(claim, shown, f"{CALLED[figure]} in this order", met))
    return found


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
