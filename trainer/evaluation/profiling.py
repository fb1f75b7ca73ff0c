"""What a piece of work costs: time on the wall and of the processor, and memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

_PROCESS = Path("/proc/self")


@dataclass
class Cost:
    """seconds: on the wall. processor: seconds of all threads. peak: bytes at most in use, None where nobody says."""

    seconds: float = 0.0
    processor: float = 0.0
    peak: float | None = None


@contextmanager
def costing(device: torch.device) -> Iterator[Cost]:
    """What is done inside, filled in at its end. The peak is the process's on Linux, and a card's own elsewhere."""
    cost = Cost()
    _forget_peak(device)
    wall, processor = time.perf_counter(), time.process_time()
    yield cost
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    cost.seconds, cost.processor = time.perf_counter() - wall, time.process_time() - processor
    cost.peak = _peak(device)


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        (_PROCESS / "clear_refs").write_text("5")  # the peak begins again at what is in use now


def _peak(device: torch.device) -> float | None:
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    try:
        lines = (_PROCESS / "status").read_text().splitlines()
    except OSError:
        return None
    return next((float(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), None)
