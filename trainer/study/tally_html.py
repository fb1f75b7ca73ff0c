"""A tally as one page: the three answers beside the paper's, word by word, and who answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from ..metrics.bootstrap import percent
from ..reports.html import bar, card, definitions, escape, figure, page, section, table
from ..reports.svg_plots import CLIP, LINE, MUTED, svg
from .questions import QUESTIONS, spoken
from .tally_markdown import agreement, between, sides, summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TERMS = {
    "Share": "Of all votes on a question, those for this method. Raters had to choose, so the two shares add up to 1.",
    "95 % interval": "Where the share would lie with other pairs and other raters of the same kind: both are drawn "
    "again, 2000 times. If it holds one half, this study does not tell which method people prefer.",
    "Alpha": "Krippendorff's: 1 where raters agree on every pair, 0 where they agree no more than chance would have "
    "them. It is low, too, where nearly all votes go to one method and the rest are scattered.",
    "In the paper": "The share of votes for its method in Table II of Hang et al. 2023, by 24 people with 100 faces "
    "each. Its faces, words and the method that it is compared with are its own; its questions have the sense of "
    "these, not the wording.",
}


def tally_page(found: Mapping[str, Any]) -> str:
    """The whole document."""
    first, second = found["methods"]
    title = f"{first} or {second}?"
    head = (
        f'<p class="eyebrow">What people prefer</p><h1>{escape(title)}</h1><p class="lede">{escape(_lede(found))}</p>'
        + definitions(_head(found), "head")
    )
    parts = [
        section("Three questions", _cards(found) + _plot(found), "Shares of votes, with 95 % intervals."),
        section("Word by word", _prompts(found), f"Share of votes for {escape(first)}, by what the words say."),
        section("Raters", _raters(found), escape(sides(found))),
        section("Left out", _left_out(found)),
        section("How to read this", definitions(TERMS, "terms")),
    ]
    end = f"<footer>Written on {date.today().isoformat()} by language-guided-animation.</footer>"
    return page(title, f'<header class="top">{head}</header>\n<main>{"".join(parts)}</main>\n{end}')


def _lede(found: Mapping[str, Any]) -> str:
    first, second = found["methods"]
    cell = found["questions"]["all"]["share"]
    if cell["low"] <= 0.5 <= cell["high"]:
        return f"Over all three questions, people do not clearly prefer either ({between(cell, 2)} for {first})."
    winner, share = (first, cell["mean"]) if cell["mean"] > 0.5 else (second, 1 - cell["mean"])
    return f"Over all three questions, people choose {winner} in {percent(share)} of the votes."


def _head(found: Mapping[str, Any]) -> dict[str, str]:
    votes = found["votes_per_pair"]
    return {
        "Raters": str(len(found["raters"])),
        "Pairs": str(found["pairs"]),
        "Pairs a rater": str(found["each"]),
        "Votes on a pair": f"{votes['mean']:.1f} ({votes['least']} to {votes['most']})",
    }


def _cards(found: Mapping[str, Any]) -> str:
    cards = ""
    for question in QUESTIONS:
        row = found["questions"][question.id]
        cell = row["share"]
        said = f"95 % interval {between(cell)}; {cell['votes']} votes; raters agree (alpha): {agreement(row['alpha'])}"
        meaning = f"{question.text} For {found['methods'][0]}, of all votes. In the paper: {question.paper:.3f}."
        cards += card(f"{cell['mean']:.3f}", question.short.capitalize(), meaning, said)
    return f'<div class="cards">{cards}</div>'


def _plot(found: Mapping[str, Any]) -> str:
    cells = [found["questions"][question.id]["share"] for question in QUESTIONS]
    places = list(range(len(QUESTIONS), 0, -1))

    def draw(axes: Axes) -> None:
        axes.grid(visible=False, axis="y")
        axes.grid(axis="x", color=LINE, linewidth=0.8)
        axes.axvline(0.5, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.hlines(places, [c["low"] for c in cells], [c["high"] for c in cells], color=CLIP, linewidth=3, alpha=0.45)
        axes.plot([c["mean"] for c in cells], places, "o", color=CLIP, markersize=8)
        papers = [question.paper for question in QUESTIONS]
        axes.plot(papers, places, "D", markerfacecolor="none", markeredgecolor=MUTED, markersize=7)
        axes.set_yticks(places, [question.short for question in QUESTIONS])
        axes.set_ylim(0.5, len(QUESTIONS) + 0.5)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])

    drawn = svg(draw, (5.6, 1.7), "Shares of votes with their intervals, beside the paper's")
    caption = f"● share of {found['methods'][0]} with its 95 % interval &ensp; ◇ in the paper &ensp; ┆ one half"
    return figure(drawn, caption.replace(found["methods"][0], escape(found["methods"][0])), "wide")


def _prompts(found: Mapping[str, Any]) -> str:
    heads = [("words", "")] + [(question.short, "share") for question in QUESTIONS] + [("votes on each", "figure")]
    rows = [
        [
            escape(spoken(prompt)),
            *(_share(cells[question.id]) for question in QUESTIONS),
            str(cells[QUESTIONS[0].id]["votes"]),
        ]
        for prompt, cells in found["prompts"].items()
    ]
    return table(heads, rows, "Shares by prompt")


def _share(cell: Mapping[str, float]) -> str:
    return f"{bar(cell['mean'], 'clip')}<br><small>{between(cell, 2)}</small>"


def _raters(found: Mapping[str, Any]) -> str:
    heads = [("rater", ""), ("pairs", "figure"), ("seconds a pair (median)", "figure"), ("chose left", "share")]
    rows = [
        [escape(row["rater"]), str(row["pairs"]), f"{row['seconds']:.1f}", bar(row["left"], "judge")]
        for row in found["raters"]
    ]
    return f'<p class="intro">{escape(summary(found))}</p>' + table(heads, rows, "Raters")


def _left_out(found: Mapping[str, Any]) -> str:
    if not found["left_out"]:
        return ""
    lines = "".join(f"<li>{escape(row['why'])}</li>" for row in found["left_out"])
    return f'<ul class="notes">{lines}</ul>'
