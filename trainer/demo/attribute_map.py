"""The fixed linear map from a renderer's attributes to W."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from .attributes import Attributes, AttributeSpace

NUM_SAMPLES = 8192


@dataclass(frozen=True)
class AttributeMap:
    """Attributes [n k] -> W [n w_dim]: standardised by `mean` and `deviation` [k], times `basis` [k w_dim].

    The rows of `basis` are orthogonal and of one length, so that w has an r.m.s. of 1.
    """

    mean: Tensor
    deviation: Tensor
    basis: Tensor

    def to_w(self, attributes: Attributes) -> Float[Tensor, "n d"]:
        return ((attributes - self.mean) / self.deviation).clamp(-4, 4) @ self.basis

    def outside(self, w: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """The part of w that no attribute explains."""
        k, d = self.basis.shape
        return w - w @ (self.basis.T @ self.basis) * (k / d)

    def without(self, w: Float[Tensor, "*n d"], columns: Sequence[int]) -> Float[Tensor, "*n d"]:
        """w less its part along these attributes."""
        rows = self.basis[list(columns)]
        return w - w @ (rows.T @ rows) * (len(self.basis) / self.basis.shape[1])

    def save(self, path: Path) -> None:
        save_file({"mean": self.mean, "deviation": self.deviation, "basis": self.basis.contiguous()}, path)

    @classmethod
    def load(cls, path: Path) -> AttributeMap:
        return cls(**load_file(path))

    @classmethod
    def create(cls, space: AttributeSpace, seed: int = 5, w_dim: int = 512) -> AttributeMap:
        """Standardised over faces of `space`, with a random basis. The same seed gives the same map."""
        rng = torch.Generator().manual_seed(seed)
        attributes, _ = space.sample(NUM_SAMPLES, rng)
        basis = torch.linalg.qr(torch.randn(w_dim, len(space), generator=rng))[0].T
        basis = basis * math.sqrt(w_dim / len(space))
        return cls(attributes.mean(dim=0), attributes.std(dim=0), basis.contiguous())
