"""Whole optimisation steps of a motion's training on a card, as many as a real run takes."""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch

from .card import Card
from .measuring import machine
from .reports import Column, Report

BATCH = 4
COLUMNS = [
    Column("resolution", "px"),
    Column("batch", "faces a step"),
    Column("steps", "steps"),
    Column("first_s", "first step s", ".1f"),
    Column("seconds", "all s", ".0f"),
    Column("steps_per_second", "steps a second", ".2f"),
    Column("seconds_for_2000", "2,000 steps s", ".0f"),
    Column("peak_mb", "peak MB", ".0f"),
]


def training_report(card: Card, steps: int, dry_run: bool, seconds: float) -> Report:
    """`steps` steps of benchmarks/training.py's bf16 recipe at 1024 px, or as many as fit into `seconds`.

    2,000 at most, which is a whole run. Weights of generator and CLIPs are random: a step costs the same with any.
    """
    from . import training  # needs open_clip and an installed lga_trainer, which drawing does without

    steps = min(steps, training.MOST_STEPS)
    options = argparse.Namespace(
        worker="bf16-plain" if dry_run else "bf16",
        resolution=16 if dry_run else 1024,
        channel_base=32768,
        batch=BATCH,
        device=card.device.type,
        recompute_from=None,
    )
    torch.manual_seed(0)
    begun = time.perf_counter()
    step, frames = training.ours(options)
    row: dict[str, Any] = {"resolution": options.resolution, "batch": BATCH, "frames": frames}
    row["preparing_s"] = time.perf_counter() - begun
    row["first_s"] = card.seconds(step)
    taken, begun = 0, time.perf_counter()
    while taken < steps - 1 and time.perf_counter() - begun < seconds:
        step()
        taken += 1
    card.wait()
    rest = time.perf_counter() - begun
    row |= {"steps": 1 + taken, "seconds": row["first_s"] + rest, "steps_per_second": taken / rest}
    row["seconds_for_2000"] = row["first_s"] + 1999 * rest / max(1, taken)
    if card.is_cuda:
        row["peak_mb"] = torch.cuda.max_memory_allocated() / 1e6
    notes = ["**A dry run on a processor: these figures say nothing about a card.**"] if dry_run else []
    return Report("gpu_training", "Training a motion on a card", machine(), [row], COLUMNS, notes)
