"""Short films of doodles: a face makes an expression and lets it go, blinks, looks about, turns its head a little."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ....data.videos import Rendered
from .attributes import COLUMN, EXPRESSION_PRESETS, NUM_ATTRIBUTES, bounded, from_normal, with_expression
from .render_dataset import RESOLUTION
from .renderer import render

FRAME_RATE = 25
RISE, HOLD, FALL = (0.25, 0.6), (0.1, 0.5), (0.25, 0.6)
"""Seconds that an expression comes, stays and goes, at least and at most."""
AMOUNT = (0.6, 1.0)
BLINKS, BLINK = 0.5, 0.09
"""Share of films with a blink, and its length, in seconds."""
SWAY = {"yaw": 0.3, "pitch": 0.2, "gaze_x": 0.25}
PERIOD = (1.5, 4.0)


def film_attributes(num_frames: int, seconds: float, rng: torch.Generator) -> Float[Tensor, "t k"]:
    """The attributes of one face in `num_frames` pictures that are `seconds` apart."""
    times = torch.arange(num_frames) * seconds
    calm = from_normal(torch.randn(1, NUM_ATTRIBUTES, generator=rng))
    names = tuple(EXPRESSION_PRESETS)
    name = names[int(torch.randint(len(names), (), generator=rng))]
    begin = uniform(-0.3, 0.5, rng) * float(times[-1])
    amount = uniform(*AMOUNT, rng) * swell(times - begin, *(uniform(*span, rng) for span in (RISE, HOLD, FALL)))
    film = torch.lerp(calm, with_expression(calm, name), amount[:, None])
    for attribute, width in SWAY.items():
        phase = 2 * math.pi * (times / uniform(*PERIOD, rng) + uniform(0, 1, rng))
        film[:, COLUMN[attribute]] += width * torch.sin(phase)
    when = uniform(0, float(times[-1]), rng) if uniform(0, 1, rng) < BLINKS else -math.inf
    closed = torch.exp(-(((times - when) / BLINK) ** 2))
    for lid in ("lid_left", "lid_right"):
        film[:, COLUMN[lid]] = torch.maximum(film[:, COLUMN[lid]], closed)
    return bounded(film)


def swell(times: Float[Tensor, "t"], rise: float, hold: float, fall: float) -> Float[Tensor, "t"]:
    """0, smoothly up to 1 over `rise` from time 0 on, held, and smoothly down again."""
    up, down = times / rise, (times - rise - hold) / fall
    return smooth(up) * (1 - smooth(down))


def smooth(x: Float[Tensor, "t"]) -> Float[Tensor, "t"]:
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def uniform(low: float, high: float, rng: torch.Generator) -> float:
    return low + (high - low) * torch.rand((), generator=rng).item()


def doodle_videos(count: int, num_frames: int, time_step: int, size: int, seed: int = 0) -> Rendered:
    """`count` films of `num_frames` frames, `time_step` frames at `FRAME_RATE` apart, at `size` pixels."""
    seconds = time_step / FRAME_RATE
    label = f"{count} rendered films of doodles"
    return Rendered(lambda number: doodle_film(number, num_frames, seconds, size), count, label, seed)


def doodle_film(seed: int, num_frames: int, seconds: float, size: int) -> Float[Tensor, "t 3 size size"]:
    """The film of this seed, in -1..1: as the generator's pictures were learned, a mean over pixels of larger ones."""
    drawn = render(film_attributes(num_frames, seconds, torch.Generator().manual_seed(seed)), RESOLUTION)
    return F.adaptive_avg_pool2d(drawn, size)
