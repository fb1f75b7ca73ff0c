"""What the settings of all trainings have in common: option blocks and checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from lga_core import InputError

Precision = Literal["auto", "fp32", "bf16"]
PARTS = "parts"
"""Where config.json keeps the fingerprints of the files that a run was started with."""


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


@dataclass(frozen=True)
class StepPlan:
    """How many steps a run takes, and how many samples each takes.

    batch: samples of each process. accumulate: parts that they are computed in. seed: of everything random.
    """

    steps: int
    batch: int
    accumulate: int = 1
    seed: int = 0

    @classmethod
    def of(cls, run: PlannedRun) -> StepPlan:
        return cls(run.steps, run.batch, run.optimizer.accumulate, run.seed)

    def global_batch(self, parts: int) -> int:
        """Samples of a step in all processes; `parts` = processes times `accumulate`."""
        return self.batch // self.accumulate * parts


class HasAccumulate(Protocol):
    @property
    def accumulate(self) -> int: ...


class PlannedRun(Protocol):
    """What all runs have."""

    @property
    def steps(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def optimizer(self) -> HasAccumulate: ...


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


def upgraded(config: dict[str, Any]) -> dict[str, Any]:
    """A config.json as it is written today. Encoders' once had the generator's fingerprint in place of its file."""
    generator = config.get("generator")
    if not isinstance(generator, dict):
        return config
    return {**config, "generator": None, PARTS: {"generator": generator}}


def settings_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings alone, as `--config` takes them: a run's config.json without the fingerprints of its files."""
    settings = {name: value for name, value in upgraded(dict(config)).items() if name != PARTS}
    if isinstance(config.get("generator"), dict):
        del settings["generator"]  # an old run's: only the command line can say where the file is
    return settings
