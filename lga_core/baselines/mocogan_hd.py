"""MoCoGAN-HD's motion generator, the baseline that moves a face without words.

Tian et al. 2021, "A Good Image Generator Is What You Need for High-Resolution Video Synthesis", section 3.1.

An LSTM takes noise at every frame and says how far to go along each principal direction of W (see `pca`). A face
moves as its training videos did, and no one says what it does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import InputError, MismatchError
from ..shapes import Motion, W, WPlus
from ..stylegan2.ops import initialize

if TYPE_CHECKING:
    from ..stylegan2.pca import PrincipalComponents  # which keeps files, and they hold models such as this one

WPath = Float[Tensor, "n t w_dim"]
Noise = Float[Tensor, "n t-1 w_dim"]
State = tuple[Float[Tensor, "n h"], Float[Tensor, "n h"]]


@dataclass(frozen=True)
class MocoganConfig:
    """What distinguishes one such generator from another. Raises ValueError for values none can have.

    Attributes:
        w_dim: of the StyleGAN2 generator, also the width of the noise.
        hidden_dim: width of the LSTM's state.
        num_directions: principal directions of W that it moves along.
        step_size: factor on a step, whose numbers lie in -1..1 standard deviations of W before it.
    """

    w_dim: int = 512
    hidden_dim: int = 384
    num_directions: int = 384
    step_size: float = 0.2

    def __post_init__(self) -> None:
        for name in ("w_dim", "hidden_dim", "num_directions"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= 16384:
                raise ValueError(f"{name} is {value!r}; it must be a whole number from 1 to 16384")
        if self.num_directions > self.w_dim:
            raise ValueError(f"num_directions is {self.num_directions}; W has {self.w_dim} directions")
        if not 0 < self.step_size < math.inf:
            raise ValueError(f"step_size is {self.step_size!r}; it must be a positive number")


class DirectionHead(nn.Module):
    """How far along each direction, in -1..1, from the LSTM's state: tanh(h W + b)."""

    def __init__(self, config: MocoganConfig):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.hidden_dim, config.num_directions))
        self.bias = nn.Parameter(torch.empty(config.num_directions))

    def draw(self, rng: torch.Generator) -> None:
        nn.init.normal_(self.weight, std=0.02, generator=rng)
        nn.init.zeros_(self.bias)

    def forward(self, h: Float[Tensor, "n h"]) -> Float[Tensor, "n p"]:
        return torch.tanh(h @ self.weight + self.bias)


class MocoganMotion(nn.Module):
    """The motion generator. `seed` draws its initial weights: orthogonal for each gate, biases zero.

    start: an LSTM cell that reads the first frame's w. cell: that of all further frames, which reads noise.
    reconstruct: the noise of a step from the state after it; training asks for it, so that noise is not passed over.
    """

    def __init__(self, config: MocoganConfig, seed: int = 0):
        super().__init__()
        self.config = config
        self.start = nn.LSTMCell(config.w_dim, config.hidden_dim)
        self.cell = nn.LSTMCell(config.w_dim, config.hidden_dim)
        self.directions = DirectionHead(config)
        widths = 2 * config.hidden_dim, config.w_dim
        self.reconstruct = nn.Sequential(nn.Linear(*widths), nn.ReLU(), nn.Linear(config.w_dim, config.w_dim))
        initialize(self, seed)
        for number, cell in enumerate((self.start, self.cell)):
            _initialize_cell(cell, 2 * seed + number)

    def rollout(self, w: W, noise: Noise, pca: PrincipalComponents) -> tuple[WPath, Noise]:
        """The codes w_1 .. w_T of a clip that begins at `w` [n w_dim], and the noise as it can be told from the states.

        w_t = w_(t-1) + step_size m_t (directions of W, each as long as its standard deviation).
        Raises MismatchError for principal directions of another W, or too few of them.
        """
        steps = self._steps(pca).to(w)
        path, reconstructed = [w], []
        state: State = self.start(w)
        for each in noise.unbind(dim=1):
            state = self.cell(each, state)
            path.append(path[-1] + self.config.step_size * (self.directions(state[0]) @ steps))
            reconstructed.append(self.reconstruct(torch.cat(state, dim=1)))
        return torch.stack(path, dim=1), torch.stack(reconstructed, dim=1) if reconstructed else noise

    def forward(self, ws: WPlus, pca: PrincipalComponents, num_frames: int = 16, seed: int = 0) -> Motion:
        """A motion [n num_frames num_ws w_dim] of the faces `ws` [n num_ws w_dim], the same in all rows.

        It was trained on W: of a face in W+ the mean row is where it begins. Every face has noise of its own.
        Raises InputError for fewer than one frame, MismatchError as `rollout`.
        """
        if num_frames < 1:
            raise InputError(f"A motion of {num_frames} frames was asked for; it needs at least 1.")
        rng = torch.Generator().manual_seed(seed)
        noise = torch.randn(len(ws), num_frames - 1, self.config.w_dim, generator=rng).to(ws)
        path, _ = self.rollout(ws.mean(dim=1), noise, pca)
        return (path - path[:, :1])[:, :, None].expand(-1, -1, ws.shape[1], -1)

    def _steps(self, pca: PrincipalComponents) -> Float[Tensor, "p w_dim"]:
        found, need = pca.directions.shape, (self.config.num_directions, self.config.w_dim)
        if found[0] < need[0] or found[1] != need[1]:
            raise MismatchError(
                f"{found[0]} principal directions of width {found[1]} were given, but this motion generator moves "
                f"along {need[0]} of width {need[1]}. Use those of the generator that it was trained with."
            )
        return pca.directions[: need[0]]


def _initialize_cell(cell: nn.LSTMCell, seed: int) -> None:
    """Orthogonal weights for each of the four gates, zero biases."""
    if cell.weight_ih.is_meta:
        return  # only shapes: about to be filled from a file
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in (cell.weight_ih, cell.weight_hh):
            for gate in weight.chunk(4):
                nn.init.orthogonal_(gate, generator=rng)
        for bias in (cell.bias_ih, cell.bias_hh):
            nn.init.zeros_(bias)


def reconstruction_loss(reconstructed: Noise, noise: Noise) -> Float[Tensor, ""]:
    """Minus the mean cosine of the noise and what could be told of it: a bound on their mutual information."""
    return -F.cosine_similarity(reconstructed, noise, dim=-1).mean()
