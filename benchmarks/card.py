"""A clock, memory and graphs of a CUDA card; of a processor for dry runs, which have no graphs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from .measuring import Work

Run = Callable[[], Tensor]
BEFORE_CAPTURE = 3
"""Runs on a side stream, as torch's documentation of graphs asks for."""


class Card:
    """Measures on `device`."""

    def __init__(self, device: torch.device):
        self.device, self.is_cuda = device, device.type == "cuda"

    def ms(self, work: Work) -> float:
        """Milliseconds of a run, by CUDA events."""
        if not self.is_cuda:
            begun = time.perf_counter()
            work()
            return 1e3 * (time.perf_counter() - begun)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end)

    def now(self) -> float:
        """Seconds on the wall, once all that was begun is done."""
        self.wait()
        return time.perf_counter()

    def seconds(self, work: Work) -> float:
        begun = self.now()
        work()
        return self.now() - begun

    def peak_bytes(self, work: Work) -> float | None:
        """What a run takes beyond what is allocated; None without a card."""
        if not self.is_cuda:
            return None
        self.wait()
        before = torch.cuda.memory_allocated(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        work()
        self.wait()
        return torch.cuda.max_memory_allocated(self.device) - before

    def graphed(self, run: Run) -> Run:
        """`run`, captured once; each call replays it into the same tensor."""
        if not self.is_cuda:
            return run
        side = torch.cuda.Stream(self.device)
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):
            for _ in range(BEFORE_CAPTURE):
                run()
        torch.cuda.current_stream(self.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            drawn = run()

        def replay() -> Tensor:
            graph.replay()
            return drawn

        return replay

    def wait(self) -> None:
        if self.is_cuda:
            torch.cuda.synchronize(self.device)


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Whether fp32 products may be rounded to TF32, in convolutions and matrix products."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = allowed  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before  # pyright: ignore[reportAttributeAccessIssue]


def with_tf32(allowed: bool, run: Run) -> Run:
    """`run` under `tf32(allowed)`."""

    def under() -> Tensor:
        with tf32(allowed):
            return run()

    return under


def split_of(seconds: float, parts: int) -> Iterator[Callable[[], float]]:
    """For each of `parts`, a function that says how many seconds are left to it; what one leaves, the next ones get."""
    end = time.perf_counter() + seconds
    for left in range(parts, 0, -1):
        now = time.perf_counter()
        yield partial(_until, now + max(0.0, end - now) / left)


def _until(end: float) -> float:
    return end - time.perf_counter()
