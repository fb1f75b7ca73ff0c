"""What all benchmarks measure with: interleaved samples, differences between pictures, peak memory, the machine."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor

from lga_core import Generator, GeneratorConfig

Work = Callable[[], object]
ROOT = Path(__file__).resolve().parent.parent
MB = 1e6


def random_generator(config: GeneratorConfig, seed: int = 0) -> Generator:
    """A frozen generator in which every parameter matters: biases and noise, which start at zero, are drawn too."""
    generator = Generator(config, seed).eval().requires_grad_(False)
    rng = torch.Generator().manual_seed(seed + 1)
    for name, parameter in generator.synthesis.named_parameters():
        if name.endswith(("noise_strength", "bias")):
            parameter += 0.1 * torch.randn(parameter.shape, generator=rng)
    return generator


# Time


class Sample(NamedTuple):
    """Seconds that one run took: of the processor (all threads) and on the wall."""

    cpu: float
    wall: float


def sample(work: Work) -> Sample:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Sample(time.process_time() - cpu, time.perf_counter() - wall)


def interleaved(
    works: Mapping[str, Work], repeats: int, warm_ups: int = 1, measure: Callable[[Work], Any] = sample
) -> dict[str, list[Any]]:
    """Rounds in which each work runs once, each round beginning with another: what disturbs one disturbs all."""
    samples: dict[str, list[Any]] = {name: [] for name in works}
    names = list(works)
    for count in range(-warm_ups, repeats):
        first = count % len(names)
        for name in names[first:] + names[:first]:
            measured = measure(works[name])
            if count >= 0:
                samples[name].append(measured)
    return samples


def fastest(works: Mapping[str, Work], measure: Callable[[Work], Any] = sample) -> str:
    """The name of the work that takes least processor time: the shorter of two runs each, after one to warm up."""
    if len(works) == 1:
        return next(iter(works))
    samples = interleaved(works, repeats=2, measure=measure)
    return min(samples, key=lambda name: min(samples[name]))


def median_ratio(slower: Sequence[float], faster: Sequence[float]) -> float:
    """How many times `faster` is faster: the median over rounds, in each of which both ran in a row."""
    return statistics.median(a / b for a, b in zip(slower, faster, strict=True))


# Differences


def differences(images: Tensor, reference: Tensor) -> dict[str, float]:
    """Largest and root mean square difference, in standard deviations of the reference."""
    off = (images.double() - reference.double()) / reference.double().std()
    return {"max_error": off.abs().max().item(), "rms_error": off.square().mean().sqrt().item()}


# Memory


def peak_above_resident(prepare: Callable[..., Work], *args: Any) -> float:
    """Bytes that the work of `prepare(*args)` takes on top of what is resident, in a process of its own.

    Everything the work needs is made, and it has run once, before the count begins. `prepare` must be importable.
    """
    return alone(_peak, prepare, *args)


def alone(measure: Callable[..., Any], *args: Any) -> Any:
    """`measure(*args)` in a process of its own, with as many threads as here. It must be importable."""
    # Large blocks go back to the system when they are freed: else those of one run would hide the next one's.
    with patch.dict(os.environ, {"MALLOC_MMAP_THRESHOLD_": "1000000", "MALLOC_TRIM_THRESHOLD_": "1000000"}):
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
            return pool.submit(_in_threads, torch.get_num_threads(), measure, *args).result()


def _in_threads(threads: int, measure: Callable[..., Any], *args: Any) -> Any:
    torch.set_num_threads(threads)
    return measure(*args)


def _peak(prepare: Callable[..., Work], *args: Any) -> float:
    work = prepare(*args)
    work()
    before = forget_peak()
    work()
    return max(0.0, peak_bytes() - before)


def forget_peak() -> float:
    """Makes `peak_bytes` begin at what is resident now; the bytes it begins at."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):  # where it cannot, only what goes beyond the peak so far is seen
        Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def peak_bytes() -> float:
    """Most bytes that were resident since `forget_peak`."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
    except (OSError, StopIteration):
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


# Machine


def machine() -> dict[str, Any]:
    """Where and with what it is measured, as JSON."""
    facts: dict[str, Any] = {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "revision": revision(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "bf16": sorted(_flags() & {"amx_bf16", "avx512_bf16"}),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load_before": round(os.getloadavg()[0], 2),
    }
    if torch.cuda.is_available():
        facts |= {"card": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
        facts |= {"cudnn": torch.backends.cudnn.version()}
    return facts


def revision() -> str:
    """The project's commit, `-dirty` where files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    return dict(reversed([[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]))


def _processor() -> str:
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def _flags() -> set[str]:
    return set(_cpuinfo().get("flags", "").split())


def disturbance(samples: Sequence[Sample]) -> float:
    """Wall time over processor time of runs on one thread: 1 on a quiet machine, 2 where a neighbour takes half."""
    return sum(each.wall for each in samples) / sum(each.cpu for each in samples)
