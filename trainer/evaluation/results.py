"""The figures of an evaluation: means with intervals, by method and by prompt, as JSON and as a table."""

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
from .fid import Frechet, Moments, features_of
from .methods import Method
from .shards import Shard, ShardCache

FIGURES = (
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
"""In the order of tables."""
NUM_GROUPS = 32
"""Of faces, at most, whose features are summed up apart for the interval of a Frechet distance."""
LOWER_IS_BETTER = frozenset(
    ("acd", "acd_consecutive", "distance", "flicker", "jerk", "fid", "seconds", "processor_seconds", "drawing_seconds")
)


Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""What was measured of each face, by prompt."""


def results(
    methods: Mapping[str, Method],
    pieces: Mapping[str, Sequence[Shard]],
    setup: EvaluationSetup,
    kept: ShardCache,
    num_reference: int,
) -> dict[str, Any]:
    """Everything that was measured of each method's pieces, as JSON."""
    prompts = [prompt.prompt for prompt in setup.prompts.prompts]
    distance = frechet(setup, num_reference)
    found = {}
    for name, method in methods.items():
        found[name] = {"label": method.label, "about": method.about, "heeds_words": method.heeds_words}
        found[name] |= method_figures(pieces[name], prompts, kept)
        if distance is not None:
            found[name]["means"]["fid"] = distance.interval(by_faces(pieces[name], kept))
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


def method_figures(own: Sequence[Shard], prompts: Sequence[str], kept: ShardCache) -> dict[str, Any]:
    """Means over all clips and by prompt, and the curves of change and alignment, all with their intervals."""
    rows: dict[str, list[dict[str, Any]]] = {prompt: [] for prompt in prompts}
    for piece in own:
        rows[prompts[piece.prompt]] += kept.read(piece)[0]
    first = rows[prompts[0]][0]
    values = {
        name: _values(rows, name) for name in FIGURES if any(name in row for each in rows.values() for row in each)
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


def frechet(setup: EvaluationSetup, num_reference: int) -> Frechet | None:
    """Distances from real pictures; none without a network to take features with."""
    if setup.networks.features is None:
        return None
    return Frechet(features_of(setup.reference(num_reference), setup.networks.features))


def by_faces(own: Sequence[Shard], kept: ShardCache) -> list[Moments]:
    """Sums of the features of all frames of a method's clips, some faces in each."""
    groups: dict[int, Moments] = {}
    for piece in own:
        for face, features in enumerate(kept.read(piece)[1]["features"], piece.first):
            sums, place = Moments.of(features), face % NUM_GROUPS
            groups[place] = groups[place].plus(sums) if place in groups else sums
    return list(groups.values())


def write_results(out: Path, told: Mapping[str, Any]) -> None:
    """results.json, and results.csv with a row for each method and figure."""
    write(out / "results.json", json.dumps(told, indent=1))
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["method", "figure", "mean", "low", "high"])
    for name, row in told["methods"].items():
        for figure, found in row["means"].items():
            writer.writerow([name, figure, found["mean"], found["low"], found["high"]])
    write(out / "results.csv", table.getvalue())
