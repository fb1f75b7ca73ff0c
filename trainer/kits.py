"""What a domain brings to a motion's training beside generator and CLIP, where it brings anything.

A generator from elsewhere brings nothing: its faces, and how they vary, are sampled from its mapping network, and one
CLIP judges. The embedded domain has more, because its mapping network draws calm faces only: see demo/kit.py.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import Generator, fingerprint, read_domain

DEFAULT_PROMPTS = "person"


@dataclass(frozen=True)
class Kit:
    """scorers: further CLIPs, as `--score-clips` names them. prompts: a set's name.

    faces: (count, seed) -> W of faces to move [count w_dim]. variety: seed -> W of many faces with all their
    expressions [n w_dim], whose directions are the likely ones. None: sampled from the mapping network.
    """

    scorers: tuple[str, ...] = ()
    prompts: str = DEFAULT_PROMPTS
    faces: Callable[[int, int], Float[Tensor, "n w_dim"]] | None = None
    variety: Callable[[int], Float[Tensor, "n w_dim"]] | None = None


def kit_of(generator: Generator) -> Kit:
    """The kit of this generator's domain; an empty one for generators from elsewhere."""
    if not is_doodle(generator):
        return Kit()
    from .demo.kit import ASSETS, doodle_kit

    return doodle_kit(ASSETS)


def is_doodle(generator: Generator) -> bool:
    """Whether this is the embedded domain's generator, which a renderer knows more of."""
    return fingerprint(generator) == read_domain("doodle").generator.fingerprint


def sampled_variety(generator: Generator, seed: int, count: int = 8192) -> Float[Tensor, "n w_dim"]:
    """W of many random faces, untruncated: which directions faces vary in, and how far."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        z = torch.randn(count, generator.config.z_dim, generator=rng).to(generator.w_avg)
        return torch.cat([generator.mapping(chunk) for chunk in z.split(1024)])
