"""Paste a face back into its photo through a feathered mask, at the photo's full resolution."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError, MismatchError
from ..imaging.color_transfer import match_colors
from ..imaging.filters import blur, cell_centers, resized, smoothstep
from ..imaging.images import to_nchw, to_nhwc
from ..imaging.optical_flow import agreement
from ..shapes import Images, ImagesNHWC, Mask
from .alignment import Alignment
from .cropping import MOST_SAMPLES, crop, num_squares

RADII, LOWER = (0.82, 0.9), 0.06
"""The face's ellipse in an FFHQ square, in halves of its side: right and down, and how far its middle lies below."""
RIM = 0.06
"""Width, in halves of the square's side, of the way to 0 that any mask has inside the square's border."""


EDGE = 0.04
"""Standard deviation, in halves of the square's side, of the blur that a mask of ones and zeros gets."""


@dataclass(frozen=True, eq=False)
class PastedFaces:
    """Photos with their faces, and the share of the face in each of their pixels: 0 where the photo is untouched."""

    images: Images
    mask: Mask


def face_mask(size: int, feather: float = 0.35, device: torch.device | str | None = None) -> Mask:
    """An ellipse around the face in an FFHQ square, [1 1 size size]: 1 within, 0 before the square's border.

    feather: width of the soft edge, in radii of the ellipse; 0 is a hard edge, 1 reaches the middle. Raises InputError.
    """
    if not 0 <= feather <= 1:
        raise InputError(f"The feather is {feather}; it must be from 0, a hard edge, to 1, soft up to the middle.")
    centers = cell_centers(size, torch.empty(0, device=device))
    reach = torch.hypot(centers / RADII[0], (centers[:, None] - LOWER) / RADII[1])
    return smoothstep((1 - reach) / max(feather, 1e-6))[None, None]


def paste_back(
    photo: Images, faces: Images, alignment: Alignment, mask: Mask | None = None, rest: Images | None = None
) -> PastedFaces:
    """Photos [n 3 h w] in which `faces` [n 3 s s] take the place of what `alignment` found, at the photo's resolution.

    Where a face looks as the photo does there, the photo's own fine texture stays: a face that equals the photo's crop
    changes nothing to speak of. Pixels where the mask is 0 stay the photo's, bit for bit. One photo serves many faces,
    and one alignment. For several faces in one photo, paste into `PastedFaces.images`.

    Args:
        photo: [n or 1, 3, h, w] in -1..1, the pictures that were aligned.
        faces: in the squares of `alignment`, of any size; of smaller size than the squares they are enlarged, bicubic.
        mask: where the face goes, 0..1: of the photo's size, [n or 1, 1, h, w], or of the square, [n or 1, 1, k, k].
            Beyond the square it is 0 in any case. One of ones and zeros gets a soft edge, inwards. None: `face_mask`.
        rest: the faces without their motion, [n or 1, 3, s, s]. Given, colours are matched: those of `rest` to the
            photo's, and `faces` by as much, so that colours that the motion changes stay changed.

    Raises MismatchError or InputError for parts that do not belong together.
    """
    n = _num_faces(photo, faces, alignment, mask, rest)
    images = photo.expand(n, -1, -1, -1).clone()
    shares = images.new_zeros(n, 1, *photo.shape[-2:])
    for i in range(n):
        own_mask, own_rest = (None if part is None else _own(part, i).to(photo) for part in (mask, rest))
        one = alignment.part(i, i + 1).like(photo)
        _paste(images[i : i + 1], shares[i : i + 1], one, _own(faces, i).to(photo), own_mask, own_rest)
    return PastedFaces(images, shares)


def paste_frames(
    photos: ImagesNHWC,
    faces: ImagesNHWC,
    alignment: Alignment,
    masks: Float[Tensor, "n h w"] | None = None,
    rest: ImagesNHWC | None = None,
) -> Iterator[tuple[ImagesNHWC, Float[Tensor, "1 h w"]]]:
    """The frames of a clip one by one, pasted [1 h w 3] in 0..1 with the face's share of each pixel [1 h w].

    See `paste_back`; one image of any input serves all frames. Where the share is 0 the photo's values stay bit for
    bit, see `keep_photo`. Sides are cut to even numbers of pixels, as video encoders need.
    """
    height, width = (side - side % 2 for side in photos.shape[1:3])
    for i in range(max(len(photos), len(faces))):
        photo, face = (to_nchw(_own(each, i)) for each in (photos, faces))
        mask = None if masks is None else _own(masks, i)[:, None]
        pasted = paste_back(
            photo, face, alignment.part(i, i + 1), mask, None if rest is None else to_nchw(_own(rest, i))
        )
        whole = keep_photo(to_nhwc(pasted.images), _own(photos, i), pasted.mask)
        yield whole[:, :height, :width], pasted.mask[:, 0, :height, :width]


def keep_photo(pasted: ImagesNHWC, photo: ImagesNHWC, mask: Mask) -> ImagesNHWC:
    """`pasted` with the photo's own values, bit for bit, where the mask [n 1 h w] is 0.

    Converting [n h w c] in 0..1 to -1..1 and back rounds, so that pixels nobody touched would differ in their last bit.
    """
    return torch.where(mask.movedim(1, -1) > 0, pasted, photo[..., : pasted.shape[-1]])


def _own(images: Tensor, i: int) -> Tensor:
    return images if len(images) == 1 else images[i : i + 1]


def _num_faces(photo: Images, faces: Images, alignment: Alignment, mask: Mask | None, rest: Images | None) -> int:
    counts = [num_squares(photo, alignment), *(len(part) for part in (faces, mask, rest) if part is not None)]
    n = max(counts)
    if any(count not in (1, n) for count in counts):
        raise MismatchError(
            f"{len(faces)} faces are to be pasted into {len(photo)} photos with {len(alignment)} alignments; there "
            "must be one of each, or as many as there are frames, of mask and faces at rest too."
        )
    square = faces.shape[-2:] == (faces.shape[-1],) * 2 and (rest is None or rest.shape[1:] == faces.shape[1:])
    if not square:
        found = "none" if rest is None else list(rest.shape)
        raise MismatchError(
            f"Faces of shape {list(faces.shape)} and at rest {found} were given; both must be squares of one size, as "
            "the generator draws them or as the details were added."
        )
    if mask is not None and not _of_photo(mask, photo) and mask.shape[-1] != mask.shape[-2]:
        raise MismatchError(
            f"The mask has {mask.shape[-1]} x {mask.shape[-2]} pixels; it must have the photo's {photo.shape[-1]} x "
            f"{photo.shape[-2]}, or be a square as the face is."
        )
    return n


def _of_photo(mask: Mask, photo: Images) -> bool:
    return mask.shape[-2:] == photo.shape[-2:]


def _paste(image: Images, share: Mask, one: Alignment, face: Images, mask: Mask | None, rest: Images | None) -> None:
    """Put one face into its photo [1 3 h w], and what was taken of it into `share` [1 1 h w]."""
    side = max(1, min(face.shape[-1], math.ceil(float(one.side))))
    size = (side, side)
    painted = _softened(mask, one) if mask is not None and _of_photo(mask, image) else None
    of_square = face_mask(side, device=image.device).to(image) if mask is None else mask
    of_square = resized(of_square, size) if painted is None else crop(painted, one, side).clamp(0, 1)
    source, face = (resized(square, size) for square in (crop(image, one, face.shape[-1]), face.clamp(-1, 1)))
    if rest is not None:
        face = match_colors(face, resized(rest, size), source, of_square)
    kept = agreement(face, source)
    layers = torch.cat([face - kept * source, kept, of_square], dim=1)
    for rows, columns, points in _strips(one):
        drawn = F.grid_sample(layers, points, mode="bicubic", padding_mode="border", align_corners=False)
        photo = image[..., rows, columns]
        amount = drawn[:, 4:] if painted is None else painted[..., rows, columns]
        amount = amount.clamp(0, 1) * _rim(points)
        pasted = (drawn[:, :3] + drawn[:, 3:4] * photo).clamp(-1, 1)
        image[..., rows, columns] = torch.where(amount > 0, torch.lerp(photo, pasted, amount), photo)
        share[..., rows, columns] = amount


def _softened(mask: Mask, one: Alignment) -> Mask:
    """A painted mask; one with hard edges, of ones and zeros, with soft ones that lie within it."""
    if ((mask > 0) & (mask < 1)).any():
        return mask
    return (2 * blur(mask, EDGE * float(one.side) / 2) - 1).clamp(0, 1) * mask


def _strips(one: Alignment) -> Iterator[tuple[slice, slice, Float[Tensor, "1 h w 2"]]]:
    """The pixels of the photo around the square, some rows at a time, and where in the square their centres lie."""
    low, high = one.corners[0].amin(dim=0).floor().int(), one.corners[0].amax(dim=0).ceil().int()
    left, top = low.clamp_min(0).tolist()
    right, bottom = min(int(high[0]), one.width), min(int(high[1]), one.height)
    step = max(1, MOST_SAMPLES // max(1, right - left))
    for start in range(top, bottom if left < right else top, step):  # a square beside the photo has none
        rows, columns = slice(start, min(start + step, bottom)), slice(left, right)
        yield rows, columns, _points(one, rows, columns)


def _points(one: Alignment, rows: slice, columns: slice) -> Float[Tensor, "1 h w 2"]:
    y, x = (torch.arange(part.start, part.stop).to(one.axis) + 0.5 for part in (rows, columns))
    pixels = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], dim=-1)
    return one.to_square(pixels.reshape(1, -1, 2)).reshape(1, len(y), len(x), 2)


def _rim(points: Float[Tensor, "1 h w 2"]) -> Mask:
    """1 within the square, 0 at its border and beyond."""
    return smoothstep((1 - points.abs().amax(dim=-1)) / RIM)[:, None]
