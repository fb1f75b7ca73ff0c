"""Overlay of detected faces: box, landmarks and number of each."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from ...errors import InputError
from ...imaging.images import to_uint8
from ...shapes import Images
from .types import FoundFace

SMALLEST = 512
"""Longer side, in pixels, that smaller pictures are enlarged to, so that the marks can be read."""
_BOX, _LEFT, _RIGHT, _NOSE, _DARK = "#ffd23f", "#3bceac", "#ff5d73", "#ffffff", "#101010"
_COLORS = _LEFT, _RIGHT, _NOSE, _LEFT, _RIGHT  # of each pair the first and the second


def draw_faces(images: Images, faces: Sequence[FoundFace]) -> Image.Image:
    """The image [1 3 h w] in -1..1 as RGB, with each face marked by its index in `faces`, from 0.

    The first of both eyes and mouth corners is green, the second red, the nose white. Small images are enlarged.
    """
    if len(images) != 1:
        raise InputError(f"Faces are marked in one image, but {len(images)} are given.")
    picture = Image.fromarray(to_uint8(images.detach().float().cpu())[0].numpy())
    scale = max(1.0, SMALLEST / max(picture.size))
    if scale > 1:
        picture = picture.resize(
            (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC
        )
    for index, face in enumerate(faces):
        _mark(picture, face, index, scale)
    return picture


def _mark(picture: Image.Image, face: FoundFace, index: int, scale: float) -> None:
    draw = ImageDraw.Draw(picture)
    line = max(2, round(max(picture.size) / 400))
    left, top, right, bottom = (edge * scale for edge in face.box)
    draw.rectangle((left - line, top - line, right + line, bottom + line), outline=_DARK, width=3 * line)
    draw.rectangle((left, top, right, bottom), outline=_BOX, width=line)
    radius = max(2.0, min(1.5 * line, (right - left) / 20), (right - left) / 60)
    rim = max(1.0, radius / 2)
    for (x, y), color in zip((face.points * scale).tolist(), _COLORS, strict=True):
        for size, fill in ((radius + rim, _DARK), (radius, color)):
            draw.ellipse((x - size, y - size, x + size, y + size), fill=fill)
    _label(draw, str(index), left, top, picture.size)


def _label(draw: ImageDraw.ImageDraw, text: str, left: float, top: float, size: tuple[int, int]) -> None:
    """Draw a number on a plate above the box's upper left corner, or where the image has room near it."""
    font = ImageFont.load_default(max(16, max(size) / 40))
    x0, y0, x1, y1 = draw.textbbox((0, 0), text, font=font)
    pad = (y1 - y0) / 2
    width, height = x1 - x0 + 2 * pad, y1 - y0 + 2 * pad
    x, y = min(max(left, 0), size[0] - width), min(max(top - height, 0), size[1] - height)
    draw.rectangle((x, y, x + width, y + height), fill=_BOX)
    draw.text((x + pad - x0, y + pad - y0), text, font=font, fill=_DARK)
