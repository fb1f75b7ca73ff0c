"""MoCoGAN-HD's motion generator, a baseline without text.

Tian et al. 2021, "A Good Image Generator Is What You Need for High-Resolution Video Synthesis", section 3.1.

An LSTM takes noise at every frame and gives a step along each principal component of W (see `stylegan2.pca`). Motions
are like those of its training videos, without control over their content.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import InputError, MismatchError
from ..shapes import Motion, W, WPlus
from ..stylegan2.ops import initialize
from ..stylegan2.pca import PrincipalComponents

WPath = Float[Tensor, "n t w_dim"]
Noise = Float[Tensor, "n t-1 w_dim"]
State = tuple[Float[Tensor, "n h"], Float[Tensor, "n h"]]


@dataclass(frozen=True)
class MocoganConfig:
    """Architecture of a MoCoGAN-HD motion generator. Raises ValueError for values outside the allowed ranges.

    Attributes:
        w_dim: width of the StyleGAN2 generator's W, and of the noise.
        hidden_dim: width of the LSTM state.
        num_directions: number of principal components of W to move along.
        step_size: factor on a step; before it, entries are in -1..1 standard deviations of W.
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
    """Step along each principal component, in -1..1, from the LSTM's hidden state: tanh(h W + b)."""

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
    """MoCoGAN-HD's recurrent motion generator. `seed` draws the initial weights: orthogonal per gate, zero biases.

    start: LSTM cell that encodes w of the first frame. cell: LSTM cell of the other frames, with noise as input.
    reconstruct: predicts a step's noise from the state after it; its loss keeps the noise from being ignored.
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
        """Codes w_1 .. w_T [n t w_dim] of a clip from `w` [n w_dim] on, and the reconstructed noise [n t-1 w_dim].

        w_t = w_(t-1) + step_size m_t V, V the principal components scaled by their standard deviations.
        Raises MismatchError for components of another W, or too few of them.
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

        The generator works in W: it starts at the mean row of each face's W+. Each face has its own noise.
        Raises InputError for fewer than one frame, MismatchError as `rollout`.
        """
        if num_frames < 1:
            raise InputError(f"num_frames is {num_frames}; a motion needs at least 1 frame.")
        rng = torch.Generator().manual_seed(seed)
        noise = torch.randn(len(ws), num_frames - 1, self.config.w_dim, generator=rng).to(ws)
        path, _ = self.rollout(ws.mean(dim=1), noise, pca)
        return (path - path[:, :1])[:, :, None].expand(-1, -1, ws.shape[1], -1)

    def _steps(self, pca: PrincipalComponents) -> Float[Tensor, "p w_dim"]:
        found, need = pca.directions.shape, (self.config.num_directions, self.config.w_dim)
        if found[0] < need[0] or found[1] != need[1]:
            raise MismatchError(
                f"The PCA has {found[0]} principal components of width {found[1]}, but this motion generator needs "
                f"{need[0]} of width {need[1]}. Use the PCA of the generator that it was trained with."
            )
        return pca.directions[: need[0]]


def _initialize_cell(cell: nn.LSTMCell, seed: int) -> None:
    """Orthogonal weights for each of the four gates, zero biases."""
    if cell.weight_ih.is_meta:
        return  # on the meta device: a file fills it
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in (cell.weight_ih, cell.weight_hh):
            for gate in weight.chunk(4):
                nn.init.orthogonal_(gate, generator=rng)
        for bias in (cell.bias_ih, cell.bias_hh):
            nn.init.zeros_(bias)


def reconstruction_loss(reconstructed: Noise, noise: Noise) -> Float[Tensor, ""]:
    """Negative mean cosine between noise and reconstructed noise, a bound on mutual information (MoCoGAN-HD, L_m)."""
    return -F.cosine_similarity(reconstructed, noise, dim=-1).mean()
