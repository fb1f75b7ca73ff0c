"""What the doodle domain brings to training: two more CLIPs, and faces with all their expressions.

Its mapping network was distilled from calm faces. Seen through it alone, a closed eye is the unlikeliest thing and
purple hair the likeliest, and a motion that keeps to what is likely pleases CLIP with the wrong one. The renderer's
attributes know better.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ...domain_plugin import DomainPlugin
from . import ASSETS
from .checks.benchmark import doodle_evaluation
from .checks.judge_adapter import DoodleJudge
from .rendering.attributes import NUM_ATTRIBUTES, from_normal, sample, sample_neutral
from .rendering.render_videos import doodle_videos
from .stages.generator import AttributeMap

SCORERS = ("clip_renders", "doubter", "doubter2")
"""CLIPs that only train: one that saw renders alone, and two that were shown tricks which fool the others."""
NUM_VARIED = 8192


def plugin(folder: Path = ASSETS) -> DomainPlugin:
    """What the domain brings, from a folder that holds the attribute map and the scorers: the assets, or a build's."""
    places = AttributeMap.load(folder / "attribute_map.safetensors")

    def faces(count: int, seed: int) -> Float[Tensor, "n w_dim"]:
        """A half calm faces, a quarter without any expression, a quarter with any.

        Where an eye is half closed already, CLIP's gradient says how to close it; on open eyes it is flat.
        """
        rng = torch.Generator().manual_seed(seed)
        calm = from_normal(torch.randn(count - count // 4 * 2, NUM_ATTRIBUTES, generator=rng))
        return places.to_w(torch.cat([calm, sample_neutral(count // 4, rng), sample(count // 4, rng)[0]]))

    def w_samples(seed: int) -> Float[Tensor, "n w_dim"]:
        return places.to_w(sample(NUM_VARIED, torch.Generator().manual_seed(seed))[0])

    return DomainPlugin(
        scorers=tuple(str(folder / f"{name}.safetensors") for name in SCORERS),
        prompts="doodle",
        faces=faces,
        w_samples=w_samples,
        judge=DoodleJudge,
        videos=doodle_videos,
        evaluation=doodle_evaluation,
        skips_are_images=True,
    )
