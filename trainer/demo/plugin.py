"""What an embedded domain brings to training and evaluation: more CLIPs that score, and faces with all expressions.

Its mapping network was distilled from calm faces. Seen through it alone, a closed eye is the unlikeliest thing and
purple hair the likeliest, and a motion that keeps to what is likely pleases CLIP with the wrong one. The renderer's
attributes know better.
"""

from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ..domain_plugin import DomainPlugin
from .attribute_map import AttributeMap
from .checks.evaluation import evaluation_setup
from .checks.judge_adapter import AttributeJudge
from .embedded_domain import EmbeddedDomain
from .render_videos import rendered_videos

NUM_W_SAMPLES = 8192


def embedded_plugin(domain: EmbeddedDomain, folder: Path | None = None) -> DomainPlugin:
    """What `domain` brings, from the folder that holds its attribute map and scorers: its assets (None), or a build."""
    folder = folder or domain.assets
    attribute_map, space = AttributeMap.load(folder / "attribute_map.safetensors"), domain.attributes

    def faces(count: int, seed: int) -> Float[Tensor, "n w_dim"]:
        """Half of them calm faces, a quarter without any expression, a quarter with any.

        Where an eye is half closed already, CLIP's gradient says how to close it; on open eyes it is flat.
        """
        rng = torch.Generator().manual_seed(seed)
        calm = space.from_normal(torch.randn(count - count // 4 * 2, len(space), generator=rng))
        return attribute_map.to_w(
            torch.cat([calm, space.sample_neutral(count // 4, rng), space.sample(count // 4, rng)[0]])
        )

    def w_samples(seed: int) -> Float[Tensor, "n w_dim"]:
        return attribute_map.to_w(space.sample(NUM_W_SAMPLES, torch.Generator().manual_seed(seed))[0])

    return DomainPlugin(
        scorers=tuple(str(folder / f"{name}.safetensors") for name in domain.scorers),
        prompts=domain.prompts,
        faces=faces,
        w_samples=w_samples,
        judge=partial(AttributeJudge, domain),
        videos=partial(rendered_videos, domain),
        evaluation=partial(evaluation_setup, domain),
        skips_are_images=True,
    )
