"""Random motion without training: a face wanders along the principal directions of W.

This is not MoCoGAN-HD, whose LSTM learned from videos where to go: steps are added up as there, but they are of noise.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..shapes import Motion, WPlus
from ..stylegan2.pca import PrincipalComponents

RANDOM_MOTION = "random motion (untrained, not MoCoGAN-HD)"
"""What reports and pictures of it should say."""
STEP_SIZE = 0.2
"""Of MoCoGAN-HD, in standard deviations of W for each number of a step."""


def random_motion(
    ws: WPlus,
    pca: PrincipalComponents,
    num_frames: int = 16,
    strength: float = 1.0,
    smoothness: float = 4.0,
    num_directions: int = 384,
    seed: int = 0,
) -> Motion:
    """Offsets [n num_frames num_ws w_dim] that wander smoothly from each face, the same in all rows; frame 0 is zero.

    w_t = w_(t-1) + 0.2 strength m_t (directions of W, each as long as its standard deviation), m_t in -1..1 being the
    hyperbolic tangent of noise that is smoothed over time.

    Args:
        ws: the faces, [n num_ws w_dim]; each wanders on its own.
        principal: directions of its generator's W.
        num_frames: at least 1.
        strength: factor on every step.
        smoothness: frames over which a direction is kept, more or less; 0 gives every step a direction of its own.
        num_directions: of the greatest variance; all, where there are fewer.
        seed: of the noise.

    Raises InputError for numbers that cannot be.
    """
    _check(num_frames, strength, smoothness, num_directions)
    directions = pca.directions[:num_directions].to(ws)
    rng = torch.Generator().manual_seed(seed)
    noise = smooth_noise(len(ws), num_frames - 1, len(directions), smoothness, rng).to(ws)
    steps = STEP_SIZE * strength * torch.tanh(noise) @ directions  # [n t-1 w_dim]
    way = torch.cat([steps.new_zeros(len(ws), 1, directions.shape[1]), steps.cumsum(dim=1)], dim=1)
    return way[:, :, None].expand(-1, -1, ws.shape[1], -1)


def smooth_noise(
    n: int, num_steps: int, channels: int, smoothness: float, rng: torch.Generator
) -> Float[Tensor, "n num_steps channels"]:
    """Gaussian noise of unit variance, correlated over time by a Gaussian window of deviation `smoothness` steps."""
    reach = math.ceil(3 * smoothness)
    times = torch.arange(-reach, reach + 1, dtype=torch.float32)
    window = torch.exp(-0.5 * (times / smoothness).square()) if smoothness else torch.ones(1)
    white = torch.randn(n, num_steps + 1 + 2 * reach, channels, generator=rng)  # one step more: there may be none
    return (white.unfold(1, len(window), 1) @ (window / window.norm()))[:, :num_steps]


def _check(num_frames: int, strength: float, smoothness: float, num_directions: int) -> None:
    if num_frames < 1 or num_directions < 1:
        raise InputError(f"{num_frames} frames along {num_directions} directions were asked for; both need at least 1.")
    if not math.isfinite(strength) or not 0 <= smoothness <= 1000:
        raise InputError(
            f"The strength is {strength} and the smoothness {smoothness} frames; give a number, and one from 0 to 1000."
        )
