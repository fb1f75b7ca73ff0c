"""A discriminator of W: it learns to tell codes that come from the mapping network from codes that a model gives.

Codes that it takes for real ones lie where the generator knows what to draw. From Encoder4Editing (Tov et al. 2021),
as Nitzan et al. 2020 do it; the encoder's training and the motion's share it.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

Codes = Float[Tensor, "n d"]
Scores = Float[Tensor, "n"]

NUM_HIDDEN = 3


class WDiscriminator(nn.Module):
    """Codes [n w_dim] -> scores [n], high where a code looks real. `seed` draws its first weights."""

    def __init__(self, w_dim: int, seed: int = 0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(NUM_HIDDEN):
            layers += [nn.Linear(w_dim, w_dim), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Linear(w_dim, 1))
        self._draw(torch.Generator().manual_seed(seed))

    def _draw(self, rng: torch.Generator) -> None:
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_uniform_(layer.weight, a=0.2, generator=rng)
                nn.init.zeros_(layer.bias)

    def forward(self, w: Codes) -> Scores:
        return self.layers(w)[:, 0]


def convincing(scores: Scores) -> Float[Tensor, ""]:
    """What a model pays for codes that are taken for fake ones: softplus(-D), the non-saturating loss."""
    return F.softplus(-scores).mean()


def taken_for_fake(real: Scores) -> Float[Tensor, ""]:
    """What the discriminator pays for real codes that it doubts: softplus(-D)."""
    return F.softplus(-real).mean()


def taken_for_real(fake: Scores) -> Float[Tensor, ""]:
    """What the discriminator pays for fake codes that it believes: softplus(D)."""
    return F.softplus(fake).mean()


def r1(discriminator: nn.Module, real: Codes) -> Float[Tensor, ""]:
    """R1 of Mescheder et al. 2018: squared length of the scores' gradient at real codes, a mean over codes.

    Differentiable itself. The usual weight is gamma / 2, times the interval of steps at which it is computed.
    """
    with torch.enable_grad():
        real = real.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gradient.square().sum(dim=1).mean()


class WPool(nn.Module):
    """Codes of earlier steps, so that the discriminator does not forget what it has once learned to tell.

    `size` codes in a buffer, which a checkpoint keeps. Within a step the pool does not change: `mixed` reads it,
    `keep` writes to it when the step is over.
    """

    codes: Tensor
    num_kept: Tensor

    def __init__(self, w_dim: int, size: int = 50) -> None:
        super().__init__()
        self.register_buffer("codes", torch.zeros(size, w_dim))
        self.register_buffer("num_kept", torch.zeros((), dtype=torch.int64))

    def mixed(self, codes: Codes, old: Bool[Tensor, "n"], place: Float[Tensor, "n"]) -> Codes:
        """`codes` with those that `old` marks replaced by kept ones, at `place` (0..1) of the pool as far as filled."""
        if not self.num_kept:
            return codes
        chosen = self.codes[(place.to(codes.device) * self.num_kept).long()]
        return torch.where(old.to(codes.device)[:, None], chosen, codes)

    @torch.no_grad()
    def keep(self, codes: Codes, place: Int[Tensor, "n"]) -> None:
        """Put `codes` into the pool: in order while there is room, then at `place`."""
        size = len(self.codes)
        for code, index in zip(codes, place.tolist(), strict=True):
            found = int(self.num_kept)
            self.codes[found if found < size else index % size] = code
            self.num_kept += found < size
