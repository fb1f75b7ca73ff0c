"""Detail transfer: the residual of an inversion, added back to every frame and warped along with the face."""

from __future__ import annotations

import torch

from ..errors import InputError, MismatchError
from ..imaging.filters import blur, resized
from ..imaging.optical_flow import agreement, estimate_flow, warped
from ..shapes import Images, Mask


def add_details(
    source: Images,
    reconstruction: Images,
    frames: Images,
    mask: Mask | None = None,
    finest: float = 0.0,
    coarsest: float = 1.0,
) -> Images:
    """Frames [n 3 s s] with what the source has and its reconstruction lacks, at the size s of the source.

    The loss, source - reconstruction, goes where the motion takes it: along the flow from the reconstruction to each
    frame. It is left out where a frame shows what the reconstruction did not, such as the inside of an opened mouth.
    A frame that equals the reconstruction becomes the source. Frames are independent of each other: hand over a clip in
    parts of any length.

    Args:
        source: aligned faces [n or 1, 3, s, s] in -1..1; s may be larger than the generator's size.
        reconstruction: what the generator draws of them without motion, [n or 1, 3, h, h].
        frames: what it draws under the motion, [n 3 h h].
        mask: where to, [n or 1, 1, any, any] in 0..1; None: everywhere.
        finest, coarsest: the band of sizes that is carried, in sides of the square. Structures smaller than `finest`
            or larger than `coarsest` stay lost; 0 and 1 carry all.

    Raises InputError for a band that is none, MismatchError for pictures that do not belong together.
    """
    _check(source, reconstruction, frames, finest, coarsest)
    size = (source.shape[-2], source.shape[-1])
    lost = _band(source - resized(reconstruction, size), finest, coarsest)
    if mask is not None:
        lost = lost * resized(mask.to(lost), size).clamp(0, 1)
    return torch.cat([_with(lost, reconstruction, frames, i) for i in range(len(frames))])


def _with(lost: Images, reconstruction: Images, frames: Images, i: int) -> Images:
    """Frame i with the details that are its own."""
    own, rest, frame = _own(lost, i), _own(reconstruction, i), frames[i : i + 1]
    size = (own.shape[-2], own.shape[-1])
    field = estimate_flow(rest, frame)
    kept = agreement(warped(rest, field), frame)
    return resized(frame, size) + resized(kept, size).clamp(0, 1) * warped(own, resized(field, size))


def _own(images: Images, i: int) -> Images:
    return images if len(images) == 1 else images[i : i + 1]


def _band(lost: Images, finest: float, coarsest: float) -> Images:
    """Of details in -2..2 those of a band of sizes, in sides of the picture."""
    side = lost.shape[-1]
    band = blur(lost, finest * side / 2) if finest > 0 else lost
    return band if coarsest >= 1 else band - blur(lost, coarsest * side / 2)


def _check(source: Images, reconstruction: Images, frames: Images, finest: float, coarsest: float) -> None:
    if not 0 <= finest < coarsest:
        raise InputError(
            f"Details from {finest} to {coarsest} of the square's side were asked for; the finest must be 0 or more "
            "and below the coarsest."
        )
    shapes = [list(images.shape) for images in (source, reconstruction, frames)]
    counts = {shape[0] for shape in shapes[:2]} - {1, len(frames)}
    if counts or shapes[1][1:] != shapes[2][1:] or source.shape[-2] != source.shape[-1]:
        raise MismatchError(
            f"A source of shape {shapes[0]}, its reconstruction {shapes[1]} and frames {shapes[2]} do not belong "
            "together: a square source is needed, a reconstruction of the frames' size, one of each or one a frame."
        )
