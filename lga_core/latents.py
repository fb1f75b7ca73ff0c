"""Faces and motions with the id of the generator they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F

from .errors import MismatchError
from .shapes import Motion, WPlus


@dataclass(frozen=True)
class ModelId:
    """Id of a model: the fingerprint of its weights, and a name to display."""

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
        """Raise MismatchError("`what` self, but `other_what` other") unless both are the same model."""
        if self.fingerprint != other.fingerprint:
            raise MismatchError(f"{what} {self}, but {other_what} {other}. Use models and files of one domain.")


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces: W+ codes `ws` [n num_ws w_dim] and their `generator`, None if their file does not name it."""

    ws: WPlus
    generator: ModelId | None

    def with_ws(self, ws: WPlus) -> Faces:
        return replace(self, ws=ws)

    def check_same_generator(self, other: Faces) -> None:
        """Raise MismatchError, naming both generators, unless both are faces of one generator."""
        if self.generator is not None and other.generator is not None:
            self.generator.check(other.generator, "Faces a are of the generator", "faces b are of")

    def check_drawable(self, generator: ModelId, num_ws: int) -> None:
        """Raise MismatchError, naming both generators, unless these faces belong to this generator."""
        if self.generator is not None:
            self.generator.check(generator, "The faces were made for the generator", "the generator here is")
        if self.ws.shape[1] != num_ws:
            raise MismatchError(_wrong_rows("The faces have", self.ws.shape[1], num_ws))


@dataclass(frozen=True, eq=False)
class Movement:
    """A motion: offsets [n t num_ws w_dim] to faces of one `generator`, one for all faces (n = 1) or one for each.

    `generator` is None if the motion model's file does not name its generator. A motion in StyleSpace has wider rows,
    see `StyleSpace`.
    """

    offsets: Motion
    generator: ModelId | None

    @property
    def num_frames(self) -> int:
        return self.offsets.shape[1]

    def with_offsets(self, offsets: Motion) -> Movement:
        return replace(self, offsets=offsets)

    def check_fits(self, faces: Faces) -> None:
        """Raise MismatchError, naming both generators, unless this motion can be applied to these faces."""
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
                f"The motion has offsets for each of {n} faces, but there are {len(faces.ws)} faces. Encode the "
                "text without an image for one motion of any number of faces, or with the image of these faces."
            )

    def joined(self, other: Movement) -> Movement:
        """This motion with the generator that it or `other` names, to be combined with `other`.

        Raises MismatchError, naming both generators, unless both belong to one generator.
        """
        if self.generator is not None and other.generator is not None:
            self.generator.check(other.generator, "One motion is for the generator", "the other is for")
        return replace(self, generator=self.generator or other.generator)

    def as_wide_as(self, other: Movement) -> Movement:
        """This motion with zero style offsets, if both belong to one generator and only `other` is in StyleSpace.

        Otherwise it is unchanged. See `StyleSpace`.
        """
        missing = other.offsets.shape[-1] - self.offsets.shape[-1]
        mine, others = (each.generator and each.generator.fingerprint for each in (self, other))
        if missing <= 0 or mine is None or mine != others:
            return self
        return self.with_offsets(F.pad(self.offsets, (0, missing)))


def _wrong_rows(subject: str, found: int, need: int) -> str:
    return (
        f"{subject} {found} style vectors, as for {_pixels(found)} px generators, but {need} ({_pixels(need)} px) are "
        "needed here. Use faces, motion and generator of one domain."
    )


def _pixels(num_ws: int) -> int:
    return 2 ** (num_ws // 2 + 1)
