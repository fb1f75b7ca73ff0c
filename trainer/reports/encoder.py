"""What a report says of an encoder, or of anything else that is measured in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..metrics.bootstrap import percent
from .html import card, escape, section, table
from .sheet_rows import Sheet

EYEBROW = "Encoder · training report"
NOT_ON_CARDS = ("l2", "spread")
TERMS = {
    "Encoder": "A network that looks at a picture and finds the code from which the generator draws the same face.",
    "Code": "The numbers that a generator draws a face from, one row for each of its layers (W+).",
    "95 % interval": "Measured on other pictures, the mean would fall within this range 19 times in 20.",
    "Worst twentieth": "One picture in twenty comes out worse than this.",
}
NAMES: Mapping[str, tuple[str, str]] = {
    "explained": ("Explained", "of what sets a picture apart from the average face is in the drawn face, too."),
    "psnr": ("Closeness of pixels (PSNR)", "in decibels: 20 is clearly the same picture, 30 is hard to tell apart."),
    "l2": ("Difference of pixels (L2)", "mean squared difference, for pixels from -1 to 1. 0 is the same picture."),
    "lpips": ("Difference to the eye (LPIPS)", "as a network perceives it: 0 is the same picture, 0.5 is another."),
    "identity": ("Same person", "likeness to a face-recognition network; 1 is the same picture."),
    "w_error": ("Error of the codes", "1 is an encoder that always answers the average face, 0 is a perfect one."),
    "spread": ("Spread of a code's rows", "mean squared distance; close rows stay easy to edit."),
}
IN_PERCENT = ("explained",)


def terms(figures: Mapping[str, Any]) -> dict[str, str]:
    return TERMS


def lede(figures: Mapping[str, Any]) -> str:
    """What came out, in a sentence or two."""
    known = [(kind, found) for kind, found in figures.items() if isinstance(found, Mapping) and "explained" in found]
    if not known:
        return "What was trained, and how well it does."
    shares = [f"{percent(found['explained'])} on {found['num_pictures']} {kind}" for kind, found in known]
    return f"What sets a picture apart from the average face is found again: {' and '.join(shares)}."


def parts(figures: Mapping[str, Any], sheets: Sequence[Sheet], quality: int) -> tuple[str, list[str]]:
    """Nothing for the head; the sections."""
    shown = "".join(sheet.whole(quality) for sheet in sheets)
    measured = [(kind, found) for kind, found in figures.items() if isinstance(found, Mapping)]
    cards = "".join(_cards(kind, found, len(measured) > 1) for kind, found in measured)
    return "", [
        section("Pictures", shown, "Each picture, and below it what the generator draws from the code that was found."),
        section("Key figures", cards),
        section("Every figure", _table(figures), "Means, how sure they are, and how bad it gets."),
    ]


def _cards(kind: str, found: Mapping[str, Any], named: bool) -> str:
    cards = "".join(_card(name, found[name]) for name in NAMES if name in found and name not in NOT_ON_CARDS)
    heading = f'<h3 class="sub">On {found.get("num_pictures", "")} {escape(kind)}</h3>' if named else ""
    return f'{heading}<div class="cards">{cards}</div>' if cards else ""


def _card(name: str, value: Any) -> str:
    label, meaning = NAMES[name]
    if isinstance(value, Mapping):
        interval = f"95 % interval: {value['low']:.3g} to {value['high']:.3g}. Worst twentieth: {value['worst']:.3g}"
        return card(f"{value['mean']:.3g}", label, meaning, interval)
    return card(f"{100 * value:.0f} %" if name in IN_PERCENT else f"{value:.3g}", label, meaning)


def _table(figures: Mapping[str, Any]) -> str:
    """Every figure, by its name."""
    heads = [("", ""), ("Pictures", ""), ("Mean", "figure"), ("95 % interval", "figure"), ("Worst twentieth", "figure")]
    lines = []
    for kind, found in figures.items():
        entries = found if isinstance(found, Mapping) else {kind: found}
        for name, value in entries.items():
            if name == "num_pictures":
                continue
            label = escape(NAMES[name][0] if name in NAMES else name.replace("_", " "))
            where = escape(kind) if isinstance(found, Mapping) else ""
            lines.append([label, where, *_numbers(value)])
    return table(heads, lines, "Every figure") if lines else ""


def _numbers(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        if not {"mean", "low", "high"} <= set(value):
            return [escape(", ".join(f"{key} {inner}" for key, inner in value.items())), "", ""]
        worst = f"{value['worst']:.3g}" if "worst" in value else ""
        return [f"{value['mean']:.3g}", f"{value['low']:.3g} to {value['high']:.3g}", worst]
    return [f"{value:.3g}" if isinstance(value, float) else escape(str(value)), "", ""]
