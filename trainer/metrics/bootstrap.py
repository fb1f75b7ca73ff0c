"""Means with 95 % bootstrap intervals (Efron and Tibshirani 1993), and shares as percentages."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def interval(
    values: Float[Tensor, "k n"], resample_rows: bool = False, draws: int = 2000, seed: int = 0
) -> dict[str, float]:
    """Mean of k rows (sentences) by n columns (faces) with its 95 % percentile bootstrap interval.

    Returns {"mean", "low", "high"}. Columns are resampled, the same for all rows; `resample_rows` resamples rows too,
    for a claim about sentences in general. Unknown values are NaN (such as a face that the judge does not find).
    """
    values, rng = values.double(), torch.Generator().manual_seed(seed)
    known, (k, n) = ~values.isnan(), values.shape
    faces = bootstrap_counts(n, draws, rng)
    rows = bootstrap_counts(k, draws, rng) if resample_rows else torch.ones(draws, k, dtype=torch.double)
    means = _weighted(values.nan_to_num(), rows, faces) / _weighted(known.double(), rows, faces)
    low, high = means[means.isfinite()].quantile(torch.tensor([0.025, 0.975], dtype=torch.double)).tolist()
    return {"mean": values.nanmean().item(), "low": low, "high": high}


def bootstrap_counts(n: int, draws: int, rng: torch.Generator) -> Float[Tensor, "draws n"]:
    """How often each of n items is drawn in a resample of n with replacement, for each of `draws` resamples."""
    drawn = torch.randint(n, (draws, n), generator=rng)
    return torch.zeros(draws, n, dtype=torch.double).scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.double))


def _weighted(values: Tensor, rows: Tensor, faces: Tensor) -> Float[Tensor, "draws"]:
    return torch.einsum("dk,kn,dn->d", rows, values, faces)


def percent(share: float) -> str:
    """0.943 -> 94 %, with a non-breaking space; values just above 0 or below 1 give < 1 % and > 99 %."""
    rounded = round(100 * share)
    if rounded in (0, 100) and share not in (0, 1):
        return ">\u00a099\u00a0%" if rounded else "<\u00a01\u00a0%"
    return f"{rounded}\u00a0%"


NUM_FRAMES = 16
"""Frames of the clips that contact sheets show and metrics are measured on."""
