"""Judges: classifiers that no loss uses, which compare faces before and after and decide whether a prompt shows.

CLIP cannot judge alone, because training optimises its score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import Images, InputError
from lga_core.faces.detection import has_mediapipe, read_blendshapes

if TYPE_CHECKING:
    from ..data.prompts import Prompt


@dataclass(frozen=True, eq=False)
class JudgeVerdict:
    """A judge's verdict on n faces for one prompt: 1 or 0 for each, NaN for a face that it does not find before.

    rose: the named expression clearly increased. first: the named expression ranks first among all that the judge
    knows; None for a judge that does not rank.
    """

    rose: Float[Tensor, "n"]
    first: Float[Tensor, "n"] | None = None

    @property
    def rise(self) -> float:
        """Share of the found faces on which the expression clearly increased."""
        return self.rose.nanmean().item()

    @property
    def top1(self) -> float | None:
        return None if self.first is None else self.first.nanmean().item()


class Judge(Protocol):
    """name: its name in reports. rule: when an expression counts as clearly increased."""

    name: str
    rule: str

    def verdict(self, prompt: Prompt, before: Images, after: Images) -> JudgeVerdict | None:
        """On the same faces before and after, in [-1, 1]; None if the judge does not know this prompt."""
        ...


# The blendshapes (0..1) that should increase for a prompt, by the beginning of their names: "eyeBlink" is the mean of
# eyeBlinkLeft and eyeBlinkRight. Prompts are omitted whose blendshapes hardly respond on any face (noseSneer for
# disgust, cheekPuff) or that faces show in too many ways (annoyed, confused, serious).
BLENDSHAPES: Mapping[str, tuple[str, ...]] = {
    "smiling": ("mouthSmile",),
    "happy": ("mouthSmile",),
    "laughing": ("mouthSmile", "jawOpen"),
    "sad": ("mouthFrown", "browInnerUp"),
    "angry": ("browDown",),
    "frowning": ("browDown",),
    "surprised": ("browInnerUp", "browOuterUp", "jawOpen"),
    "shocked": ("browInnerUp", "browOuterUp", "jawOpen"),
    "raising eyebrows": ("browInnerUp", "browOuterUp"),
    "opening mouth": ("jawOpen",),
    "yawning": ("jawOpen",),
    "pouting": ("mouthPucker",),
    "duck lips": ("mouthPucker",),
    "closing eyes": ("eyeBlink",),
    "winking": ("eyeBlink",),  # one eye only: see `strength`
    "looking up": ("eyeLookUp",),
    "looking down": ("eyeLookDown",),
}
CLEAR_INCREASE = 0.2
"""Increase of a strength, in units of blendshapes, that a person notices too."""


def strength(prompt: str, blendshapes: Mapping[str, float]) -> float:
    """Strength of the expression in 0..1: the mean over its blendshapes; for winking, the difference of both eyes."""
    if prompt == "winking":
        return abs(blendshapes["eyeBlinkLeft"] - blendshapes["eyeBlinkRight"])
    sides = [[v for name, v in blendshapes.items() if name.startswith(start)] for start in BLENDSHAPES[prompt]]
    return sum(sum(values) / len(values) for values in sides) / len(sides)


class BlendshapeJudge:
    """Judge of human faces by the blendshapes of MediaPipe's Face Landmarker; `model` is its .task file."""

    name = "MediaPipe's blendshapes"
    rule = f"the prompt's blendshapes increased by at least {CLEAR_INCREASE} on their scale from 0 to 1"

    def __init__(self, model: Path) -> None:
        """Raises InputError if the file or MediaPipe is missing: a training fails at its start, not at its end."""
        if not model.is_file():
            raise InputError(
                f"There is no face landmarker at {model}. Give the path of MediaPipe's face_landmarker.task, or leave "
                "it out."
            )
        if not has_mediapipe():
            raise InputError(
                "Judging faces by blendshapes needs MediaPipe, which is not installed. Run `pip install mediapipe`, "
                "or leave the face landmarker out."
            )
        self.model = model
        self._before: tuple[Images, list[dict[str, float] | None]] | None = None  # the last faces and their blendshapes

    def verdict(self, prompt: Prompt, before: Images, after: Images) -> JudgeVerdict | None:
        if prompt.prompt not in BLENDSHAPES:
            return None
        if self._before is None or self._before[0] is not before:
            self._before = before, read_blendshapes(self.model, before)
        pairs = list(zip(self._before[1], read_blendshapes(self.model, after), strict=True))
        rose = torch.tensor([self._rose(prompt.prompt, then, now) for then, now in pairs])
        return None if rose.isnan().all() else JudgeVerdict(rose)

    def _rose(self, prompt: str, then: dict[str, float] | None, now: dict[str, float] | None) -> float:
        """1 or 0; NaN if no face was found before. A face that is not found afterwards counts as 0."""
        if then is None:
            return float("nan")
        return float(now is not None and strength(prompt, now) - strength(prompt, then) >= CLEAR_INCREASE)
