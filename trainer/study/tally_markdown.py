"""A tally as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..metrics.bootstrap import percent
from .questions import QUESTIONS, spoken


def markdown(found: Mapping[str, Any]) -> str:
    """The preferences beside the paper's, the results by prompt, and the excluded files."""
    first, second = found["methods"]
    lines = [
        f"| question | {first} | {second} | 95 % interval of {first} | votes | agreement (alpha) | in the paper |",
        "|---|---|---|---|---|---|---|",
    ]
    for question in QUESTIONS:
        row = found["questions"][question.id]
        cell = row["share"]
        lines.append(
            f"| {question.text} | {cell['mean']:.3f} | {1 - cell['mean']:.3f} | {between(cell)} | {cell['votes']} | "
            f"{agreement(row['alpha'])} | {question.paper:.3f} |"
        )
    cell = found["questions"]["all"]["share"]
    lines.append(f"| all three | {cell['mean']:.3f} | {1 - cell['mean']:.3f} | {between(cell)} | {cell['votes']} | | |")
    lines += ["", f"{summary(found)} {sides(found)}", "", f"| prompt: share of {first} |"]
    lines[-1] += "".join(f" {question.short} |" for question in QUESTIONS) + " votes on each |"
    lines.append("|---" * (len(QUESTIONS) + 2) + "|")
    for prompt, cells in found["prompts"].items():
        shares = [f"{cells[question.id]['mean']:.2f} ({between(cells[question.id], 2)})" for question in QUESTIONS]
        lines.append(f"| {spoken(prompt)} | {' | '.join(shares)} | {cells[QUESTIONS[0].id]['votes']} |")
    if found["left_out"]:
        lines += ["", "Excluded files:"] + [f"- {row['why']}" for row in found["left_out"]]
    return "\n".join(lines) + "\n"


def between(cell: Mapping[str, float], digits: int = 3) -> str:
    return f"{cell['low']:.{digits}f} to {cell['high']:.{digits}f}"


def agreement(alpha: Mapping[str, float] | None) -> str:
    """Krippendorff's alpha as text; a dash if each pair has one vote, or all votes are the same."""
    return "–" if alpha is None else f"{alpha['mean']:.2f} ({between(alpha, 2)})".replace("-0.00", "0.00")


def summary(found: Mapping[str, Any]) -> str:
    raters, votes = len(found["raters"]), found["votes_per_pair"]
    span = f"{votes['least']}" if votes["least"] == votes["most"] else f"{votes['least']} to {votes['most']}"
    people = f"{raters} rater{'s' if raters > 1 else ''}"
    return f"{people}, {found['pairs']} pairs, {found['each']} seen by each rater: {span} votes per pair and question."


def sides(found: Mapping[str, Any]) -> str:
    """Whether raters preferred a side, as a sentence."""
    cell = found["left"]
    biased = not cell["low"] <= 0.5 <= cell["high"]
    said = "raters preferred a side" if biased else "no preference for a side"
    return f"The left clip was chosen in {percent(cell['mean'])} of the votes ({between(cell, 2)}): {said}."
