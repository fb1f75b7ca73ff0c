"""The report of an encoder, or of any other model that is measured in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..metrics.bootstrap import percent
from .html import number
from .sheet_rows import Sheet

TEMPLATE = "encoder.html.j2"
NOT_ON_CARDS = ("l2", "spread")
METRICS: Mapping[str, tuple[str, str]] = {
    "explained": ("Explained variation", "of what distinguishes an image from the average face is reconstructed."),
    "psnr": ("PSNR", "in dB: at 20 the image is clearly the same, at 30 hard to tell apart."),
    "l2": ("L2", "mean squared error, for pixels in [-1, 1]; 0 is an identical image."),
    "lpips": ("LPIPS", "perceptual distance: 0 is an identical image, 0.5 a different one."),
    "identity": ("Identity similarity", "cosine similarity by a face-recognition network; 1 is an identical image."),
    "w_error": ("Error in W+", "relative to an encoder that always predicts the average face (1); 0 is perfect."),
    "spread": ("Spread of a code's rows", "mean squared distance; codes with close rows stay editable."),
}
IN_PERCENT = ("explained",)


class Card(NamedTuple):
    value: str
    label: str
    meaning: str
    interval: str = ""


class CardGroup(NamedTuple):
    """The cards of one kind of images, such as photographs."""

    kind: str
    num_images: int | str
    cards: list[Card]


class TableRow(NamedTuple):
    """A metric on one kind of images, as text."""

    label: str
    kind: str
    mean: str
    interval: str = ""
    worst: str = ""


def content(figures: Mapping[str, Any], sheets: Sequence[Sheet], quality: int) -> dict[str, Any]:
    """What encoder.html.j2 needs; figures: the metrics by kind of images, as `held_out_metrics` gives them."""
    measured = {kind: metrics for kind, metrics in figures.items() if isinstance(metrics, Mapping)}
    return {
        "lede": _lede(measured),
        "sheets": [sheet.shown(quality) for sheet in sheets],
        "groups": [CardGroup(kind, each.get("num_pictures", ""), _cards(each)) for kind, each in measured.items()],
        "rows": list(_rows(figures)),
    }


def _lede(measured: Mapping[str, Mapping[str, Any]]) -> str:
    shares = [
        f"{percent(metrics['explained'])} on {metrics['num_pictures']} {kind}"
        for kind, metrics in measured.items()
        if "explained" in metrics
    ]
    if not shares:
        return "What was trained, and its metrics."
    return f"Share of what distinguishes an image from the average face that is reconstructed: {' and '.join(shares)}."


def _cards(metrics: Mapping[str, Any]) -> list[Card]:
    return [_card(name, metrics[name]) for name in METRICS if name in metrics and name not in NOT_ON_CARDS]


def _card(name: str, value: Any) -> Card:
    label, meaning = METRICS[name]
    if isinstance(value, Mapping):
        worst = f"Worst 5 %: {number(value['worst'])}"
        return Card(number(value["mean"]), label, meaning, f"95 % interval: {_interval(value)}. {worst}")
    return Card(f"{100 * value:.0f} %" if name in IN_PERCENT else number(value), label, meaning)


def _rows(figures: Mapping[str, Any]) -> Iterator[TableRow]:
    for kind, metrics in figures.items():
        grouped = isinstance(metrics, Mapping)
        for name, value in metrics.items() if grouped else [(kind, metrics)]:
            if name != "num_pictures":
                label = METRICS[name][0] if name in METRICS else name.replace("_", " ")
                yield TableRow(label, kind if grouped else "", *_cells(value))


def _cells(value: Any) -> list[str]:
    """Mean, interval and worst value as far as they are known."""
    if isinstance(value, Mapping):
        if not {"mean", "low", "high"} <= set(value):
            return [", ".join(f"{key} {inner}" for key, inner in value.items())]
        return [number(value["mean"]), _interval(value), number(value["worst"]) if "worst" in value else ""]
    return [number(value) if isinstance(value, float) else str(value)]


def _interval(value: Mapping[str, float]) -> str:
    return f"{number(value['low'])} to {number(value['high'])}"
