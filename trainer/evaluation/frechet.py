"""Frechet distances of pictures by a network's features: FID as clean-fid has it (no root), by torchmetrics.

Hang et al. 2023, IV-A5, writes it with a root; the library that their code uses has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lga_core import Images, InputError

from .grounds import Network


class AsTheyAre(nn.Module):
    """Stands where torchmetrics expects a network: features come as they are."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


class Frechet:
    """Distances of sets of features [n c] from one reference, whose sums alone are kept."""

    def __init__(self, reference: Iterable[Float[Tensor, "n c"]]) -> None:
        try:
            from torchmetrics.image.fid import FrechetInceptionDistance
        except ImportError as err:
            raise InputError(
                "Frechet distances need torchmetrics: pip install 'language-guided-animation[eval]'."
            ) from err
        self.num_reference, self._metric = 0, None
        for features in reference:
            if self._metric is None:
                self._metric: Any = FrechetInceptionDistance(AsTheyAre(features.shape[1]), reset_real_features=False)
                self._metric.set_dtype(torch.float64)
            self._metric.update(features.double(), real=True)
            self.num_reference += len(features)

    def __call__(self, features: Iterable[Float[Tensor, "n c"]]) -> float:
        """FID of all of these from the reference. Raises InputError where either has fewer than two."""
        count = 0
        for part in features:
            if self._metric is not None:
                self._metric.update(part.double(), real=False)
            count += len(part)
        if self._metric is None or self.num_reference < 2 or count < 2:
            raise InputError(f"FID of {count} pictures from {self.num_reference} was asked for; both need at least 2.")
        found = self._metric.compute().item()
        self._metric.reset()
        return found


def features_of(pictures: Iterable[Images], network: Network) -> Iterator[Float[Tensor, "n c"]]:
    with torch.no_grad():
        for chunk in pictures:
            yield network.look(chunk).float().cpu()
