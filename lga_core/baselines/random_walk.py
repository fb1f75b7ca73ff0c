"""Random walk: smooth random motion along the principal components of W, without training.

This is not MoCoGAN-HD, whose LSTM learned its steps from videos: steps are summed as there, but they are noise.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..shapes import Motion, WPlus
from ..stylegan2.pca import PrincipalComponents

RANDOM_MOTION = "random motion (untrained, not MoCoGAN-HD)"
"""Label for reports and figures."""
STEP_SIZE = 0.2
"""Step size of MoCoGAN-HD, in standard deviations of W."""


def random_motion(
    ws: WPlus,
    pca: PrincipalComponents,
    num_frames: int = 16,
    strength: float = 1.0,
    smoothness: float = 4.0,
    num_directions: int = 384,
    seed: int = 0,
) -> Motion:
    """Smooth random walk from each face: offsets [n num_frames num_ws w_dim], equal in all rows; frame 0 is zero.

    w_t = w_(t-1) + 0.2 strength m_t V, with V the principal components scaled by their standard deviations and m_t the
    hyperbolic tangent of noise smoothed over time.

    Args:
        ws: the faces, [n num_ws w_dim]; each has its own walk.
        pca: PCA of the generator's W.
        num_frames: at least 1.
        strength: factor on every step.
        smoothness: standard deviation, in frames, of the Gaussian that smooths the noise; 0: independent steps.
        num_directions: number of principal components; all if there are fewer.
        seed: of the noise.

    Raises InputError for values outside these ranges.
    """
    _check(num_frames, strength, smoothness, num_directions)
    directions = pca.directions[:num_directions].to(ws)
    rng = torch.Generator().manual_seed(seed)
    noise = smooth_noise(len(ws), num_frames - 1, len(directions), smoothness, rng).to(ws)
    steps = STEP_SIZE * strength * torch.tanh(noise) @ directions  # [n t-1 w_dim]
    path = torch.cat([steps.new_zeros(len(ws), 1, directions.shape[1]), steps.cumsum(dim=1)], dim=1)
    return path[:, :, None].expand(-1, -1, ws.shape[1], -1)


def smooth_noise(
    n: int, num_steps: int, channels: int, smoothness: float, rng: torch.Generator
) -> Float[Tensor, "n num_steps channels"]:
    """Gaussian noise of unit variance, correlated over time by a Gaussian window of deviation `smoothness` steps."""
    reach = math.ceil(3 * smoothness)
    times = torch.arange(-reach, reach + 1, dtype=torch.float32)
    window = torch.exp(-0.5 * (times / smoothness).square()) if smoothness else torch.ones(1)
    white = torch.randn(n, num_steps + 1 + 2 * reach, channels, generator=rng)  # one step more, in case of none
    return (white.unfold(1, len(window), 1) @ (window / window.norm()))[:, :num_steps]


def _check(num_frames: int, strength: float, smoothness: float, num_directions: int) -> None:
    if num_frames < 1 or num_directions < 1:
        raise InputError(f"num_frames is {num_frames} and num_directions {num_directions}; both must be at least 1.")
    if not math.isfinite(strength) or not 0 <= smoothness <= 1000:
        raise InputError(
            f"The strength is {strength} and the smoothness {smoothness}; they must be finite, the second 0 to 1000."
        )
