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
    """Passes 1 by a tenth at about three fifths of the way, and returns. Numbers chosen so that 0 and 1 are exact."""
    return 1 + (x - 1).square() * (2.75 * (x - 1) + 1.75)


def _bounce(x: Float[Tensor, "k"]) -> Float[Tensor, "k"]:
    """A ball that falls on 1 and bounces three times: the lowest of four parabolas, which meet where v is 1, 2, 2.5."""
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
"""How a way from 0 to 1 is gone, for times in 0..1. Each takes 0 to 0 and 1 to 1 exactly; only `overshoot` leaves 0..1
in between."""


def ease_function(name: str, entry: str = "") -> Callable[[Float[Tensor, "k"]], Float[Tensor, "k"]]:
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
    """A value for each of `num_frames` frames, float32, from keyframes written as text: "0:0, 12:1, 24:0".

    Entries are frame:value, separated by commas, semicolons or new lines, in any order. A frame is a number (from 0,
    fractions too, beyond the clip too), a percentage of the clip ("50%", 100% being the last frame) or "end". An entry
    may name the ease of the way that leads to it ("12:1 bounce"); other ways take `ease`. Before the first key the
    curve has its value, after the last one that one's. Empty text is the value 1 throughout.

    Brackets around a value, as in "12:(1)", and full-width punctuation are read as well.

    Raises InputError for an entry that cannot be read, a frame that is named twice, and an unknown ease.
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
    """What stands between commas, semicolons and new lines, in lower case, single spaces, blanks left out."""
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
        raise InputError(f'The keyframe "{entry}" names frame {frame:g}; frames count from 0. For example: {EXAMPLE}')
    if abs(value) > MAX_VALUE:
        raise InputError(f'The value of the keyframe "{entry}" is too large. For example: {EXAMPLE}')
    if match["ease"]:
        ease_function(match["ease"], entry)
    return frame, value, match["ease"]
