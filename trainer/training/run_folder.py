"""The folder of one training: what was asked for, how far it has come, and everything needed to resume.

    config.json          the settings
    state.safetensors    networks, running averages, optimisers and the number of steps done
    metrics.jsonl        one JSON object for each logged step
    previews/            a sheet of pictures every so many steps
    report.html          at the end, beside the model file itself

`state.safetensors` is written aside, brought to the disk and renamed: whenever the power fails, a whole state is there.
"""

from __future__ import annotations

import json
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn
from torch.optim import Optimizer

from lga_core import CheckpointError, InputError, MismatchError, OutputError
from lga_core.formats import load_checkpoint, save_checkpoint

from .atomic_files import write
from .config import PARTS, upgraded

KIND = "training"
FREE_TO_CHANGE = ("steps", "out", "watch", "device", "name", "blendshapes", f"{PARTS}.generator.name")
FREE_TO_CHANGE += ("optimizer.accumulate", "optimizer.recompute_from", "optimizer.compiled")
"""Settings that a run may be resumed with: they do not change what a step does, but for rounding. (More `steps` stretch
what is still to come of the learning rate's schedule.)"""
PART_OF: Mapping[str, str] = {
    "generator": "generator",
    "clip": "clip",
    "score_clips": "score_clips",
    "prompts": "sentences",
    "images": "images",
    "videos": "videos",
    "encoder": "encoder",
    "codes": "codes",
    "start": "start",
    "identity_network": "identity_network",
    "perceptual_weights": "perceptual",
}
"""Settings that name files -> the part that says what they hold. Files may move; what they hold may not change."""
NAMES: Mapping[str, str] = {
    "generator": "another generator",
    "clip": "another CLIP",
    "score_clips": "other scoring CLIPs",
    "sentences": "other prompts",
    "sentence": "another prompt",
    "images": "another folder of images",
    "videos": "another folder of videos",
    "encoder": "another encoder",
    "codes": "other W+ codes",
    "start": "another initial encoder",
    "identity_network": "another identity network",
    "perceptual": "another perceptual network",
}


class RunFolder:
    """One training's folder. Nothing is written before `locked` or `made` is called."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / "state.safetensors"
        self.metrics = path / "metrics.jsonl"
        self.previews = path / "previews"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder and keep other trainings out. Raises InputError if another one is running in it, OutputError.

        The lock comes first: whatever else a run writes, it writes while it holds the lock.
        """
        lock = FileLock(self.path / ".lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout as err:
            raise InputError(
                f"Another training is running in {self.path}. Stop it, or choose another folder with --out."
            ) from err
        except OSError as err:
            raise _unwritable(self.path, err) from err
        try:
            yield self.made()
        finally:
            lock.release()

    def made(self) -> None:
        """Make the folder where it is missing. Raises OutputError if it cannot be made or written."""
        try:
            self.previews.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):  # without a name: several processes may do so at once
                pass
        except OSError as err:
            raise _unwritable(self.path, err) from err

    @property
    def is_begun(self) -> bool:
        return self.state.exists()

    def keep_config(self, config: Mapping[str, Any]) -> None:
        """Write the settings, or compare them with those the run was started with.

        Raises MismatchError naming the first setting, or file, that differs, if steps were already taken with another
        one, and CheckpointError for a damaged file.
        """
        path = self.path / "config.json"
        if self.is_begun and path.exists():
            _compare(self.path, upgraded(_read_config(path)), json.loads(json.dumps(config)))
        write(path, json.dumps(config, indent=1) + "\n")

    def save(
        self, step: int, modules: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer], **notes: Any
    ) -> None:
        """Write the state after `step` steps. Raises OutputError (a full disk): the state before stays as it is."""
        tensors = {
            f"{name}/{key}": tensor for name, module in modules.items() for key, tensor in module.state_dict().items()
        }
        for name, optimizer in optimizers.items():
            tensors |= {f"{name}!{key}": tensor for key, tensor in _optimizer_tensors(optimizer).items()}
        copies = {key: tensor.detach().cpu().clone() for key, tensor in tensors.items()}  # shared storage is refused
        save_checkpoint(self.state, KIND, copies, {}, step=step, **notes)

    def load(self, modules: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]) -> dict[str, Any]:
        """Put a saved state back; what was noted beside it, `step` among it. Raises CheckpointError, MismatchError."""
        checkpoint = load_checkpoint(self.state, KIND)
        try:
            for name, module in modules.items():
                module.load_state_dict(_beginning(f"{name}/", checkpoint.tensors))
            for name, optimizer in optimizers.items():
                _restore(optimizer, _beginning(f"{name}!", checkpoint.tensors))
        except (RuntimeError, LookupError) as err:
            raise MismatchError(
                f"{self.state} does not fit this training ({' '.join(str(err).split())[:200]}). Choose another --out."
            ) from err
        return checkpoint.metadata

    def log(self, row: Mapping[str, float]) -> None:
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(dict(row)) + "\n")
        except OSError as err:
            raise OutputError(
                f"{self.metrics} cannot be written ({err.strerror or err}). Make room, then go on."
            ) from err

    def rows(self) -> list[dict[str, float]]:
        """What was logged, in order of steps."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]  # a killed run's last line may be half

    def forget_after(self, step: int) -> None:
        """Drop logged rows of steps that will be taken again."""
        kept = [json.dumps(row) + "\n" for row in self.rows() if row["step"] <= step]
        write(self.metrics, "".join(kept))


def _compare(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise MismatchError for the first file or setting that differs and changes what a step does.

    Files are compared by what they hold, where the run has recorded that; else by their names.
    """
    known, parts = before.get(PARTS, {}), now.get(PARTS, {})
    free = (*FREE_TO_CHANGE, PARTS, *(setting for setting, part in PART_OF.items() if part in known))
    for name, was, asked in _changes(before, now, free):
        raise _another_run(folder, f"{name} = {was!r}, and {asked!r} is asked for now")
    for part, was in known.items():
        asked = parts.get(part)
        if _changes({PARTS: {part: was}}, {PARTS: {part: asked}}, FREE_TO_CHANGE):
            name = NAMES.get(part, f"another {part}")
            raise _another_run(folder, f"{name} ({_words(was)}; now {_words(asked)})")


def _changes(before: dict[str, Any], now: dict[str, Any], free: tuple[str, ...]) -> list[tuple[str, Any, Any]]:
    prefixes = tuple(f"{name}." for name in free)
    return [found for found in _differences(before, now) if not f"{found[0]}.".startswith(prefixes)]


def _another_run(folder: Path, found: str) -> MismatchError:
    return MismatchError(
        f"The run in {folder} was started with {found}. Continue with the old one, or start a new run with another "
        "--out."
    )


def _words(part: Any) -> str:
    """What a part is, briefly."""
    if isinstance(part, dict) and "fingerprint" in part:
        return " ".join(str(value) for value in part.values())
    if part is None or part == []:
        return "none"
    return textwrap.shorten(part if isinstance(part, str) else json.dumps(part), 80, placeholder="...")


def _unwritable(path: Path, err: OSError) -> OutputError:
    return OutputError(f"The run folder {path} cannot be written ({err.strerror or err}). Choose another with --out.")


def _read_config(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise CheckpointError(
            f"{path} cannot be read ({err}). Remove it to go on with the settings that are asked for now, or choose "
            "another --out."
        ) from err


def _optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return {
        f"{index}/{key}": value if isinstance(value, Tensor) else torch.tensor(float(value))
        for index, parameter in enumerate(parameters)
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def _restore(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Tensors go where their parameter is, except Adam's count of steps, which only a fused Adam keeps there."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    fused = any(group.get("fused") for group in optimizer.param_groups)
    for name, tensor in tensors.items():
        index, key = name.split("/")
        parameter = parameters[int(index)]
        place = parameter.device if key != "step" or fused else "cpu"
        value = tensor.to(place)
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter).copy_(value)  # with the parameter's memory format
        optimizer.state[parameter][key] = value


def _beginning(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def _differences(before: Any, now: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in {**before, **now}:
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif before != now:
        yield name, before, now
