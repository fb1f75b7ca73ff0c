"""The results of an evaluation: means with intervals, by method and by prompt, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..metrics.bootstrap import interval
from ..metrics.evaluation_setup import EvaluationSetup
from ..training.atomic_files import write
from .fid import FrechetDistance, Moments, features_of
from .methods import Method
from .shards import Shard, ShardCache

METRICS = (
    "judge_rise",
    "judge_top1",
    "clip_top1",
    "alignment",
    "alignment_rise",
    "fid",
    "acd",
    "acd_consecutive",
    "magnitude",
    "identity",
    "distance",
    "first_step_share",
    "flicker",
    "jerk",
    "seconds",
    "processor_seconds",
    "drawing_seconds",
)
"""In the order of the tables."""
NUM_GROUPS = 32
"""Groups of faces, at most, over which the interval of FID is bootstrapped."""
LOWER_IS_BETTER = frozenset(
    ("acd", "acd_consecutive", "distance", "flicker", "jerk", "fid", "seconds", "processor_seconds", "drawing_seconds")
)


Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""Metrics of each face, by prompt."""


def collect_results(
    methods: Mapping[str, Method],
    shards: Mapping[str, Sequence[Shard]],
    setup: EvaluationSetup,
    cache: ShardCache,
    num_reference: int,
) -> dict[str, Any]:
    """The metrics of all methods, from their cached shards, as JSON."""
    prompts = [prompt.prompt for prompt in setup.prompts.prompts]
    distance = frechet_distance(setup, num_reference)
    found = {}
    for name, method in methods.items():
        found[name] = {"label": method.label, "about": method.about, "heeds_words": method.uses_text}
        found[name] |= method_metrics(shards[name], prompts, cache)
        if distance is not None:
            found[name]["means"]["fid"] = distance.interval(moments_by_faces(shards[name], cache))
    return {
        "num_prompts": len(prompts),
        "num_reference": num_reference,
        "reference": setup.reference_label,
        "identity": setup.networks.identity.label,
        "distance": setup.networks.distance.label,
        "features": setup.networks.features.label if setup.networks.features else None,
        "scorer": setup.networks.scorer.name if setup.networks.scorer else None,
        "judge": setup.networks.judge.name if setup.networks.judge else None,
        "methods": found,
    }


def method_metrics(shards: Sequence[Shard], prompts: Sequence[str], cache: ShardCache) -> dict[str, Any]:
    """Means over all videos and by prompt, curves of change and alignment, all with intervals, and peak memory."""
    rows: dict[str, list[dict[str, Any]]] = {prompt: [] for prompt in prompts}
    for shard in shards:
        rows[prompts[shard.prompt]] += cache.read(shard)[0]
    first = rows[prompts[0]][0]
    values = {
        name: _values(rows, name) for name in METRICS if any(name in row for each in rows.values() for row in each)
    }
    peaks = [row["peak"] for each in rows.values() for row in each if row.get("peak")]
    return {
        "means": {name: interval(each) for name, each in values.items()},
        "prompts": {
            prompt: {
                name: interval(each[place : place + 1])
                for name, each in values.items()
                if not each[place].isnan().all()  # a judge may know some prompts only
            }
            for place, prompt in enumerate(prompts)
        },
        "curves": {name: _curve(rows, name) for name in ("changes", "alignments") if name in first},
        "peak": max(peaks, default=None),
    }


def _values(rows: Rows, name: str) -> Float[Tensor, "k n"]:
    return torch.tensor([[row.get(name, math.nan) for row in each] for each in rows.values()], dtype=torch.float64)


def _curve(rows: Rows, name: str) -> dict[str, list[float]]:
    """{"mean", "low", "high"}, each a number for every frame."""
    values = torch.tensor([[row[name] for row in each] for each in rows.values()], dtype=torch.float64)
    found = [interval(frame) for frame in values.unbind(dim=2)]
    return {key: [each[key] for each in found] for key in ("mean", "low", "high")}


def frechet_distance(setup: EvaluationSetup, num_reference: int) -> FrechetDistance | None:
    """FID from the reference images; None without a network that provides features."""
    if setup.networks.features is None:
        return None
    return FrechetDistance(features_of(setup.reference(num_reference), setup.networks.features))


def moments_by_faces(shards: Sequence[Shard], cache: ShardCache) -> list[Moments]:
    """Moments of the features of all frames of a method's videos, grouped by faces."""
    groups: dict[int, Moments] = {}
    for shard in shards:
        for face, features in enumerate(cache.read(shard)[1]["features"], shard.first):
            sums, place = Moments.of(features), face % NUM_GROUPS
            groups[place] = groups[place].plus(sums) if place in groups else sums
    return list(groups.values())


def write_results(out: Path, results: Mapping[str, Any]) -> None:
    """Write results.json, and results.csv with a row for each method and metric."""
    write(out / "results.json", json.dumps(results, indent=1))
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["method", "figure", "mean", "low", "high"])
    for name, row in results["methods"].items():
        for figure, found in row["means"].items():
            writer.writerow([name, figure, found["mean"], found["low"], found["high"]])
    write(out / "results.csv", table.getvalue())
