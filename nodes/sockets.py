"""What travels between nodes besides faces, texts and motions: loaded models, with what must be known of each."""

from __future__ import annotations

from dataclasses import dataclass

from ..lga_core import ClipModel, Encoder, Generator, Identity, MismatchError, MotionCard, MotionModel, Text
from .host import Model

ROOT = "language-guided animation"
GENERATOR, ENCODER, CLIP, MOTION_MODEL = "LGA_GENERATOR", "LGA_ENCODER", "LGA_CLIP", "LGA_MOTION_MODEL"
FACES, TEXT, MOTION = "LGA_FACES", "LGA_TEXT", "LGA_MOTION"


@dataclass(frozen=True)
class LoadedGenerator:
    model: Model[Generator]
    identity: Identity

    @property
    def num_ws(self) -> int:
        return self.model.module.num_ws


@dataclass(frozen=True)
class LoadedEncoder:
    model: Model[Encoder]
    name: str
    made_for: Identity | None

    def check_fits(self, generator: LoadedGenerator) -> None:
        """Raise MismatchError, naming both sides, unless this encoder was made for this generator."""
        if self.made_for is not None:
            self.made_for.check(
                generator.identity, f"The encoder '{self.name}' was made for the generator", "the generator here is"
            )
        found, need = self.model.module.config.num_ws, generator.num_ws
        if found != need:
            raise MismatchError(
                f"The encoder '{self.name}' finds {found} style vectors a face, but the generator "
                f"'{generator.identity.name}' draws from {need}. Choose an encoder made for this generator."
            )


@dataclass(frozen=True)
class LoadedClip:
    model: Model[ClipModel]
    identity: Identity


@dataclass(frozen=True)
class LoadedMotionModel:
    model: Model[MotionModel]
    name: str
    card: MotionCard

    def check_clip(self, clip: Identity, width: int) -> None:
        """Raise MismatchError, naming both sides, unless this model was trained with this CLIP model."""
        if self.card.clip is not None:
            self.card.clip.check(clip, f"The motion model '{self.name}' was trained with the CLIP model", "this one is")
        need = self.model.module.config.code_dim
        if width != need:
            raise MismatchError(
                f"The motion model '{self.name}' takes embeddings of {need} numbers, but those of the CLIP model "
                f"'{clip.name}' have {width}. Load the CLIP model that the motion model was trained with."
            )

    def check_text(self, text: Text) -> None:
        self.check_clip(text.clip, text.embeddings.shape[1])
