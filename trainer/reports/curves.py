"""The training curves of a report: what was logged, each loss as a small plot with its meaning."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from .html import capitalized
from .svg_plots import curve

MEANINGS: Mapping[str, str] = {
    "total": "Weighted sum of all losses, which training minimises.",
    "contrastive": "InfoNCE loss (Eq. 11): how well CLIP tells the prompt shown from the others; 0 is best.",
    "w_reg": "L2 regulariser (Eq. 9): size of the motion in W+. Small values preserve identity.",
    "latent_reg": "Size of the mapper's offset in W+. Small values preserve identity.",
    "path": "Smoothness (Eq. 10): second differences between frames; 0 is a uniform motion.",
    "first_difference": "First differences: step size from frame to frame.",
    "perceptual": "Perceptual distance of the images; 0 is an identical image.",
    "pixels": "Masked L1: pixel changes where the image should stay the same.",
    "tones": "Coarse colour L1: changes of low-resolution colours, such as skin and hair.",
    "unlikeliness": "Mahalanobis distance in W: how far the motion leaves the distribution of the domain's faces.",
    "identity": "Identity loss: dissimilarity by a face-recognition network; 0 is the same person.",
    "w_discriminator": "Adversarial loss in W: how easily the codes are told from those of the mapping network.",
    "gradient": "Gradient norm before clipping. Single spikes are harmless; a steady rise is not.",
    "latent": "Distance between predicted and true codes.",
    "delta": "Delta regularisation (e4e): distance between the rows of a code. Close rows stay editable.",
    "spread": "Distance between the rows of a code. Close rows stay editable.",
    "l2": "Mean squared error of the pixels.",
    "real": "Discriminator loss on codes of the mapping network.",
    "moved": "Discriminator loss on edited codes.",
    "found": "Discriminator loss on the encoder's codes.",
    "r1": "R1 gradient penalty, which stabilises the discriminator.",
    "clip": "CLIP distance between image and sentence; 0 is a perfect match.",
    "video": "Adversarial loss on videos: how easily generated ones are told from real ones.",
    "picture": "Adversarial loss on single frames: how easily later frames are told from real images.",
    "match": "Negative cosine similarity of later frames to the first, in the image discriminator's features.",
    "reconstruction": "Negative similarity of the noise to its reconstruction from the motion; -1 is perfect.",
    "penalty": "Gradient penalty, which stabilises the video discriminator.",
    "contrast": "Contrastive loss: two augmentations of an image, among augmentations of other images.",
}


class Plot(NamedTuple):
    label: str
    meaning: str
    first: float
    last: float
    svg: Markup


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The logged rows in order. An incomplete last line is ignored; of a step logged twice, the later row counts.

    A run that is resumed after a crash repeats some steps: their earlier rows are superseded.
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


def training_curves(rows: Sequence[Mapping[str, float]]) -> dict[str, list[Plot]]:
    """A plot of every loss by objective, the total first and the gradient last."""
    objectives: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for row in rows for name in row if "/" in name):
        objectives.setdefault(name.split("/")[0], []).append(name)
    place = {"total": 0, "gradient": 2}
    plots = {
        objective: [_plot(rows, name) for name in sorted(names, key=lambda name: place.get(name.split("/", 1)[1], 1))]
        for objective, names in objectives.items()
    }
    return {objective: [plot for plot in each if plot is not None] for objective, each in plots.items()}


def _plot(rows: Sequence[Mapping[str, float]], full_name: str) -> Plot | None:
    """None for a loss that was never finite."""
    name = full_name.split("/", 1)[1]
    known = [(int(row["step"]), float(row[full_name])) for row in rows if full_name in row]
    finite = [value for _, value in known if math.isfinite(value)]
    if not finite:
        return None
    svg = curve([step for step, _ in known], [value for _, value in known], full_name)
    return Plot(capitalized(name.replace("_", " ")), MEANINGS.get(name, ""), finite[0], finite[-1], Markup(svg))
