"""Inter-rater agreement: Krippendorff's alpha."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from .bootstrap import bootstrap_counts


def krippendorff_alpha(
    counts: Float[Tensor, "n c"], weights: Float[Tensor, "*d n"] | None = None
) -> Float[Tensor, "*d"]:
    """Krippendorff's alpha for nominal categories: 1 is full agreement, 0 agreement by chance, NaN without variation.

    counts: how many raters put each of n units into each of c categories; units with fewer than two ratings are
    ignored. weights: how often each unit counts (default once), with one row for each alpha.
    Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: nominal data, any number of observers,
    missing data.
    """
    counts = counts.double()[counts.sum(dim=1) >= 2]
    ratings = counts.sum(dim=1)
    if weights is None:
        weights = torch.ones(len(counts), dtype=torch.double)
    # Ordered pairs of differing ratings of one unit, weighted by 1 / (ratings - 1).
    observed = weights @ ((ratings.square() - counts.square().sum(dim=1)) / (ratings - 1))
    totals = weights @ counts
    n = totals.sum(dim=-1)
    expected = (n.square() - totals.square().sum(dim=-1)) / (n - 1)
    return 1 - observed / expected


def alpha_interval(counts: Float[Tensor, "n c"], draws: int = 2000, seed: int = 0) -> dict[str, float] | None:
    """Alpha with its 95 % percentile bootstrap interval over units, {"mean", "low", "high"}; None if undefined."""
    counts = counts[counts.sum(dim=1) >= 2]
    alpha = krippendorff_alpha(counts)
    if not len(counts) or not alpha.isfinite():
        return None
    alphas = krippendorff_alpha(counts, bootstrap_counts(len(counts), draws, torch.Generator().manual_seed(seed)))
    ends = torch.tensor([0.025, 0.975], dtype=torch.double)
    low, high = alphas[alphas.isfinite()].quantile(ends).tolist()
    return {"mean": alpha.item(), "low": low, "high": high}
