"""What the settings of all trainings have in common: option blocks and checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lga_core import InputError

Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class Watch:
    """What a person sees while it runs, and how often it is saved."""

    log_every: int = 20
    """Steps between logged rows."""
    preview_every: int = 200
    """Steps between preview sheets."""
    save_every: int = 200
    """Steps between saves."""
    tensorboard: bool = True
    """Write for TensorBoard, too."""
    report_faces: int = 48
    """Faces that the report measures on; the run never trains on them."""


def flag(name: str) -> str:
    """A field's name as it is typed: clip_norm -> clip-norm."""
    return name.replace("_", "-")


def need(is_met: bool, where: str, value: object, needed: str) -> None:
    """Raise InputError, naming the flag `where`, unless `is_met`."""
    if not is_met:
        raise InputError(f"--{where} is {value!r}; it must be {needed}.")


def check_watch(watch: Watch) -> None:
    """Raise InputError for a count that is too small."""
    for name, least in (("log_every", 1), ("preview_every", 1), ("save_every", 1), ("report_faces", 2)):
        value = getattr(watch, name)
        needed = f"a whole number of at least {least}"
        need(isinstance(value, int) and value >= least, f"watch.{flag(name)}", value, needed)


def check_parts(batch: int, parts: int) -> None:
    """Raise InputError unless a batch can be computed in so many equal parts."""
    need(batch % parts == 0, "batch", batch, f"a multiple of accumulate, {parts}")
