"""Keyframes: an intensity curve over a clip, written as text, and the easing functions between its keys."""

import math
import re
import unicodedata
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError

EXAMPLE = "0:0, 50%:1 bounce, end:0"
MAX_VALUE = torch.finfo(torch.float32).max
STEPS = 4
"""Jumps of the ease `steps`."""


def _overshoot(x: Float[Tensor, "k"]) -> Float[Tensor, "k"]:
    """Exceeds 1 by a tenth at about three fifths of the time, then returns; the constants make 0 and 1 exact."""
    return 1 + (x - 1).square() * (2.75 * (x - 1) + 1.75)


def _bounce(x: Float[Tensor, "k"]) -> Float[Tensor, "k"]:
    """Falls to 1 and bounces three times: the minimum of four parabolas, which meet at v = 1, 2 and 2.5."""
    v = 2.75 * x
    falls = [v.square(), (v - 1.5).square() + 0.75, (v - 2.25).square() + 0.9375, (v - 2.625).square() + 0.984375]
    return torch.stack(falls).amin(dim=0)


EASES: dict[str, Callable[[Float[Tensor, "k"]], Float[Tensor, "k"]]] = {
    "linear": lambda x: x,
    "ease in": lambda x: x.square(),
    "ease out": lambda x: x * (2 - x),
    "ease in and out": lambda x: x.square() * (3 - 2 * x),
    "overshoot": _overshoot,
    "bounce": _bounce,
    "steps": lambda x: (STEPS * x).floor() / STEPS,
}
"""Easing functions, time 0..1 -> progress 0..1. Each maps 0 to 0 and 1 to 1 exactly; only `overshoot` exceeds 1."""


def ease_function(name: str, entry: str = "") -> Callable[[Float[Tensor, "k"]], Float[Tensor, "k"]]:
    """The easing function `name`; `entry` is the keyframe that names it. Raises InputError for an unknown name."""
    if name not in EASES:
        where = f'In the entry "{entry}", "{name}"' if entry else f'"{name}"'
        raise InputError(f"{where} is not the name of an ease. Use one of: {', '.join(EASES)}.")
    return EASES[name]


NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?"
_KEY = re.compile(
    rf"(?:(?P<end>end)|(?P<frame>{NUMBER}) ?(?P<percent>%)?) ?: ?"
    rf"(?P<bracket>\( ?)?(?P<value>{NUMBER})(?(bracket) ?\)) ?(?P<ease>[a-z ]*)"
)


def keyframes(text: str, num_frames: int, ease: str = "linear") -> Float[Tensor, "t"]:
    """Intensity curve from keyframes written as text, such as "0:0, 12:1, 24:0": float32 [num_frames].

    Entries are frame:value, separated by commas, semicolons or new lines, in any order. A frame is a number (from 0;
    fractions and frames beyond the clip are allowed), a percentage of the clip ("50%"; 100% is the last frame) or
    "end". An entry may name the easing of the segment before it ("12:1 bounce"); other segments use `ease`. The curve
    is constant before the first and after the last keyframe. Empty text is the constant 1.

    Brackets around a value, as in "12:(1)", and full-width punctuation are accepted.

    Raises InputError for an entry that cannot be parsed, a frame named twice, and an unknown ease.
    """
    ease_function(ease)
    keys: dict[float, tuple[float, str, str]] = {}  # frame -> value, ease, entry
    for entry in entries(text):
        frame, value, own_ease = _key(entry, num_frames)
        if frame in keys:
            raise InputError(
                f'The keyframes "{keys[frame][2]}" and "{entry}" name the same frame, {frame:g}, of a clip of '
                f"{num_frames} frames (the last is {num_frames - 1}). Keep one of them."
            )
        keys[frame] = value, own_ease or ease, entry
    if not keys:
        return torch.ones(num_frames)

    frames = torch.arange(num_frames, dtype=torch.float64)
    order = sorted(keys)
    curve = torch.full_like(frames, keys[order[0]][0])
    for start, end in zip(order, order[1:], strict=False):
        (before, _, _), (after, name, _) = keys[start], keys[end]
        way = EASES[name](((frames - start) / (end - start)).clamp(0, 1))
        curve = torch.where(frames > start, (1 - way) * before + way * after, curve)
    return curve.float()


def entries(text: str) -> list[str]:
    """Non-empty entries between commas, semicolons and new lines, in lower case, with single spaces."""
    parts = re.split(r"[,;\n\r]", unicodedata.normalize("NFKC", text))
    return [entry for part in parts if (entry := " ".join(part.lower().split()))]


def _key(entry: str, num_frames: int) -> tuple[float, float, str]:
    """Frame, value and ease ("" for none) of one entry such as "50% : 1 ease in"."""
    match = _KEY.fullmatch(entry)
    if match is None:
        raise InputError(
            f'The keyframe "{entry}" cannot be read. Write frame:value, decimals with a point, for example: {EXAMPLE}'
        )
    last = num_frames - 1
    frame = last if match["end"] else float(match["frame"])
    if match["percent"]:
        frame = frame * last / 100
    value = float(match["value"])
    if not 0 <= frame < math.inf:
        raise InputError(
            f'The keyframe "{entry}" names frame {frame:g}; frames are counted from 0. For example: {EXAMPLE}'
        )
    if abs(value) > MAX_VALUE:
        raise InputError(f'The value of the keyframe "{entry}" is too large. For example: {EXAMPLE}')
    if match["ease"]:
        ease_function(match["ease"], entry)
    return frame, value, match["ease"]
