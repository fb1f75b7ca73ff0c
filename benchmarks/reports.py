"""Results as they are kept: JSON with every sample, a table in Markdown, and a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OURS, THEIRS = ("#1d6fd1", "#5aa2f0", "#0f9d76", "#63c9a8", "#8a63d2", "#b79ae6"), ("#777777", "#aaaaaa", "#cccccc")


class Column(NamedTuple):
    """Of a table: the row's key, what stands above it, and the format of its numbers."""

    key: str
    head: str
    format: str = ""


@dataclass(frozen=True)
class Report:
    """Everything one benchmark found. `rows` may hold more than the table's `columns` show."""

    name: str
    title: str
    facts: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    columns: Sequence[Column]
    notes: Sequence[str] = ()
    plot: Figure | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    """What only the JSON holds."""

    def write(self, folder: Path) -> None:
        """`name`.json, .md and .svg in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        kept = {
            "title": self.title,
            "facts": self.facts,
            "notes": list(self.notes),
            "rows": list(self.rows),
            **self.more,
        }
        (folder / f"{self.name}.json").write_text(json.dumps(kept, indent=1) + "\n")
        (folder / f"{self.name}.md").write_text(self.markdown())
        if self.plot is not None:
            self.plot.savefig(folder / f"{self.name}.svg")

    def markdown(self) -> str:
        facts = [f"- {key.replace('_', ' ')}: {_said(value)}" for key, value in self.facts.items()]
        notes = [text for note in self.notes for text in ("", note)]
        shown = [column for column in self.columns if any(column.key in row for row in self.rows)]
        picture = [] if self.plot is None else ["", f"![{self.title}]({self.name}.svg)"]
        return "\n".join([f"# {self.title}", "", table(self.rows, shown), *notes, *picture, "", *facts, ""])


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> str:
    lines = [[column.head for column in columns], ["---"] * len(columns)]
    lines += [[_cell(row.get(column.key), column.format) for column in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any, form: str) -> str:
    return "" if value is None else str(value) if isinstance(value, str) else format(value, form)


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {inner}" for key, inner in value.items()) or "none"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)


def bars(panels: Mapping[str, Mapping[str, Mapping[str, float]]], label: str) -> Figure:
    """Bars of values by panel, then variant (a colour), then group (a place). Peers, which are grey, have no comma."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(panels) + 1.6, 3.4), layout="constrained")
    FigureCanvasSVG(figure)
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (panel, variants) in zip(all_axes, panels.items(), strict=True):
        groups = list(dict.fromkeys(group for values in variants.values() for group in values))
        width, colours = 0.85 / len(variants), _colours(list(variants))
        for place, (variant, values) in enumerate(variants.items()):
            left = [groups.index(group) + (place - (len(variants) - 1) / 2) * width for group in values]
            drawn = axes.bar(left, list(values.values()), width * 0.94, color=colours[variant], label=variant)
            axes.bar_label(drawn, fmt="%.1f", fontsize=7, padding=1)
        axes.set_xticks(range(len(groups)), groups)
        axes.set_title(panel, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.axhline(1, color="#999999", linewidth=0.8, zorder=0)
    all_axes[0].set_ylabel(label)
    handles, names = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", frameon=False, fontsize=8)
    return figure


def _colours(variants: Sequence[str]) -> dict[str, str]:
    """Grey for peers, colours for ours."""
    ours = [name for name in variants if name.startswith("ours")]
    theirs = [name for name in variants if name not in ours]
    return {
        **{name: OURS[place % len(OURS)] for place, name in enumerate(ours)},
        **{name: THEIRS[place % len(THEIRS)] for place, name in enumerate(theirs)},
    }
