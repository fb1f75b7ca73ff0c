"""What the sockets carry besides faces, texts and motions: loaded models with what nodes must know of each."""

from __future__ import annotations

from dataclasses import dataclass

from ..lga_core import ClipModel, Encoder, Faces, Generator, MismatchError, MotionModel, Movement
from ..lga_core.domain import MotionCard
from ..lga_core.faces import FFHQ, Framing
from ..lga_core.faces.detection import DomainDetector
from ..lga_core.inversion import WeightDelta
from ..lga_core.latents import ModelId
from ..lga_core.metrics import IdentityNetwork
from ..lga_core.motion import Text
from ..lga_core.shapes import FacePoints
from ..lga_core.stylegan2 import is_stylespace_motion
from .host import Model

ROOT = "language-guided animation"
GENERATOR, ENCODER, CLIP, MOTION_MODEL = "LGA_GENERATOR", "LGA_ENCODER", "LGA_CLIP", "LGA_MOTION_MODEL"
FACES, TEXT, MOTION = "LGA_FACES", "LGA_TEXT", "LGA_MOTION"
PLACES, ALIGNMENT, IDENTITY = "LGA_PLACES", "LGA_ALIGNMENT", "LGA_IDENTITY"


@dataclass(frozen=True)
class LoadedGenerator:
    """A generator. `identity`: the one whose faces and motions it draws. `tuned`: the weight delta of pivotal tuning.

    framing: where in its images the faces are. detector: the face detector of its domain.
    """

    model: Model[Generator]
    identity: ModelId
    framing: Framing = FFHQ
    detector: Model[DomainDetector] | None = None
    tuned: WeightDelta | None = None

    @property
    def num_ws(self) -> int:
        return self.model.module.num_ws

    def check_draws(self, faces: Faces, motion: Movement) -> None:
        """Raise MismatchError, naming both sides, unless this generator draws these faces making this movement.

        A movement may be one in StyleSpace too, see `generator_for_motion`.
        """
        faces.check_drawable(self.identity, self.num_ws)
        if is_stylespace_motion(self.model.module, motion.offsets):
            motion = motion.with_offsets(motion.offsets[..., : self.model.module.config.w_dim])
        motion.check_fits(faces)


@dataclass(frozen=True)
class Places:
    """Landmarks of a face in images of `height` x `width` pixels: `points` [n 5 2], NaN where it was not detected."""

    points: FacePoints
    height: int
    width: int

    def check_of(self, height: int, width: int, count: int) -> None:
        """Raise MismatchError unless these are landmarks of `count` images of this size."""
        if (self.height, self.width) != (height, width) or len(self.points) not in (1, count):
            raise MismatchError(
                f"The face was detected in {len(self.points)} images of {self.width} x {self.height} pixels, but there "
                f"are {count} of {width} x {height} here. Connect the same images to Detect Faces and Align Face."
            )


@dataclass(frozen=True)
class LoadedIdentity:
    model: Model[IdentityNetwork]
    name: str


@dataclass(frozen=True)
class LoadedEncoder:
    model: Model[Encoder]
    name: str
    made_for: ModelId | None

    def check_fits(self, generator: LoadedGenerator) -> None:
        """Raise MismatchError, naming both sides, unless this encoder was made for this generator."""
        if self.made_for is not None:
            self.made_for.check(
                generator.identity, f"The encoder '{self.name}' was made for the generator", "the generator here is"
            )
        found, need = self.model.module.config.num_ws, generator.num_ws
        if found != need:
            raise MismatchError(
                f"The encoder '{self.name}' gives {found} style vectors per face, but the generator "
                f"'{generator.identity.name}' needs {need}. Choose an encoder made for this generator."
            )


@dataclass(frozen=True)
class LoadedClip:
    model: Model[ClipModel]
    identity: ModelId


@dataclass(frozen=True)
class LoadedMotionModel:
    model: Model[MotionModel]
    name: str
    card: MotionCard

    def check_clip(self, clip: ModelId, width: int) -> None:
        """Raise MismatchError, naming both sides, unless this model was trained with this CLIP model."""
        if self.card.clip is not None:
            self.card.clip.check(clip, f"The motion model '{self.name}' was trained with the CLIP model", "this one is")
        need = self.model.module.config.code_dim
        if width != need:
            raise MismatchError(
                f"The motion model '{self.name}' takes embeddings of size {need}, but the CLIP model '{clip.name}' "
                f"gives size {width}. Load the CLIP model that the motion model was trained with."
            )

    def check_text(self, text: Text) -> None:
        self.check_clip(text.clip, text.embeddings.shape[1])
