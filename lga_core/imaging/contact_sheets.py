"""Contact sheets: a row of frames of a clip, as one PNG picture with a caption."""

from __future__ import annotations

from bisect import bisect_right
from os import PathLike
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont

from ..errors import OutputError
from ..shapes import Images
from .images import to_uint8
from .video import writing_aside

MAX_CELL = 256
"""Longest side of a frame on a contact sheet, in pixels."""
GAP = 4
"""White between the frames of a contact sheet, in pixels."""


def evenly(num_frames: int, count: int) -> list[int]:
    """Indices of at most `count` of `num_frames` frames, evenly spread, the first and the last among them."""
    if count >= num_frames:
        return list(range(num_frames))
    return [round(index * (num_frames - 1) / (count - 1)) for index in range(count)] if count > 1 else [0]


def contact_sheet(frames: Images, caption: str, source: Images | None = None, count: int = 8) -> Image.Image:
    """A row of at most `count` evenly chosen frames [n 3 h w] in -1..1, after the `source` picture, over the caption.

    Frames larger than 256 px are scaled down. The caption is wrapped, and cut where it fills four lines.
    """
    h, w = frames.shape[-2:]
    scale = min(1, MAX_CELL / max(h, w))
    cell = max(1, round(h * scale)), max(1, round(w * scale))
    pictures = _resized(frames[evenly(len(frames), count)], cell)
    if source is not None:
        pictures = torch.cat([_resized(source, cell).to(pictures), pictures])
    row = torch.cat(list(to_uint8(F.pad(pictures, (GAP, 0, GAP, GAP), value=1.0)).cpu()), dim=1)
    row = F.pad(row, (0, 0, 0, GAP), value=255)  # [h w 3]

    font = ImageFont.load_default(max(14, cell[0] // 8))
    lines = _wrap(caption, font, row.shape[1] - 2 * GAP)
    line_height = round(1.25 * font.getbbox("Äg")[3])
    sheet = Image.new("RGB", (row.shape[1], row.shape[0] + len(lines) * line_height + GAP), "white")
    sheet.paste(Image.fromarray(row.contiguous().numpy()))
    draw = ImageDraw.Draw(sheet)
    for index, line in enumerate(lines):
        draw.text((GAP, row.shape[0] + index * line_height), line, fill=(60, 60, 60), font=font)
    return sheet


def _resized(images: Images, size: tuple[int, int]) -> Images:
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size, mode="bicubic", antialias=True, align_corners=False)


def write_contact_sheet(
    path: str | PathLike[str], frames: Images, caption: str, source: Images | None = None, count: int = 8
) -> Path:
    """Write `contact_sheet(...)` as PNG to `path`. Raises OutputError when it cannot be written there."""
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path} should end in .png: a contact sheet is a PNG picture.")
    sheet = contact_sheet(frames, caption, source, count)
    with writing_aside(path) as aside:
        sheet.save(aside, "PNG")
    return path


def _wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int, most: int = 4) -> list[str]:
    """`text` in lines of at most `width` pixels, broken at spaces where there are any; at most `most` lines."""
    text = " ".join(text[:1000].split())
    lines: list[str] = []
    while text:
        fitting = max(1, bisect_right(range(1, len(text) + 1), width, key=lambda n: font.getlength(text[:n])))
        if len(lines) == most - 1 and fitting < len(text):
            return [*lines, text[: max(fitting - 2, 0)] + "…"]
        space = text.rfind(" ", 1, fitting + 1)
        end = fitting if fitting == len(text) or space < 0 else space
        lines.append(text[:end].strip())
        text = text[end:].strip()
    return lines
