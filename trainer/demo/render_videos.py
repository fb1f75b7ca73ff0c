"""Short rendered videos: a face makes an expression and lets it go, blinks, looks about, turns its head a little."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..data.videos import Rendered
from .attributes import AttributeSpace
from .embedded_domain import EmbeddedDomain

FRAME_RATE = 25
RISE, HOLD, FALL = (0.25, 0.6), (0.1, 0.5), (0.25, 0.6)
"""Seconds that an expression comes, stays and goes, at least and at most."""
AMOUNT = (0.6, 1.0)
BLINKS, BLINK = 0.5, 0.09
"""Share of videos with a blink, and its length, in seconds."""
PERIOD = (1.5, 4.0)
"""Of the head's and the eyes' sway, in seconds."""


def video_attributes(
    space: AttributeSpace, num_frames: int, seconds: float, rng: torch.Generator
) -> Float[Tensor, "t k"]:
    """The attributes of one face in `num_frames` pictures that are `seconds` apart."""
    times = torch.arange(num_frames) * seconds
    calm = space.from_normal(torch.randn(1, len(space), generator=rng))
    names = space.expression_prompts
    name = names[int(torch.randint(len(names), (), generator=rng))]
    begin = uniform(-0.3, 0.5, rng) * float(times[-1])
    amount = uniform(*AMOUNT, rng) * rise_and_fall(times - begin, *(uniform(*s, rng) for s in (RISE, HOLD, FALL)))
    video = torch.lerp(calm, space.with_preset(calm, name), amount[:, None])
    for attribute, width in space.sway.items():
        phase = 2 * math.pi * (times / uniform(*PERIOD, rng) + uniform(0, 1, rng))
        video[:, space.column[attribute]] += width * torch.sin(phase)
    when = uniform(0, float(times[-1]), rng) if uniform(0, 1, rng) < BLINKS else -math.inf
    closed = torch.exp(-(((times - when) / BLINK) ** 2))
    for lid in space.columns(space.lids):
        video[:, lid] = torch.maximum(video[:, lid], closed)
    return space.bounded(video)


def rise_and_fall(times: Float[Tensor, "t"], rise: float, hold: float, fall: float) -> Float[Tensor, "t"]:
    """0, smoothly up to 1 over `rise` from time 0 on, held, and smoothly down again."""
    up, down = times / rise, (times - rise - hold) / fall
    return smoothstep(up) * (1 - smoothstep(down))


def smoothstep(x: Float[Tensor, "t"]) -> Float[Tensor, "t"]:
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def uniform(low: float, high: float, rng: torch.Generator) -> float:
    return low + (high - low) * torch.rand((), generator=rng).item()


def rendered_videos(
    domain: EmbeddedDomain, count: int, num_frames: int, time_step: int, size: int, seed: int = 0
) -> Rendered:
    """`count` videos of `num_frames` frames, `time_step` frames at `FRAME_RATE` apart, at `size` pixels."""
    seconds = time_step / FRAME_RATE
    label = f"{count} rendered videos of the {domain.name} domain"
    return Rendered(lambda number: rendered_video(domain, number, num_frames, seconds, size), count, label, seed)


def rendered_video(
    domain: EmbeddedDomain, seed: int, num_frames: int, seconds: float, size: int
) -> Float[Tensor, "t 3 size size"]:
    """The video of this seed, in -1..1: as the generator's images were learned, a mean over pixels of larger ones."""
    rng = torch.Generator().manual_seed(seed)
    attributes = video_attributes(domain.attributes, num_frames, seconds, rng)
    drawn = domain.renderer.render(attributes, domain.generator.resolution)
    return F.adaptive_avg_pool2d(drawn, size)
