"""StyleCLIP's latent mapper: a small network, trained for one text, from a W+ code to offsets that edit it.

Patashnik et al. 2021, section 5: w + 0.1 M(w), with separate networks for the coarse, medium and fine rows of W+.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from ...errors import MismatchError
from ...shapes import Motion, WPlus
from ...stylegan2.ops import EqualLinear, initialize, leaky_relu, normalize_second_moment
from .interpolation import linear_motion

LEVELS = {"coarse": slice(0, 4), "medium": slice(4, 8), "fine": slice(8, None), "all": slice(0, None)}
"""Rows of W+ of each network."""


@dataclass(frozen=True)
class LatentMapperConfig:
    """Architecture of a latent mapper. Raises ValueError for values outside the allowed ranges.

    Attributes:
        w_dim: width of the generator's W.
        levels: its networks: `all` for all rows, or some of `coarse`, `medium` and `fine`. Rows without a network do
            not change.
        num_layers: layers per network.
        strength: factor on the output, 0.1 as published.
    """

    w_dim: int = 512
    levels: tuple[str, ...] = ("coarse", "medium", "fine")
    num_layers: int = 4
    strength: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))  # a file has a list
        allowed = [name for name in LEVELS if name in self.levels]
        if not allowed or list(self.levels) != allowed or ("all" in allowed and len(allowed) > 1):
            raise ValueError(f"levels are {self.levels!r}; they must be ('all',) or some of coarse, medium and fine")
        for name, most in (("w_dim", 8192), ("num_layers", 64)):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= most:
                raise ValueError(f"{name} is {value!r}; it must be a whole number from 1 to {most}")
        if not 0 < self.strength < math.inf:
            raise ValueError(f"strength is {self.strength!r}; it must be a positive number")


class LevelMapper(nn.ModuleList):
    """Rows of W+ -> offsets, both [n rows w_dim]: pixel norm, then linear layers, each with a leaky ReLU."""

    def __init__(self, config: LatentMapperConfig):
        width = config.w_dim
        super().__init__([EqualLinear(width, width, lr_mul=0.01) for _ in range(config.num_layers)])

    def forward(self, rows: WPlus) -> WPlus:
        x = normalize_second_moment(rows)  # over the rows, dimension 1, as the published networks were trained
        for layer in self:
            x = leaky_relu(layer(x))
        return x


class LatentMapper(nn.ModuleDict):
    """The latent mapper M, with one `LevelMapper` per level. `seed` draws the initial weights."""

    def __init__(self, config: LatentMapperConfig, seed: int = 0):
        super().__init__({level: LevelMapper(config) for level in config.levels})
        self.config = config
        initialize(self, seed)

    def forward(self, ws: WPlus) -> WPlus:
        """M(w): ws [n num_ws w_dim] -> offsets [n num_ws w_dim], zero in rows without a network."""
        found = torch.zeros_like(ws)
        for level, network in self.items():
            if ws.shape[1] > (LEVELS[level].start or 0):
                found[:, LEVELS[level]] = network(ws[:, LEVELS[level]])
        return found

    def offsets(self, ws: WPlus) -> WPlus:
        """strength M(w): what an edit adds to each face [n num_ws w_dim].

        Raises MismatchError for faces of another generator's width.
        """
        if self.config.w_dim != ws.shape[2]:
            raise MismatchError(
                f"The StyleCLIP mapper takes style vectors of width {self.config.w_dim}, but the faces' vectors have "
                f"width {ws.shape[2]}. Use a mapper that was trained with this generator."
            )
        return self.config.strength * self(ws)

    def motion(self, ws: WPlus, num_frames: int = 16) -> Motion:
        """Linear motion from each face [n num_ws w_dim] to w + strength M(w), [n num_frames num_ws w_dim].

        Raises InputError for fewer than one frame, MismatchError as `offsets` does.
        """
        return linear_motion(self.offsets(ws), num_frames)
