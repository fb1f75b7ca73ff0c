"""The report of a training: one HTML file to show to anyone, and the same figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ..training.atomic_files import write
from . import baseline, encoder, motion
from .curves import read_metrics, training_curves
from .html import TEMPLATES, capitalized, render, within_limit
from .sheet_rows import Sheet

LONG = 2000
"""Characters of a group of settings that is left to config.json, such as all sentences."""
NUM_KEY_FACTS = 4
"""Facts that also stand below the title."""


def write_report(
    run: Path,
    title: str,
    facts: Mapping[str, str],
    figures: Mapping[str, Any],
    pictures: Sequence[tuple[str, Path]],
    notes: Sequence[str],
) -> Path:
    """Write report.json and report.html into the run's folder, which holds metrics.jsonl and perhaps config.json.

    facts: of generator, prompts, machine, versions, licence; the first four also stand below the title. figures: those
    of `motion_figures`, or `held_out_metrics` by kind of images. pictures: contact sheets with their captions, the
    main one first. notes: skipped inputs, and what else a reader should know. Returns the path of the page.
    """
    rows = read_metrics(run / "metrics.jsonl")
    report = {"title": title, "facts": dict(facts), "figures": dict(figures), "notes": list(notes)}
    report |= {"pictures": {path.name: caption for caption, path in pictures}, "last_row": rows[-1] if rows else {}}
    write(run / "report.json", json.dumps(report, indent=1))
    kind = _kind(figures)
    sheets = [Sheet(caption, path) for caption, path in pictures]
    shown_facts = {capitalized(name): text for name, text in facts.items()}
    common = {
        "title": title,
        "today": date.today().isoformat(),
        "facts": shown_facts,
        "key_facts": dict(list(shown_facts.items())[:NUM_KEY_FACTS]),
        "figures": figures,
        "notes": notes,
        "curves": training_curves(rows),
        "settings": _settings(run / "config.json"),
    }

    def page(quality: int) -> str:
        return render(TEMPLATES / kind.TEMPLATE, **common, **kind.content(figures, sheets, quality))

    return write(run / "report.html", within_limit(page))


def _kind(figures: Mapping[str, Any]) -> Any:
    """The module that reports such figures: it has a `TEMPLATE` and its `content`."""
    if "baseline" in figures:
        return baseline
    return motion if "amplitude" in figures else encoder


def _settings(path: Path) -> dict[str, str]:
    """The run's settings by their dotted names; long ones are left to the file."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found: dict[str, str] = {}

    def walk(name: str, value: Any) -> None:
        if isinstance(value, dict) and value and (not name or len(json.dumps(value)) < LONG):
            for key, inner in value.items():
                walk(f"{name}.{key}" if name else key, inner)
            return
        text = value if isinstance(value, str) else json.dumps(value)
        found[name] = text if len(text) <= 60 else "in config.json"

    walk("", config)
    return found
