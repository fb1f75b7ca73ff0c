"""Images in and out: files and [n h w c] in 0..1 outside the core, [n c h w] in -1..1 inside; the only converter."""

from __future__ import annotations

import struct
import warnings
from os import PathLike
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import InputError
from ..shapes import FramesUInt8, Images, ImagesNHWC

MAX_SIDE = 16384
"""Longest side, in pixels, that is decoded; refused from the header, before any memory is taken."""
READABLE = "PNG, JPEG, WebP, GIF, BMP or TIFF"
# What Pillow's decoders raise on damaged files.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, RuntimeError, struct.error)


def load_image(path: str | PathLike[str]) -> Images:
    """The picture at `path` as [1 3 h w] in -1..1.

    Any mode (grey, palette, 16 bit, float, CMYK, with alpha), turned as its EXIF says; transparency becomes white, and
    an animated file gives its first frame. Raises InputError, in one line, for whatever is no such picture.
    """
    path = Path(path)
    _check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd tags; what cannot be read raises.
            with Image.open(path) as image:
                _check_header(path, image)
                return to_nchw(_pixels(ImageOps.exif_transpose(image))[None])
    except UnidentifiedImageError as err:
        raise InputError(f"{path} is not a picture that can be read. Give a {READABLE} file.") from err
    except Image.DecompressionBombError as err:
        raise InputError(f"{path} is too large to be a face ({err}). Scale it down first.") from err
    except PermissionError as err:
        raise InputError(f"{path} may not be read: permission denied. Change its permissions or copy it.") from err
    except _DAMAGED as err:
        raise InputError(f"{path} is damaged or cut short and cannot be read ({err}). Fetch or save it again.") from err


def to_nhwc(images: Images) -> ImagesNHWC:
    """[n c h w] in -1..1 to [n h w c] in 0..1, clamped."""
    return ((images + 1) / 2).clamp(0, 1).movedim(1, -1).contiguous()


def to_nchw(images: ImagesNHWC) -> Images:
    """[n h w c] in 0..1 to [n 3 h w] in -1..1. One channel is grey; a fourth, or second, is alpha, laid on white."""
    channels = images.shape[-1]
    if channels in (2, 4):
        alpha = images[..., -1:]
        images = images[..., :-1] * alpha + (1 - alpha)
    images = images.movedim(-1, 1) * 2 - 1
    return images.expand(-1, 3, -1, -1).contiguous()


def to_uint8(images: Images) -> FramesUInt8:
    """[n c h w] in -1..1 to [n h w c] in 0..255, rounded and clamped: what encoders take."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).movedim(1, -1).contiguous()


def fit_square(images: Images, size: int) -> Images:
    """Pictures cropped to their central square and resized to `size` pixels, bicubic and antialiased."""
    h, w = images.shape[-2:]
    side = min(h, w)
    top, left = (h - side) // 2, (w - side) // 2
    images = images[..., top : top + side, left : left + side]
    if side == size:
        return images
    return F.interpolate(images, (size, size), mode="bicubic", antialias=True, align_corners=False)


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder. Give one picture in it.")
        if not path.exists():
            raise InputError(f"There is no file at {path}. Check the path.")
        if path.stat().st_size == 0:
            raise InputError(f"{path} is an empty file (0 bytes). Fetch or save the picture again.")
    except (OSError, ValueError) as err:  # A name too long, a loop of links, a zero byte, a closed folder.
        raise InputError(f"{path} cannot be read: {getattr(err, 'strerror', None) or err}. Check the path.") from err


def _check_header(path: Path, image: Image.Image) -> None:
    if max(image.size) > MAX_SIDE:
        w, h = image.size
        raise InputError(f"{path} is {w} x {h} pixels; a side may have {MAX_SIDE} at most. Scale it down first.")
    if image.format == "EPS":  # Pillow would hand it to Ghostscript, which runs programs.
        raise InputError(f"{path} is a PostScript drawing. Save it as PNG first.")


def _pixels(image: Image.Image) -> torch.Tensor:
    """[h w c] in 0..1 with c = 1, 3 or 4."""
    w, h = image.size
    if image.mode[0] in "IF":  # 16 and 32 bit integers, floats: one channel, no fixed range.
        values = torch.frombuffer(bytearray(image.convert("F").tobytes()), dtype=torch.float32).nan_to_num(0, 0, 0)
        return (values / _white(image.mode, float(values.max()))).clamp(0, 1).reshape(h, w, 1)
    transparent = "transparency" in image.info or image.getbands()[-1] in ("A", "a")
    image = image.convert("RGBA" if transparent else "RGB")
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).reshape(h, w, -1) / 255


def _white(mode: str, largest: float) -> float:
    """The value of white: 16 bit says it; else the smallest usual one that holds the picture's largest value."""
    if mode.startswith("I;16"):
        return 65535.0
    usual = (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
    return next((white for white in usual if largest <= white), largest)
