"""What an artist keeps and passes on: faces and movements, each of which fits one generator only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F

from .errors import MismatchError
from .shapes import Motion, WPlus


@dataclass(frozen=True)
class ModelId:
    """Which model something belongs to: its fingerprint, and a name for people."""

    fingerprint: str
    name: str

    @classmethod
    def in_metadata(cls, metadata: Mapping[str, Any], part: str = "generator") -> ModelId | None:
        """The model that a file's metadata says the file was made for; None where it does not say."""
        fingerprint = metadata.get(f"{part}_fingerprint")
        return None if fingerprint is None else cls(str(fingerprint), str(metadata.get(part, "unnamed")))

    def __str__(self) -> str:
        return f"'{self.name}' ({self.fingerprint})"

    def check(self, other: ModelId, what: str, other_what: str) -> None:
        """Raise MismatchError, in the words `what` self, but `other_what` other, unless both are one model."""
        if self.fingerprint != other.fingerprint:
            raise MismatchError(f"{what} {self}, but {other_what} {other}. Use parts of one domain.")


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces `ws` [n num_ws w_dim] of one `generator`; None where their file does not say which."""

    ws: WPlus
    generator: ModelId | None

    def with_ws(self, ws: WPlus) -> Faces:
        return replace(self, ws=ws)

    def check_same_generator(self, other: Faces) -> None:
        """Raise MismatchError, naming both sides, unless both are faces of one generator."""
        if self.generator is not None and other.generator is not None:
            self.generator.check(other.generator, "Faces a are of the generator", "faces b are of")

    def check_drawable(self, generator: ModelId, num_ws: int) -> None:
        """Raise MismatchError, naming both sides, unless this generator draws these faces."""
        if self.generator is not None:
            self.generator.check(generator, "The faces were made for the generator", "the generator here is")
        if self.ws.shape[1] != num_ws:
            raise MismatchError(_wrong_rows("The faces have", self.ws.shape[1], num_ws))


@dataclass(frozen=True, eq=False)
class Movement:
    """Offsets [n t num_ws w_dim] to faces of one `generator`: one movement for all faces (n = 1), or each its own.

    `generator` is None for a movement whose motion model does not say which generator it was trained for. One that
    moves styles has wider rows, see `StyleSpace`.
    """

    offsets: Motion
    generator: ModelId | None

    @property
    def num_frames(self) -> int:
        return self.offsets.shape[1]

    def with_offsets(self, offsets: Motion) -> Movement:
        return replace(self, offsets=offsets)

    def check_fits(self, faces: Faces) -> None:
        """Raise MismatchError, naming both sides, unless these faces can make this movement."""
        if self.generator is not None and faces.generator is not None:
            self.generator.check(faces.generator, "The motion was made for the generator", "the faces belong to")
        n, _, rows, width = self.offsets.shape
        if (rows, width) != tuple(faces.ws.shape[1:]):
            if rows != faces.ws.shape[1]:
                raise MismatchError(_wrong_rows("The motion has", rows, faces.ws.shape[1]))
            raise MismatchError(
                f"The motion's style vectors are {width} numbers wide, but the faces' are {faces.ws.shape[2]}. Use "
                "faces and motion of one domain."
            )
        if n not in (1, len(faces.ws)):
            raise MismatchError(
                f"The motion was made for {n} faces, one each, but {len(faces.ws)} are to move. Encode the text "
                "without an image to move any number of faces alike, or with the image of these faces."
            )

    def joined(self, other: Movement) -> Movement:
        """This movement as part of one with `other`: of the generator that either says it is for.

        Raises MismatchError, naming both sides, unless both are of one generator.
        """
        if self.generator is not None and other.generator is not None:
            self.generator.check(other.generator, "One motion is for the generator", "the other is for")
        return replace(self, generator=self.generator or other.generator)

    def as_wide_as(self, other: Movement) -> Movement:
        """This movement with rows as wide as the other's, where both are of one generator and only that moves styles.

        So widened it moves none of them (see `StyleSpace`). In all other cases it stays as it is.
        """
        missing = other.offsets.shape[-1] - self.offsets.shape[-1]
        mine, others = (each.generator and each.generator.fingerprint for each in (self, other))
        if missing <= 0 or mine is None or mine != others:
            return self
        return self.with_offsets(F.pad(self.offsets, (0, missing)))


def _wrong_rows(subject: str, found: int, need: int) -> str:
    return (
        f"{subject} {found} style vectors, which is what {_pixels(found)} px generators take, but {need} "
        f"({_pixels(need)} px) are needed here. Use faces, motion and generator of one domain."
    )


def _pixels(num_ws: int) -> int:
    return 2 ** (num_ws // 2 + 1)
