"""The report of a motion model: which prompts work, on which CLIP and the judge disagree, how the motion starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from ..metrics.bootstrap import percent
from .html import EmbeddedImage, embedded
from .sheet_rows import Sheet, grid_style
from .svg_plots import amplitude_plot

TEMPLATE = "motion.html.j2"
WORKS = 0.5
"""Share of faces from which on a prompt counts as working."""
STEADY = 0.12
"""Largest deviation of the motion magnitude over clip lengths that needs no warning."""
NUM_IN_HERO = 7


def content(figures: Mapping[str, Any], sheets: Sequence[Sheet], quality: int) -> dict[str, Any]:
    """What motion.html.j2 needs beside `figures`, those of `motion_figures`."""
    main = next((sheet for sheet in sheets if sheet.layout is not None and sheet.layout.groups), None)
    prompts, held_out = figures["prompts"], figures["held_out"]
    return {
        "lede": _lede(figures),
        "hero": [] if main is None else _hero(main, prompts, quality),
        "strips": None if main is None else _strips(main, quality),
        "other_sheets": [sheet.shown(quality) for sheet in sheets if sheet is not main],
        "flagged": {name: row["flag"] for name, row in {**prompts, **held_out}.items() if row["flag"]},
        "drift": _drift(figures["amplitude"], figures["num_frames"]),
        "measured": _measured(figures),
        "columns": {kind: _columns(figures[kind].values(), figures["scorers"]) for kind in ("prompts", "held_out")},
        "path_summary": _path_summary(figures["amplitude"], figures["first_step_share"], figures["num_frames"]),
        "amplitude_plot": Markup(amplitude_plot({int(n): length for n, length in figures["amplitude"].items()})),
    }


def _lede(figures: Mapping[str, Any]) -> str:
    """The result in two sentences."""
    rows, faces = figures["prompts"].values(), figures["num_faces"]
    judged = [row for row in rows if row["judge_rise"] is not None]
    if not judged:
        good = sum(row["clip_top1"] >= WORKS for row in rows)
        return (
            f"CLIP recognises {good} of {len(rows)} prompts on at least half of {faces} held-out faces. No independent "
            "judge is available for this domain: check the images below."
        )
    good = sum(row["judge_rise"] >= WORKS for row in judged)
    known = f"{len(judged)} prompts" if len(judged) == len(rows) else f"the {len(judged)} prompts known to the judge"
    flagged = sum(row["flag"] is not None for row in judged)
    agreement = {0: "CLIP and the judge agree on all of them.", 1: "On one of them, CLIP and the judge disagree."}
    return (
        f"{good} of {known} work: on at least half of {faces} held-out faces, an independent judge clearly sees the "
        f"expression. {agreement.get(flagged, f'On {flagged} of them, CLIP and the judge disagree.')}"
    )


def _hero(sheet: Sheet, prompts: Mapping[str, Mapping[str, Any]], quality: int) -> list[EmbeddedImage]:
    """The first face unedited, and at its last frame under the prompts that work best."""
    layout = sheet.layout
    assert layout is not None
    last = layout.groups[0][1] - 1
    rows = [row for row, caption in enumerate(layout.captions) if caption in prompts]
    best = sorted(rows, key=lambda row: -_score(prompts[layout.captions[row]]))[:NUM_IN_HERO]
    shown = [0] * (layout.captions[0] == "before") + sorted(best)
    return [embedded(sheet.cells(row, last, 1), layout.captions[row], quality) for row in shown]


def _score(row: Mapping[str, Any]) -> float:
    """How well a prompt works: the mean of all known shares, less 1 where CLIP and the judge disagree."""
    known = [row[key] for key in ("clip_top1", "judge_top1", "judge_rise") if row[key] is not None]
    return sum(known) / len(known) - (row["flag"] is not None)


def _strips(sheet: Sheet, quality: int) -> dict[str, Any]:
    """The sheet row by row: its caption, and an image for each group of columns."""
    layout = sheet.layout
    assert layout is not None
    return {
        "columns": grid_style(layout),
        "headings": [heading for heading, _ in layout.groups],
        "rows": [
            {"caption": caption, "images": sheet.strips(row, quality)} for row, caption in enumerate(layout.captions)
        ],
    }


def _drift(amplitude: Mapping[str, float], num_frames: int) -> float:
    """Largest relative deviation of the motion magnitude from that of a clip of `num_frames`."""
    base = amplitude.get(str(num_frames)) or 1.0
    return max(abs(length / base - 1) for length in amplitude.values())


def _measured(figures: Mapping[str, Any]) -> str:
    """How the figures were measured."""
    parts = [f"Measured on {figures['num_faces']} held-out faces, at frame {figures['num_frames']}."]
    if len(figures["scorers"]) > 1:
        parts.append(f"CLIP figures are means over {', '.join(figures['scorers'])}.")
    if figures["judge"]:
        parts.append(f"The judge is {figures['judge']}. Clearly increased means: {figures['judge_rule']}.")
    return " ".join(parts)


def _columns(rows: Sequence[Mapping[str, Any]], scorers: Sequence[str]) -> dict[str, Any]:
    """Which columns a table of these rows needs: each CLIP where there are several, what the judge knows, flags."""
    judged = (("judge_top1", "Judge: top-1"), ("judge_rise", "Judge: clearly increased"))
    return {
        "scorers": scorers if len(scorers) > 1 else [],
        "judged": [(key, label) for key, label in judged if any(row[key] is not None for row in rows)],
        "flags": any(row["flag"] for row in rows),
    }


def _path_summary(amplitude: Mapping[str, float], first_step_share: float, num_frames: int) -> str:
    uniform, drift = 1 / (num_frames - 1), _drift(amplitude, num_frames)
    jump = "no jump" if first_step_share <= 1.3 * uniform else "a jump; check the second frame"
    counts = [int(count) for count in amplitude]
    lengths = f"In clips of {min(counts)} to {max(counts)} frames, the motion magnitude"
    length = (
        f"{lengths} is equal to within {percent(drift)}."
        if drift <= STEADY
        else f"{lengths} differs by up to {percent(drift)}: choose the clip length with care."
    )
    return (
        f"The first step of a {num_frames}-frame clip covers {100 * first_step_share:.1f} % of the path; a uniform "
        f"speed gives {100 * uniform:.1f} %: {jump}. {length}"
    )
