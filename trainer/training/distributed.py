"""The processes that train together, through Hugging Face accelerate: one, or as many as a launcher has started.

Every process draws the whole of each step's randomness and takes its share (`Share`), so that the only thing they ever
exchange is gradients. Nothing else needs to agree but when to stop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor

from lga_core import InputError, LgaError


class TrainingError(LgaError):
    """A training cannot go on as it is: change a setting, or give it another machine."""


@dataclass(frozen=True)
class Share:
    """Part `index` of `count` equal parts of a step's global batch."""

    index: int
    count: int

    def of(self, whole: Tensor) -> Tensor:
        """This part of a tensor whose first axis is the global batch."""
        size = len(whole) // self.count
        return whole[self.index * size : (self.index + 1) * size]


class Workers:
    """`count` processes, of which this is number `rank`; the first alone writes files."""

    def __init__(self, device: str = "auto", timeout_minutes: float = 10) -> None:
        try:
            from accelerate import Accelerator
            from accelerate.utils import InitProcessGroupKwargs
        except ImportError as err:
            raise InputError(
                "Training needs more libraries than drawing does: pip install 'language-guided-animation[train]'."
            ) from err
        if device not in ("auto", "cpu", "cuda", "mps"):
            raise InputError(f"The device is {device!r}; it must be auto, cpu, cuda or mps.")
        if device == "cuda" and not torch.cuda.is_available():
            raise InputError("The device is cuda, but torch sees no such card here. Take --device auto or cpu.")
        on_cpu = device == "cpu" or not (torch.cuda.is_available() or torch.backends.mps.is_available())
        patience = InitProcessGroupKwargs(timeout=timedelta(minutes=timeout_minutes))
        self.accelerator = Accelerator(cpu=on_cpu, kwargs_handlers=[patience])

    @property
    def rank(self) -> int:
        return self.accelerator.process_index

    @property
    def count(self) -> int:
        return self.accelerator.num_processes

    @property
    def is_first(self) -> bool:
        return self.accelerator.is_main_process

    @property
    def device(self) -> torch.device:
        return self.accelerator.device

    def shares(self, parts: int) -> list[Share]:
        """This process's part of a step's global batch, cut into `parts`."""
        return [Share(self.rank * parts + part, self.count * parts) for part in range(parts)]

    def mean_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes, in one exchange. Raises TrainingError if one is lost."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        try:
            flat = self.accelerator.reduce(flat, reduction="mean")
        except RuntimeError as err:
            raise TrainingError(
                f"Process {self.rank} of {self.count} has lost another one ({_first_line(err)})."
            ) from err
        assert isinstance(flat, Tensor)
        for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def any(self, flag: bool) -> bool:
        """Whether any process says so."""
        said = torch.tensor([float(flag)], device=self.device)
        self.mean_([said])
        return said.item() > 0

    def wait(self) -> None:
        """Until all processes have come here."""
        self.accelerator.wait_for_everyone()

    @contextmanager
    def after_the_first(self) -> Iterator[None]:
        """What is inside the first process does alone; the others do it when it has, and find what it kept."""
        with self.accelerator.main_process_first():
            yield

    def end(self) -> None:
        self.accelerator.end_training()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
