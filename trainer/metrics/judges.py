"""Judges: networks that no loss uses, which look at faces before and after and say whether the words came true.

CLIP cannot: it is what a motion was trained to please.
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
    """What a judge says of n faces under one prompt, as [n] of 1 and 0, NaN for a face that it does not see before.

    rose: the named expression clearly grew. first: of all expressions it knows, the judge puts this one first; None
    for a judge that does not compare.
    """

    rose: Float[Tensor, "n"]
    first: Float[Tensor, "n"] | None = None

    @property
    def rise(self) -> float:
        """Share of the seen faces on which the expression clearly grew."""
        return self.rose.nanmean().item()

    @property
    def top1(self) -> float | None:
        return None if self.first is None else self.first.nanmean().item()


class Judge(Protocol):
    """`name` says who judges, `rule` in a sentence when an expression has clearly grown."""

    name: str
    rule: str

    def verdict(self, prompt: Prompt, before: Images, after: Images) -> JudgeVerdict | None:
        """On the same faces before and after, in -1..1; None where the judge has no opinion on this prompt."""
        ...


# What the face landmarker's blendshapes (0..1) should do under a prompt, by the beginning of their names: "eyeBlink"
# is the mean of eyeBlinkLeft and eyeBlinkRight. Prompts are left out whose blendshapes hardly answer on any face
# (noseSneer for disgust, cheekPuff) or that faces show in too many ways (annoyed, confused, serious).
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
    "winking": ("eyeBlink",),  # of one eye only: see `strength`
    "looking up": ("eyeLookUp",),
    "looking down": ("eyeLookDown",),
}
CLEARLY = 0.2
"""Growth of a strength, in units of blendshapes, that a person sees too."""


def strength(prompt: str, blendshapes: Mapping[str, float]) -> float:
    """How much a face shows the expression, 0..1: the mean over its blendshapes, or how unlike the two eyes are."""
    if prompt == "winking":
        return abs(blendshapes["eyeBlinkLeft"] - blendshapes["eyeBlinkRight"])
    sides = [[v for name, v in blendshapes.items() if name.startswith(start)] for start in BLENDSHAPES[prompt]]
    return sum(sum(values) / len(values) for values in sides) / len(sides)


class BlendshapeJudge:
    """MediaPipe's Face Landmarker with blendshapes, on human faces: `model` is its .task file."""

    name = "MediaPipe's blendshapes"
    rule = f"the blendshapes that stand for the prompt grew by at least {CLEARLY} on their scale from 0 to 1"

    def __init__(self, model: Path) -> None:
        """Raises InputError without the file or without MediaPipe: before a training, not at its end."""
        if not model.is_file():
            raise InputError(
                f"There is no face landmarker at {model}. Give the path of MediaPipe's face_landmarker.task, or train "
                "without it."
            )
        if not has_mediapipe():
            raise InputError(
                "Judging faces by blendshapes needs MediaPipe, which is not installed. Install it with `pip install "
                "mediapipe`, or train without a face landmarker."
            )
        self.model = model
        self._before: tuple[Images, list[dict[str, float] | None]] | None = None  # the faces seen last

    def verdict(self, prompt: Prompt, before: Images, after: Images) -> JudgeVerdict | None:
        if prompt.prompt not in BLENDSHAPES:
            return None
        if self._before is None or self._before[0] is not before:
            self._before = before, read_blendshapes(self.model, before)
        pairs = list(zip(self._before[1], read_blendshapes(self.model, after), strict=True))
        rose = torch.tensor([self._rose(prompt.prompt, then, now) for then, now in pairs])
        return None if rose.isnan().all() else JudgeVerdict(rose)

    def _rose(self, prompt: str, then: dict[str, float] | None, now: dict[str, float] | None) -> float:
        """1 or 0; NaN where no face was found before. A face that is lost on the way has not grown an expression."""
        if then is None:
            return float("nan")
        return float(now is not None and strength(prompt, now) - strength(prompt, then) >= CLEARLY)
