"""Fréchet distances of images in the features of a network: FID as clean-fid defines it, by torchmetrics.

Hang et al. 2023, IV-A5, writes it with a square root; the library that their code uses has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lga_core import Images, InputError

from ..metrics.evaluation_setup import Network

NUM_DRAWS = 50


class IdentityFeatures(nn.Module):
    """Identity module in place of the network that torchmetrics expects: it is given features."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


class Moments(NamedTuple):
    """Sums of n feature vectors and of their outer products. Moments of several sets can be added."""

    count: int
    total: Float[Tensor, "c"]
    products: Float[Tensor, "c c"]

    @classmethod
    def of(cls, features: Float[Tensor, "n c"]) -> Moments:
        features = features.double()
        return cls(len(features), features.sum(dim=0), features.T @ features)

    def plus(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.total + other.total, self.products + other.products)


class FrechetDistance:
    """Fréchet distances of sets of features from one reference set."""

    def __init__(self, reference: Iterable[Float[Tensor, "n c"]]) -> None:
        try:
            from torchmetrics.image.fid import FrechetInceptionDistance
        except ImportError as err:
            raise InputError("FID needs torchmetrics: pip install 'language-guided-animation[eval]'.") from err
        self.num_reference, self._metric = 0, None
        for features in reference:
            if self._metric is None:
                self._metric: Any = FrechetInceptionDistance(
                    IdentityFeatures(features.shape[1]),
                    reset_real_features=False,
                    sync_on_compute=False,  # one process measures, the others wait
                )
                self._metric.set_dtype(torch.float64)
            self._metric.update(features.double(), real=True)
            self.num_reference += len(features)

    def __call__(self, moments: Moments) -> float:
        """FID of the set with these moments. Raises InputError if it or the reference has fewer than two images."""
        if self._metric is None or self.num_reference < 2 or moments.count < 2:
            raise InputError(
                f"FID needs at least 2 images and 2 reference images, but there are {moments.count} and "
                f"{self.num_reference}."
            )
        self._metric.update(moments.total[None, :][:0], real=False)  # an empty update marks it as updated
        self._metric.fake_features_sum, self._metric.fake_features_cov_sum = moments.total, moments.products
        self._metric.fake_features_num_samples = torch.tensor(moments.count)
        found = self._metric.compute().item()
        self._metric.reset()
        return found

    def interval(self, groups: Sequence[Moments], seed: int = 0) -> dict[str, float]:
        """FID of all groups together with its 95 % interval, {"mean", "low", "high"}: 1.96 standard errors each way.

        The standard error is the bootstrap's over groups (Efron and Tibshirani 1993, chapter 6), for which few draws
        are enough. Percentiles would be biased upwards: duplicates make a set less varied, hence more distant.
        """
        found = self(reduce(Moments.plus, groups))
        rng = torch.Generator().manual_seed(seed)
        resamples = torch.randint(len(groups), (NUM_DRAWS, len(groups)), generator=rng).tolist()
        distances = torch.tensor([self(reduce(Moments.plus, (groups[i] for i in each))) for each in resamples])
        error = 1.96 * distances.std().item()
        return {"mean": found, "low": max(found - error, 0.0), "high": found + error}


def features_of(images: Iterable[Images], network: Network) -> Iterator[Float[Tensor, "n c"]]:
    with torch.no_grad():
        for chunk in images:
            yield network.embed(chunk).float().cpu()
