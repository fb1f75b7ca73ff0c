"""The tally as one page: the three answers beside the paper's, the prompts, the raters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ..metrics.bootstrap import percent
from ..reports.html import render
from ..reports.svg_plots import CLIP, LINE, MUTED, svg
from .questions import QUESTIONS
from .tally_markdown import agreement, between, sides, summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TEMPLATE = Path(__file__).parent / "templates" / "tally.html.j2"


def tally_page(tally: Mapping[str, Any]) -> str:
    """The whole page; tally: the figures of tally.json."""
    first, second = tally["methods"]
    return render(
        TEMPLATE,
        title=f"{first} or {second}?",
        today=date.today().isoformat(),
        lede=_lede(tally["questions"]["all"]["share"], first, second),
        tally=tally,
        questions=QUESTIONS,
        agreements={question.id: agreement(tally["questions"][question.id]["alpha"]) for question in QUESTIONS},
        plot=Markup(_plot([tally["questions"][question.id]["share"] for question in QUESTIONS])),
        sides=sides(tally),
        summary=summary(tally),
    )


def _lede(share: Mapping[str, float], first: str, second: str) -> str:
    if share["low"] <= 0.5 <= share["high"]:
        return f"Over all three questions, raters do not clearly prefer either ({between(share, 2)} for {first})."
    winner, mean = (first, share["mean"]) if share["mean"] > 0.5 else (second, 1 - share["mean"])
    return f"Over all three questions, raters choose {winner} in {percent(mean)} of the votes."


def _plot(shares: list[Mapping[str, float]]) -> str:
    """Shares with their intervals, one line for each question, beside the paper's."""
    places = list(range(len(QUESTIONS), 0, -1))

    def draw(axes: Axes) -> None:
        axes.grid(visible=False, axis="y")
        axes.grid(axis="x", color=LINE, linewidth=0.8)
        axes.axvline(0.5, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
        lows, highs = ([share[end] for share in shares] for end in ("low", "high"))
        axes.hlines(places, lows, highs, color=CLIP, linewidth=3, alpha=0.45)
        axes.plot([share["mean"] for share in shares], places, "o", color=CLIP, markersize=8)
        papers = [question.paper for question in QUESTIONS]
        axes.plot(papers, places, "D", markerfacecolor="none", markeredgecolor=MUTED, markersize=7)
        axes.set_yticks(places, [question.short for question in QUESTIONS])
        axes.set_ylim(0.5, len(QUESTIONS) + 0.5)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])

    return svg(draw, (5.6, 1.7), "Shares of votes with their intervals, beside the paper's")
