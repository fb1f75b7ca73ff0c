"""What the settings of all trainings have in common: option blocks and checks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from lga_core import InputError

Precision = Literal["auto", "fp32", "bf16"]
PARTS = "parts"
"""Where config.json keeps the fingerprints of the files that a run was started with."""


@dataclass(frozen=True)
class Watch:
    """What is logged, previewed and saved, and how often."""

    log_every: int = 20
    """Log losses every this many steps."""
    preview_every: int = 200
    """Draw a preview sheet every this many steps."""
    save_every: int = 200
    """Save the state every this many steps."""
    tensorboard: bool = True
    """Write TensorBoard logs."""
    report_faces: int = 48
    """Number of held-out faces that the report measures on; no step uses them."""


@dataclass(frozen=True, kw_only=True)
class FrozenGeneratorOptions:
    """How gradients go through the frozen generator: a part of each training's optimizer settings."""

    accumulate: int = 1
    """Split each process's batch into this many parts: less memory, the same result."""
    precision: Precision = "auto"
    """Precision of the frozen generator; auto is bf16 where the hardware supports it, else fp32."""
    recompute_from: int | None = None
    """Recompute generator blocks from this resolution up in the backward pass, to save memory."""
    compiled: bool = False
    """Compile the generator's element-wise operations; the first step is slower."""
    deterministic: bool = False
    """Use only deterministic algorithms, on GPUs too, where they are slower."""


@dataclass(frozen=True)
class SampledFaces:
    """Faces sampled from the generator."""

    count: int = 768
    """Number of faces sampled from the generator."""
    psi: float = 0.9
    """Truncation psi of sampled faces: 1 for full variety, 0 for the average face."""


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
    def of(cls, run: "PlannedRun") -> "StepPlan":
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


def need_whole(where: str, value: object, least: int) -> None:
    """Raise InputError unless `value` is a whole number of at least `least`."""
    is_met = isinstance(value, int) and value >= least
    need(is_met, where, value, f"a whole number of at least {least}")


def need_positive(section: str, settings: object, *names: str) -> None:
    """Raise InputError unless these settings of a section are positive numbers, or None."""
    for name in names:
        value = getattr(settings, name)
        need(value is None or 0 < value < math.inf, f"{section}.{flag(name)}", value, "a positive number")


def need_not_negative(section: str, settings: object, *names: str) -> None:
    """Raise InputError unless these settings of a section are numbers from 0."""
    for name in names:
        value = getattr(settings, name)
        need(0 <= value < math.inf, f"{section}.{flag(name)}", value, "a number, not negative")


def need_decay(where: str, value: float) -> None:
    """Raise InputError unless `value` may be the decay of a running average."""
    need(0 <= value < 1, where, value, "a number from 0 to below 1")


def need_psi(where: str, value: float) -> None:
    """Raise InputError unless `value` is a truncation that gives faces."""
    need(-2 <= value <= 2, where, value, "a number from -2 to 2")


def check_steps(run: PlannedRun, watch: Watch) -> None:
    """Raise InputError for counts that are too small, or a batch that cannot be split as `accumulate` says."""
    parts = run.optimizer.accumulate
    for where, value in (("steps", run.steps), ("batch", run.batch), ("optimizer.accumulate", parts)):
        need_whole(where, value, 1)
    for name, least in (("log_every", 1), ("preview_every", 1), ("save_every", 1), ("report_faces", 2)):
        need_whole(f"watch.{flag(name)}", getattr(watch, name), least)
    need(run.batch % parts == 0, "batch", run.batch, f"a multiple of accumulate, {parts}")


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
