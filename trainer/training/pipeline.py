"""The frame of every training: lock, load, compare with what was started, train, measure, save, report.

A kind of training is a subclass of `Training`, whose hooks say what is particular to it; `run` is the same for all.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch

from lga_core import Generator, OutputError
from lga_core.formats import fingerprint

from .config import PARTS, Watch
from .distributed import Workers
from .loop import LoopSchedule, Task, train
from .provenance import machine, made, versions
from .run_folder import RunFolder


class OptimizerSettings(Protocol):
    @property
    def accumulate(self) -> int: ...
    @property
    def deterministic(self) -> bool: ...


class RunSettings(Protocol):
    """What the frame reads of a run's settings, a frozen dataclass."""

    @property
    def out(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def optimizer(self) -> OptimizerSettings: ...
    @property
    def watch(self) -> Watch: ...


class TrainingInputs(Protocol):
    """What a training is given, loaded: the frozen generator with its name and licence, and whatever else it needs."""

    @property
    def name(self) -> str: ...
    @property
    def generator(self) -> Generator: ...
    @property
    def licence(self) -> str | None: ...


Settings = TypeVar("Settings", bound=RunSettings)
Inputs = TypeVar("Inputs", bound=TrainingInputs)
Trained = TypeVar("Trained", bound=Task)


class Training(ABC, Generic[Settings, Inputs, Trained]):
    """One kind of training. The hooks run in the order in which they stand here, under the folder's lock.

    result: name of the model's file in the run's folder.
    """

    result: str

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def load(self, folder: Path, device: torch.device) -> Inputs:
        """The files that the settings name, checked to fit; converted ones are cached in `folder`. Raises LgaError."""

    @abstractmethod
    def fingerprints(self, inputs: Inputs) -> dict[str, Any]:
        """What the files beside the generator hold, by the names in run_folder.NAMES; None for one that is not used."""

    @abstractmethod
    def task(self, inputs: Inputs, folder: RunFolder, workers: Workers) -> Trained:
        """What the loop trains. May cache in `folder` what takes long to compute."""

    @abstractmethod
    def title(self, inputs: Inputs) -> str:
        """What is trained, for the display."""

    @abstractmethod
    def measure(self, inputs: Inputs, task: Trained) -> dict[str, Any]:
        """Metrics on faces that no step has seen, as JSON."""

    @abstractmethod
    def save(
        self, path: Path, inputs: Inputs, task: Trained, figures: Mapping[str, Any], metadata: Mapping[str, Any]
    ) -> None:
        """Write the model's file, with `metadata` and what else is needed to use it."""

    @abstractmethod
    def report(
        self, folder: Path, inputs: Inputs, task: Trained, figures: dict[str, Any], facts: Mapping[str, str]
    ) -> None:
        """Write the report, with `facts` of the machine and the versions, into the run's folder."""


def run(training: Training[Any, Any, Any]) -> Path:
    """Train from the state in the run's folder, if there is one; the model's file.

    Raises an LgaError for whatever a person can put right, and loop.Stopped when a person stops it.
    """
    settings = training.settings
    torch.use_deterministic_algorithms(settings.optimizer.deterministic)
    workers, folder = Workers(settings.device), RunFolder(Path(settings.out))
    path = folder.path / training.result
    with folder.locked() if workers.is_first else nullcontext():
        with workers.after_the_first():  # the others find what it has converted
            inputs = training.load(folder.path, workers.device)
            config = described(settings, inputs, training.fingerprints(inputs))
            if workers.is_first:
                folder.keep_config(config)
        task = training.task(inputs, folder, workers)
        schedule = LoopSchedule.of(settings.steps, settings.optimizer.accumulate, settings.watch)
        seconds = train(task, folder, schedule, workers, training.title(inputs))
        if workers.is_first:
            figures = training.measure(inputs, task)
            training.save(path, inputs, task, figures, _metadata(settings, inputs, config, seconds))
            training.report(folder.path, inputs, task, figures, _facts(inputs, seconds))
        workers.wait()
    workers.end()
    return path


def described(settings: Any, inputs: TrainingInputs, fingerprints: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as JSON, and what their files hold: names of files change, fingerprints do not."""
    generator = {"name": inputs.name, "fingerprint": fingerprint(inputs.generator)}
    return {**json.loads(json.dumps(asdict(settings))), PARTS: {"generator": generator, **fingerprints}}


def save_half(save: Callable[..., None], path: Path, model: Any, **metadata: Any) -> None:
    """Save in half precision, unless a number is too large for it. Raises OutputError."""
    with suppress(OutputError):
        return save(path, model, half=True, **metadata)
    return save(path, model, **metadata)


def _metadata(
    settings: RunSettings, inputs: TrainingInputs, config: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
    return {
        "generator": inputs.name,
        "generator_fingerprint": fingerprint(inputs.generator),
        "steps": settings.steps,
        "training": config,
        "made": made(seconds),
        **({"generator_licence": inputs.licence} if inputs.licence else {}),
    }


def _facts(inputs: TrainingInputs, seconds: float) -> dict[str, str]:
    return {
        "time": f"{seconds / 60:.0f} minutes",
        "machine": machine(inputs.generator.w_avg.device),
        **versions(),
        **({"licence of the generator": inputs.licence} if inputs.licence else {}),
    }
