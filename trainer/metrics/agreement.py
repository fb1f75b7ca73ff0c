"""How far raters agree beyond chance."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from .bootstrap import bootstrap_counts


def krippendorff_alpha(
    counts: Float[Tensor, "n c"], weights: Float[Tensor, "*d n"] | None = None
) -> Float[Tensor, "*d"]:
    """Krippendorff's alpha for named categories: 1 is full agreement, 0 what chance gives, NaN where nothing varies.

    counts: how many raters put each of n units into each of c categories; units with fewer than two ratings tell
    nothing and are left out. weights: how often each unit counts (once), in as many rows as alphas are wanted.
    Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: nominal data, any number of observers,
    missing data.
    """
    counts = counts.double()[counts.sum(dim=1) >= 2]
    ratings = counts.sum(dim=1)
    if weights is None:
        weights = torch.ones(len(counts), dtype=torch.double)
    # Ordered pairs of ratings of one unit that differ, each unit's weighed by 1 / (ratings - 1).
    observed = weights @ ((ratings.square() - counts.square().sum(dim=1)) / (ratings - 1))
    totals = weights @ counts
    n = totals.sum(dim=-1)
    expected = (n.square() - totals.square().sum(dim=-1)) / (n - 1)
    return 1 - observed / expected


def alpha_interval(counts: Float[Tensor, "n c"], draws: int = 2000, seed: int = 0) -> dict[str, float] | None:
    """Alpha with its 95 % percentile bootstrap interval over units, {"mean", "low", "high"}; None where it has none."""
    counts = counts[counts.sum(dim=1) >= 2]
    alpha = krippendorff_alpha(counts)
    if not len(counts) or not alpha.isfinite():
        return None
    alphas = krippendorff_alpha(counts, bootstrap_counts(len(counts), draws, torch.Generator().manual_seed(seed)))
    ends = torch.tensor([0.025, 0.975], dtype=torch.double)
    low, high = alphas[alphas.isfinite()].quantile(ends).tolist()
    return {"mean": alpha.item(), "low": low, "high": high}
