"""The paper's claims, tested on the results of an evaluation: each with its result and what it needs to hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .registry import ABLATION

ACD_SHARE = 0.6
"""Largest ACD of LGA relative to MoCoGAN-HD's; 0.258 / 0.451 in the paper (Table I)."""
FASTER = 100
"""Smallest ratio of StyleCLIP's time for a clip to LGA's."""
COMPLETE = "paper"
"""The training preset with all losses."""
RISING = {"judge_rise": "expression increases, rising", "first_step_share": "first-step share, rising"}

Methods = Mapping[str, Any]
"""The methods of results.json by name."""


@dataclass(frozen=True)
class Claim:
    """A claim with its result. `met` is None if it could not be tested; `found` then says why."""

    claim: str
    found: str
    needed: str
    met: bool | None


def claims(methods: Methods) -> list[Claim]:
    """LGA against StyleCLIP's interpolation and MoCoGAN-HD's motion, and the paper's settings against ablations.

    Ablations are recognised by the name of their training preset; only those that were run are tested.
    """
    return [
        _identity(methods, "mocogan-equal", "at equal motion magnitude"),
        _identity(methods, "mocogan", "each at its own strength, as in Table I"),
        _image_quality(methods),
        _text_alignment(methods),
        _speed(methods),
        *_ablations(methods),
    ]


def _identity(methods: Methods, baseline: str, condition: str) -> Claim:
    claim = f"LGA preserves identity better than MoCoGAN-HD, {condition} (ACD)"
    needed = f"at most {ACD_SHARE} of its ACD"
    if (reason := _untested(methods, baseline)) is not None:
        return Claim(claim, reason, needed, None)
    ratio = _mean(methods, "lga", "acd") / _mean(methods, baseline, "acd")
    found = f"{_interval(methods, 'lga', 'acd')} / {_interval(methods, baseline, 'acd')} = {ratio:.2f}"
    return Claim(claim, found, needed, ratio <= ACD_SHARE)


def _image_quality(methods: Methods) -> Claim:
    claim, needed = "LGA's frames are closer to real images than StyleCLIP's (FID)", "lower FID"
    reason = _untested(methods, "styleclip", "fid", "no network provides features for FID")
    return _against_styleclip(methods, claim, "fid", needed, reason, lower=True)


def _text_alignment(methods: Methods) -> Claim:
    claim, needed = "LGA shows the prompt's expression more often than StyleCLIP (judge top-1)", "higher top-1"
    reason = _untested(methods, "styleclip", "judge_top1", "no judge ranks expressions of this domain")
    return _against_styleclip(methods, claim, "judge_top1", needed, reason, lower=False)


def _against_styleclip(
    methods: Methods, claim: str, metric: str, needed: str, reason: str | None, lower: bool
) -> Claim:
    if reason is not None:
        return Claim(claim, reason, needed, None)
    ours, theirs = _mean(methods, "lga", metric), _mean(methods, "styleclip", metric)
    found = f"{_interval(methods, 'lga', metric)} and {_interval(methods, 'styleclip', metric)}"
    return Claim(claim, found, needed, ours < theirs if lower else ours > theirs)


def _speed(methods: Methods) -> Claim:
    claim, needed = "LGA takes a hundredth of StyleCLIP's time", f"at least {FASTER} times as fast"
    if (reason := _untested(methods, "styleclip")) is not None:
        return Claim(claim, reason, needed, None)
    motion, frames = (
        sum(_mean(methods, "styleclip", each) for each in parts) / sum(_mean(methods, "lga", each) for each in parts)
        for parts in (("seconds",), ("seconds", "drawing_seconds"))
    )
    found = f"{motion:.0f} times as fast from text to motion, {frames:.0f} times from text to frames"
    return Claim(claim, found, needed, frames >= FASTER)


def _ablations(methods: Methods) -> list[Claim]:
    """Fig. 5: the paper's own settings beside trainings without one of them."""
    tested = [
        ("The contrastive loss makes the motion follow the text (Fig. 5a)", "judge_rise", ("no-contrastive", COMPLETE)),
        ("Larger batches follow the text better (Fig. 5b to d)", "judge_rise", ("batch-2", COMPLETE, "batch-8")),
        ("The smoothness loss makes the speed uniform (Fig. 5e)", "first_step_share", (COMPLETE, "no-path")),
        ("Second differences do so more than first ones (Fig. 5f)", "first_step_share", (COMPLETE, "first-order")),
    ]
    found = []
    for claim, metric, order in tested:
        names = [ABLATION + name for name in order]
        if all(name in methods and metric in methods[name]["means"] for name in names):
            means = [_mean(methods, name, metric) for name in names]
            shown = ", ".join(f"{name}: {_interval(methods, ABLATION + name, metric)}" for name in order)
            met = all(less < more for less, more in pairwise(means))
            found.append(Claim(claim, shown, f"{RISING[metric]} in this order", met))
    return found


def _untested(methods: Methods, baseline: str, metric: str | None = None, without: str = "") -> str | None:
    """Why LGA cannot be compared with this baseline, and `without` where LGA lacks the metric; None if it can."""
    absent = [name for name in ("lga", baseline) if name not in methods]
    if absent:
        return f"{absent[0].removesuffix('-equal')} was not run"
    return without if metric is not None and metric not in methods["lga"]["means"] else None


def _interval(methods: Methods, name: str, metric: str) -> str:
    found = methods[name]["means"][metric]
    return f"{found['mean']:.3g} ({found['low']:.3g} to {found['high']:.3g})"


def _mean(methods: Methods, name: str, metric: str) -> float:
    return methods[name]["means"][metric]["mean"]
