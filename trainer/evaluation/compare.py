"""`lga compare A B`: what got better and what got worse between two evaluations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lga_core import InputError

from .results import FIGURES, LOWER_IS_BETTER

NEUTRAL = frozenset(("magnitude", "first_step_share"))
"""Figures of which neither more nor less is better."""
SECONDS = frozenset(("seconds", "processor_seconds", "drawing_seconds"))
"""Figures of the machine as much as of the method: told, never held against it."""


@dataclass(frozen=True)
class Change:
    """One figure of one method in both. `verdict`: better, worse, or the same as far as the intervals tell."""

    method: str
    figure: str
    before: float
    after: float
    verdict: str


def compare(a: Path, b: Path) -> list[Change]:
    """Every figure that both have. Raises InputError where one is no evaluation, or they are not alike."""
    before, after = read_results(a), read_results(b)
    for name in ("domain", "num_prompts"):
        if before.get(name) != after.get(name):
            raise InputError(
                f"{a} and {b} differ in their {name.replace('_', ' ')} ({before.get(name)} and {after.get(name)}). "
                "Compare evaluations of one domain with the same prompts."
            )
    return list(_changes(before["methods"], after["methods"]))


def read_results(path: Path) -> dict[str, Any]:
    """An evaluation's results, from its folder or its results.json. Raises InputError."""
    file = path / "results.json" if path.is_dir() else path
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except OSError as err:
        raise InputError(f"{file} cannot be read ({err.strerror}). Give the folder of an evaluation.") from err
    except ValueError as err:
        raise InputError(f"{file} is not JSON ({err}). Give the folder of an evaluation.") from err
    if not isinstance(told, dict) or not isinstance(told.get("methods"), dict):
        raise InputError(f"{file} holds no evaluation's results: it has no methods.")
    return told


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for method in before:
        if method not in after:
            continue
        for figure in FIGURES:
            old, new = (each[method]["means"].get(figure) for each in (before, after))
            if old is not None and new is not None:
                yield _change(method, figure, old, new)


def _change(method: str, figure: str, old: Mapping[str, float], new: Mapping[str, float]) -> Change:
    apart = new["low"] > old["high"] or new["high"] < old["low"]
    if not apart or figure in NEUTRAL | SECONDS:
        verdict = "same" if not apart else "other"
    else:
        grew = new["mean"] > old["mean"]
        verdict = "worse" if grew == (figure in LOWER_IS_BETTER) else "better"
    return Change(method, figure, old["mean"], new["mean"], verdict)


def shown(changes: list[Change]) -> str:
    """A table in Markdown, what got worse first, and a sentence."""
    order = {"worse": 0, "better": 1, "other": 2, "same": 3}
    ordered = sorted(changes, key=lambda change: order[change.verdict])
    lines = ["| method | figure | before | after | |", "|---|---|---|---|---|"]
    lines += [f"| {c.method} | {c.figure} | {c.before:.4g} | {c.after:.4g} | {c.verdict} |" for c in ordered]
    worse = [f"{change.method}'s {change.figure}" for change in ordered if change.verdict == "worse"]
    said = f"Worse: {', '.join(worse)}." if worse else "Nothing got worse."
    return "\n".join([*lines, "", said])
