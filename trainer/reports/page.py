"""The report of a training: one HTML file to show to anyone, and the same figures as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ..training.atomic_files import write
from . import baseline as report_baseline
from . import encoder as report_encoder
from . import motion as report_motion
from .html import definitions, escape, page, section, slug
from .sheet_rows import Sheet
from .svg_plots import curve

LIMIT = 4_500_000
"""Bytes of a report, about: the pictures' quality goes down until it fits."""
QUALITIES = (88, 80, 70, 55)
LONG = 2000
"""Characters of a group of settings that is left to config.json, such as all sentences."""
IN_HEAD = 4
"""Facts that stand below the title, too."""
MEANINGS: Mapping[str, str] = {
    "total": "What is minimised: the weighted sum of the losses.",
    "contrastive": "How unsure CLIP is which of the prompts the last frame shows. 0 is certain.",
    "w_reg": "Size of the movement away from the face. Small keeps the person.",
    "latent_reg": "Size of the whole shift away from the face. Small keeps the person.",
    "path": "How unevenly the frames follow each other. 0 is a steady movement.",
    "first_difference": "Size of the steps from frame to frame.",
    "perceptual": "How different the picture looks to a network's eye. 0 is the same picture.",
    "pixels": "How much the picture changes where it should stay as it is.",
    "tones": "How much the coarse colours change, such as skin and hair, where only shapes should.",
    "unlikeliness": "How far the movement leaves what faces of this domain look like.",
    "identity": "How unlike the person becomes, to a face-recognition network. 0 is the same.",
    "w_discriminator": "How easily the codes are told from the generator's own.",
    "gradient": "Length of the gradient: how hard the losses pull. Lone spikes are harmless, a steady rise is not.",
    "latent": "Distance of the codes found from the true ones.",
    "delta": "How far the rows of a code lie apart. Close rows stay editable.",
    "spread": "How far the rows of a code lie apart. Close rows stay editable.",
    "l2": "Mean squared difference of the pixels.",
    "real": "How often the discriminator takes the generator's own codes for false ones.",
    "moved": "How often the discriminator takes moved codes for the generator's own.",
    "found": "How often the discriminator takes the encoder's codes for the generator's own.",
    "r1": "Gradient penalty that keeps the discriminator calm.",
    "clip": "How far picture and sentence are from one another, to CLIP. 0 is the same.",
    "video": "How easily drawn videos are told from true ones, all frames together.",
    "picture": "How easily later frames are told from true pictures, each by itself.",
    "match": "How unlike its first frame a later one becomes, to the discriminator of pictures. -1 is alike.",
    "reconstruction": "How little of the noise can be told from the motion. -1 is all of it.",
    "penalty": "Gradient penalty that keeps the discriminator of videos calm.",
    "contrast": "How hard two looks at one picture are to find among looks at many.",
}


def write_report(
    run: Path,
    title: str,
    facts: Mapping[str, str],
    figures: Mapping[str, Any],
    pictures: Sequence[tuple[str, Path]],
    notes: Sequence[str],
) -> Path:
    """Write report.json and report.html into the run's folder, which holds metrics.jsonl and perhaps config.json.

    facts: of generator, prompts, machine, versions, licence; the first four stand in the head. figures: those of
    `motion_figures`, or `held_out_metrics` by kind of pictures. pictures: sheets with their captions, the first
    of them the one to show. notes: what was skipped, and what else should be known. Returns the path of the page.
    """
    rows = read_metrics(run / "metrics.jsonl")
    sheets = [Sheet(caption, path) for caption, path in pictures]
    told = {"title": title, "facts": dict(facts), "figures": dict(figures), "notes": list(notes)}
    told |= {"pictures": {path.name: caption for caption, path in pictures}, "last_row": rows[-1] if rows else {}}
    write(run / "report.json", json.dumps(told, indent=1))
    text = ""
    for quality in QUALITIES:
        text = _document(run, title, facts, figures, sheets, notes, rows, quality)
        if len(text.encode()) <= LIMIT:
            break
    return write(run / "report.html", text)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The logged rows in order. A last line that was cut short is left out; a step logged twice counts once, the later.

    A run that goes on after a crash takes some steps again: what it logged of them before is superseded.
    """
    rows: dict[int, dict[str, float]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
            step = int(row["step"])
        except (ValueError, KeyError, TypeError):
            continue
        rows = {known: value for known, value in rows.items() if known < step} if step in rows else rows
        rows[step] = row
    return [rows[step] for step in sorted(rows)]


def _document(
    run: Path,
    title: str,
    facts: Mapping[str, str],
    figures: Mapping[str, Any],
    sheets: Sequence[Sheet],
    notes: Sequence[str],
    rows: Sequence[Mapping[str, float]],
    quality: int,
) -> str:
    kind = _kind(figures)
    hero, parts = kind.parts(figures, sheets, quality)
    parts += [
        section(
            "How training went", _curves(rows), "Each loss over the steps: as logged, faintly, and its running mean."
        ),
        section("Worth knowing", _notes(notes)),
        section("How it was made", _facts(run, facts)),
        section("How to read this", definitions(kind.terms(figures), "terms")),
    ]
    shown = [part for part in parts if part]
    head = _head(title, kind.EYEBROW, kind.lede(figures), facts) + hero + _nav(shown)
    licence = "".join(
        f" {escape(_capital(name))}: {escape(text)}." for name, text in facts.items() if "licence" in name.lower()
    )
    end = f"<footer>Written on {date.today().isoformat()} by language-guided-animation.{licence}</footer>"
    return page(title, f'<header class="top">{head}</header>\n<main>{"".join(shown)}</main>\n{end}')


def _kind(figures: Mapping[str, Any]) -> Any:
    """The module that knows what to say of such figures."""
    if "baseline" in figures:
        return report_baseline
    return report_motion if "amplitude" in figures else report_encoder


def _head(title: str, eyebrow: str, lede: str, facts: Mapping[str, str]) -> str:
    first = {_capital(name): text for name, text in list(facts.items())[:IN_HEAD]}
    return (
        f'<p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(title)}</h1><p class="lede">{escape(lede)}</p>'
        + definitions(first, "head")
    )


def _nav(parts: Sequence[str]) -> str:
    headings = [part.split("<h2>", 1)[1].split("</h2>", 1)[0] for part in parts if "<h2>" in part]
    links = "".join(f'<a href="#{slug(heading)}">{heading}</a>' for heading in headings)
    return f"<nav>{links}</nav>"


def _curves(rows: Sequence[Mapping[str, float]]) -> str:
    """A small plot of every loss, objective by objective, the total first and the gradient last."""
    objectives: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for row in rows for name in row if "/" in name):
        objectives.setdefault(name.split("/")[0], []).append(name)
    place, html = {"total": 0, "gradient": 2}, ""
    for objective, names in objectives.items():
        names.sort(key=lambda name: place.get(name.split("/", 1)[1], 1))
        heading = f'<h3 class="sub">{escape(_capital(objective))}</h3>' if len(objectives) > 1 else ""
        html += f'{heading}<div class="plots">{"".join(_plot(rows, name) for name in names)}</div>'
    return html


def _plot(rows: Sequence[Mapping[str, float]], full_name: str) -> str:
    name = full_name.split("/", 1)[1]
    known = [(int(row["step"]), float(row[full_name])) for row in rows if full_name in row]
    finite = [value for _, value in known if math.isfinite(value)]
    if not finite:
        return ""
    drawn = curve([step for step, _ in known], [value for _, value in known], full_name)
    words = _capital(name.replace("_", " "))
    return (
        f"<figure><h3>{escape(words)}<span>{finite[0]:.3g} → {finite[-1]:.3g}</span></h3>"
        f"<p>{escape(MEANINGS.get(name, ''))}</p>{drawn}</figure>"
    )


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return '<p class="intro">Nothing was skipped, and nothing went wrong.</p>'
    return f'<ul class="notes">{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul>'


def _facts(run: Path, facts: Mapping[str, str]) -> str:
    html = definitions({_capital(name): text for name, text in facts.items()})
    settings = _settings(run / "config.json")
    if settings:
        html += '<h3 class="sub">Every setting</h3>' + definitions(settings, "settings")
    return html


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


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
