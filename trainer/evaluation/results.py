"""The figures of an evaluation: means with intervals, by method and by prompt, as JSON and as a table."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import WPlus

from ..files import write
from ..measures import interval
from .frechet import Frechet, features_of
from .grounds import Grounds
from .methods import Method
from .pieces import Kept, Piece, pieces

FIGURES = (
    "judge_rise",
    "judge_top1",
    "clip_top1",
    "alignment",
    "alignment_rise",
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
LOWER_IS_BETTER = frozenset(
    ("acd", "acd_consecutive", "distance", "flicker", "jerk", "fid", "seconds", "processor_seconds", "drawing_seconds")
)


def results(
    methods: Mapping[str, Method], grounds: Grounds, ws: WPlus, kept: Kept, at_once: int, num_reference: int
) -> dict[str, Any]:
    """Everything that was measured, as JSON."""
    prompts = [prompt.prompt for prompt in grounds.prompts.prompts]
    distances = frechet_distances(methods, grounds, len(ws), kept, at_once, num_reference)
    found = {}
    for name, method in methods.items():
        own = pieces([name], len(prompts), len(ws), at_once)
        found[name] = {
            "label": method.label,
            "about": method.about,
            "heeds_words": method.heeds_words,
            "fid": distances.get(name),
            **method_figures(own, prompts, kept),
        }
    return {
        "num_faces": len(ws),
        "num_prompts": len(prompts),
        "num_reference": num_reference,
        "reference": grounds.reference_label,
        "identity": grounds.networks.identity.label,
        "distance": grounds.networks.distance.label,
        "features": grounds.networks.features.label if grounds.networks.features else None,
        "scorer": grounds.networks.scorer.name if grounds.networks.scorer else None,
        "judge": grounds.networks.judge.name if grounds.networks.judge else None,
        "methods": found,
    }


def method_figures(own: Sequence[Piece], prompts: Sequence[str], kept: Kept) -> dict[str, Any]:
    """Means over all clips with their intervals, means by prompt, and the curves of change and alignment."""
    rows: dict[str, list[dict[str, Any]]] = {prompt: [] for prompt in prompts}
    for piece in own:
        rows[prompts[piece.prompt]] += kept.read(piece)[0]
    names = [name for name in FIGURES if any(name in row for row in next(iter(rows.values())))]
    values = {name: _values(rows, name) for name in names}
    peaks = [row["peak"] for each in rows.values() for row in each if row.get("peak")]
    return {
        "means": {name: interval(each) for name, each in values.items()},
        "prompts": {
            prompt: {name: each[place].nanmean().item() for name, each in values.items()}
            for place, prompt in enumerate(prompts)
        },
        "curves": {
            name: torch.tensor([row[name] for each in rows.values() for row in each]).mean(dim=0).tolist()
            for name in ("changes", "alignments")
            if name in rows[prompts[0]][0]
        },
        "peak": max(peaks, default=None),
    }


def _values(rows: Mapping[str, Sequence[Mapping[str, Any]]], name: str) -> Float[Tensor, "k n"]:
    return torch.tensor([[row.get(name, math.nan) for row in each] for each in rows.values()], dtype=torch.float64)


def frechet_distances(
    methods: Mapping[str, Method], grounds: Grounds, num_faces: int, kept: Kept, at_once: int, num_reference: int
) -> dict[str, float]:
    """FID of all frames of each method's clips; none without a network to take features with."""
    if grounds.networks.features is None:
        return {}
    distance = Frechet(features_of(grounds.reference(num_reference), grounds.networks.features))
    num_prompts = len(grounds.prompts.prompts)
    return {name: distance(_features(pieces([name], num_prompts, num_faces, at_once), kept)) for name in methods}


def _features(own: Sequence[Piece], kept: Kept) -> Iterator[Float[Tensor, "n c"]]:
    for piece in own:
        yield kept.read(piece)[1]["features"].flatten(0, 1).float()


def write_results(out: Path, told: Mapping[str, Any]) -> None:
    """results.json, and results.csv with a row for each method and figure."""
    write(out / "results.json", json.dumps(told, indent=1))
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["method", "figure", "mean", "low", "high"])
    for name, row in told["methods"].items():
        if row["fid"] is not None:
            writer.writerow([name, "fid", row["fid"], "", ""])
        for figure, found in row["means"].items():
            writer.writerow([name, figure, found["mean"], found["low"], found["high"]])
    write(out / "results.csv", table.getvalue())
