"""What a report says of a baseline that was trained: StyleCLIP's mapper, or MoCoGAN-HD's motion generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .html import card, section
from .sheet_rows import Sheet

EYEBROW = "Baseline · training report"
LEDES = {
    "mapper": "A network that changes any face as one sentence says, in one step. Clips are the straight way there.",
    "mocogan": "A network that moves faces as its videos did. No one tells it what to do.",
}
TERMS = {
    "mapper": {
        "Latent mapper": "A network that says how a face's code should change for one sentence (StyleCLIP).",
        "Code": "The numbers that a generator draws a face from, one row for each of its layers (W+).",
    },
    "mocogan": {
        "Motion generator": "A recurrent network that takes noise at every frame and moves a face (MoCoGAN-HD).",
        "Principal directions": "Those along which the generator's faces vary most. The motion is a way along them.",
        "Relativistic": "The discriminator says how much more real a video seems than those of the other kind.",
    },
}
CARDS: Mapping[str, tuple[str, str]] = {
    "clip_before": ("Fit before", "cosine of picture and sentence, says the CLIP that training pleases."),
    "clip_after": ("Fit after", "the same of the changed faces."),
    "moved": ("Change of the code", "root mean square over its numbers."),
    "motion": ("Movement", "mean difference of a clip's frames from its first, for pixels from -1 to 1."),
    "motion_videos": ("Movement of the videos", "the same of the videos that it learned from."),
    "first_step_share": ("First step", "its share of the whole way, over all steps."),
}


def terms(figures: Mapping[str, Any]) -> Mapping[str, str]:
    return TERMS[figures["baseline"]]


def lede(figures: Mapping[str, Any]) -> str:
    return LEDES[figures["baseline"]]


def parts(figures: Mapping[str, Any], sheets: Sequence[Sheet], quality: int) -> tuple[str, list[str]]:
    """Nothing for the head; the sections."""
    shown = "".join(sheet.whole(quality) for sheet in sheets)
    cards = "".join(card(f"{figures[name]:.3g}", *words) for name, words in CARDS.items() if name in figures)
    measured = f"On {figures['num_faces']} faces that were not trained on."
    return "", [
        section("Pictures", shown, "A face a row, and frames of its clip from left to right."),
        section("Key figures", f'<div class="cards">{cards}</div>', measured),
    ]
