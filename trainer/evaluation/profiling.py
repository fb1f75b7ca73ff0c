"""What a computation costs: wall-clock time, CPU time, and memory."""

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
    """seconds: wall-clock time. cpu_seconds: of all threads. peak_memory: in bytes; None if it cannot be measured."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory: float | None = None


@contextmanager
def measured_cost(device: torch.device) -> Iterator[Cost]:
    """The cost of the block, filled in at its end. Peak memory is the GPU's on CUDA, and the process's on Linux."""
    cost = Cost()
    _reset_peak(device)
    wall, cpu = time.perf_counter(), time.process_time()
    yield cost
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    cost.seconds, cost.cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    cost.peak_memory = _peak(device)


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        (_PROCESS / "clear_refs").write_text("5")  # sets the peak to what is in use now


def _peak(device: torch.device) -> float | None:
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    try:
        lines = (_PROCESS / "status").read_text().splitlines()
    except OSError:
        return None
    return next((float(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), None)
