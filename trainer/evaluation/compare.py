"""`lga compare A B`: which metrics improved and which got worse between two evaluations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lga_core import InputError

from .results import LOWER_IS_BETTER, METRICS

NEUTRAL = frozenset(("magnitude", "first_step_share"))
"""Metrics of which neither a higher nor a lower value is better."""
SECONDS = frozenset(("seconds", "processor_seconds", "drawing_seconds"))
"""Metrics of the machine as much as of the method: shown, but neither better nor worse."""


@dataclass(frozen=True)
class Change:
    """One metric of one method. `verdict`: better or worse; same where the intervals overlap; other where unrated."""

    method: str
    metric: str
    before: float
    after: float
    verdict: str


def compare(a: Path, b: Path) -> list[Change]:
    """Every metric that both have. Raises InputError if one is not an evaluation, or domains or prompts differ."""
    before, after = read_results(a), read_results(b)
    for name in ("domain", "num_prompts"):
        if before.get(name) != after.get(name):
            raise InputError(
                f"{a} and {b} differ in their {name.replace('_', ' ')} ({before.get(name)} and {after.get(name)}). "
                "Compare evaluations of the same domain and prompts."
            )
    return list(_changes(before["methods"], after["methods"]))


def read_results(path: Path) -> dict[str, Any]:
    """An evaluation's results, from its folder or its results.json. Raises InputError."""
    file = path / "results.json" if path.is_dir() else path
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
    except OSError as err:
        raise InputError(f"{file} cannot be read ({err.strerror}). Give the folder of an evaluation.") from err
    except ValueError as err:
        raise InputError(f"{file} is not JSON ({err}). Give the folder of an evaluation.") from err
    if not isinstance(results, dict) or not isinstance(results.get("methods"), dict):
        raise InputError(
            f"{file} is not the results of an evaluation: it has no methods. Give the folder of an evaluation."
        )
    return results


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for method in before:
        if method not in after:
            continue
        for metric in METRICS:
            old, new = (each[method]["means"].get(metric) for each in (before, after))
            if old is not None and new is not None:
                yield _change(method, metric, old, new)


def _change(method: str, metric: str, old: Mapping[str, float], new: Mapping[str, float]) -> Change:
    apart = new["low"] > old["high"] or new["high"] < old["low"]
    if not apart or metric in NEUTRAL | SECONDS:
        verdict = "same" if not apart else "other"
    else:
        grew = new["mean"] > old["mean"]
        verdict = "worse" if grew == (metric in LOWER_IS_BETTER) else "better"
    return Change(method, metric, old["mean"], new["mean"], verdict)


def markdown(changes: Sequence[Change]) -> str:
    """A table, worse metrics first, and a summary."""
    order = {"worse": 0, "better": 1, "other": 2, "same": 3}
    ordered = sorted(changes, key=lambda change: order[change.verdict])
    lines = ["| method | metric | before | after | |", "|---|---|---|---|---|"]
    lines += [f"| {c.method} | {c.metric} | {c.before:.4g} | {c.after:.4g} | {c.verdict} |" for c in ordered]
    worse = [f"{change.method}'s {change.metric}" for change in ordered if change.verdict == "worse"]
    summary = f"Worse: {', '.join(worse)}." if worse else "Nothing got worse."
    return "\n".join([*lines, "", summary])
