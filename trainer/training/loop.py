"""The one training loop: it weighs, sums, differentiates, averages over processes, checks, clips, steps and logs.

What is trained is a `Task`. A step's randomness is a function of the seed and the step's number alone, so a run that
was stopped, or killed, goes on to the very weights of one that was not.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lga_core import MismatchError

from .config import Watch
from .distributed import Share, TrainingError, Workers
from .progress import Display
from .run_folder import RunFolder


@dataclass
class Objective:
    """One optimiser and what it minimises: the sum of `weights(step)[name] * losses(batch)[name]`.

    `losses` gives unweighted scalars under exactly the names that `weights` has, so that nothing is logged that is not
    summed, nor summed unseen. At a step without any weight it rests: nothing of it is computed or moved. `lr(step)` is
    multiplied by a parameter group's own "scale", where it has one.
    """

    name: str
    parameters: Sequence[nn.Parameter]
    optimizer: Optimizer
    losses: Callable[[Any], dict[str, Tensor]]
    weights: Callable[[int], Mapping[str, float]]
    lr: Callable[[int], float]
    clip_norm: float | None = None


class Task(Protocol):
    """What is trained. `modules`: all that a saved state holds besides the optimisers."""

    objectives: Sequence[Objective]
    modules: Mapping[str, nn.Module]
    num_frames_drawn: int

    def batch(self, step: int, share: Share) -> Any:
        """This share of the step's global batch, drawn from (seed, step) alone."""
        ...

    def after(self, step: int) -> None:
        """Once all objectives have stepped: running averages."""
        ...

    def preview(self, path: Path) -> None:
        """A sheet of pictures, as PNG."""
        ...


@dataclass(frozen=True)
class LoopSchedule:
    """How far a loop goes, and how often it shows and saves what it has."""

    steps: int
    accumulate: int = 1
    log_every: int = 20
    save_every: int = 200
    preview_every: int = 200
    tensorboard: bool = True

    @classmethod
    def of(cls, steps: int, accumulate: int, watch: Watch) -> LoopSchedule:
        return cls(steps, accumulate, watch.log_every, watch.save_every, watch.preview_every, watch.tensorboard)


class Stopped(Exception):
    """A person stopped the run after `step` steps, all of them saved."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step


def train(task: Task, folder: RunFolder, schedule: LoopSchedule, workers: Workers, title: str) -> float:
    """Take the steps that are left, from the state in `folder` if there is one; the seconds spent, over all runs.

    Raises Stopped after Ctrl-C or SIGTERM, and TrainingError for a number that is not finite, a full memory or a lost
    process; in each case a whole state is in the folder.
    """
    optimizers = {objective.name: objective.optimizer for objective in task.objectives}
    if workers.is_first:
        folder.made()
    notes = folder.load(task.modules, optimizers) if folder.is_begun else {"step": 0, "seconds": 0.0}
    start, begun = notes["step"], time.perf_counter() - notes["seconds"]
    if start > schedule.steps:
        raise MismatchError(
            f"{start} steps were taken in {folder.path}, and {schedule.steps} are asked for. Take --steps {start} or "
            "more, or start a new run with another --out."
        )
    if workers.is_first:
        folder.forget_after(start)

    def save(step: int) -> None:
        if workers.is_first:
            folder.save(step, task.modules, optimizers, seconds=time.perf_counter() - begun)

    with _stop_requested() as is_asked, _display(folder, title, schedule, start, workers) as display:
        for step in range(start, schedule.steps):
            with _explained(step, folder):
                row = take_step(task, step, schedule.accumulate, workers)
                stop = workers.any(is_asked())
            task.after(step)
            done, last = step + 1, step + 1 == schedule.steps
            if done % schedule.log_every == 0 or last:
                seconds = time.perf_counter() - begun
                row |= {"seconds": seconds, "memory_mb": memory_mb(workers.device)}
                if workers.is_first:
                    folder.log({"step": done, **row})
            if display is not None:
                display.show(done, row)
            if done % schedule.preview_every == 0 and display is not None:
                path = folder.previews / f"step_{done:06d}.png"
                task.preview(path)
                display.picture(done, path)
            if done % schedule.save_every == 0 or last or stop:
                save(done)
            if stop and not last:
                raise Stopped(done)
    return time.perf_counter() - begun


def take_step(task: Task, step: int, accumulate: int, workers: Workers) -> dict[str, float]:
    """One step of every objective; what was summed, as `objective/loss`, with totals and gradient norms."""
    begun, row = time.perf_counter(), {}
    batches = [task.batch(step, share) for share in workers.shares(accumulate)]
    for objective in task.objectives:
        weights = {name: weight for name, weight in objective.weights(step).items() if weight}
        if not weights:
            continue
        gradients, terms = gradients_of(objective, batches, weights)
        summed = torch.stack([terms[name] for name in weights])
        workers.mean_([*gradients, summed])
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        values = torch.cat([summed, norm.reshape(1).to(summed)]).tolist()
        found = dict(zip([*weights, "gradient"], values, strict=True))
        _check_finite(step, objective.name, found, {name: term.item() for name, term in terms.items()})
        found["total"] = sum(weights[name] * found[name] for name in weights)
        _descend(objective, gradients, found["gradient"], objective.lr(step))
        row |= {f"{objective.name}/{name}": value for name, value in found.items()}
    row["lr"] = task.objectives[0].lr(step)
    row["frames_per_second"] = task.num_frames_drawn * workers.count / (time.perf_counter() - begun)
    return row


def gradients_of(
    objective: Objective, batches: Sequence[Any], weights: Mapping[str, float]
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Gradients of the weighted sum, one for each parameter, and each unweighted loss; all are means over batches."""
    parameters = list(objective.parameters)
    gradients = [torch.zeros_like(parameter) for parameter in parameters]
    means: dict[str, Tensor] = {}
    for batch in batches:
        terms = objective.losses(batch)
        if set(terms) != set(weights):
            raise ValueError(f"{objective.name} computes {sorted(terms)}, but weighs {sorted(weights)}")
        total = sum((weights[name] * term for name, term in terms.items()), torch.zeros(()).to(parameters[0]))
        for gradient, found in zip(
            gradients, torch.autograd.grad(total / len(batches), parameters, allow_unused=True), strict=True
        ):
            if found is not None:
                gradient += found
        for name, term in terms.items():
            means[name] = means.get(name, 0) + term.detach().float() / len(batches)
    return gradients, means


def _descend(objective: Objective, gradients: Sequence[Tensor], norm: float, lr: float) -> None:
    scale = 1.0 if objective.clip_norm is None else min(1.0, objective.clip_norm / (norm + 1e-12))
    if scale < 1:
        torch._foreach_mul_(list(gradients), scale)
    for parameter, gradient in zip(objective.parameters, gradients, strict=True):
        parameter.grad = gradient
    for group in objective.optimizer.param_groups:
        group["lr"] = lr * group.get("scale", 1.0)
    objective.optimizer.step()
    objective.optimizer.zero_grad(set_to_none=True)


def _check_finite(step: int, objective: str, found: Mapping[str, float], here: Mapping[str, float]) -> None:
    """`found`: means over all processes; `here`: this one's, which name the guilty term more exactly."""
    wrong = [name for values in (here, found) for name, value in values.items() if not math.isfinite(value)]
    if not wrong:
        return
    what = "The gradient's length" if wrong[0] == "gradient" else f"The loss '{wrong[0]}' of {objective}"
    raise TrainingError(
        f"{what} is not a finite number at step {step + 1}. Take a lower --optimizer.lr, or --optimizer.clip-norm 1, "
        "or --optimizer.precision fp32 if it is bf16; give another --out to begin anew."
    )


@contextmanager
def _explained(step: int, folder: RunFolder) -> Iterator[None]:
    """What a person can do about a step that failed."""
    kept = f"The state of the last save is whole in {folder.path}." if folder.is_begun else "Nothing was saved yet."
    try:
        yield
    except TrainingError as err:
        raise TrainingError(f"{err} {kept}") from err
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as err:
        if isinstance(err, RuntimeError) and not _is_memory(err):
            raise
        raise TrainingError(
            f"The memory is full at step {step + 1}. Take twice the --optimizer.accumulate (half as much at once, with "
            "the same result), and set --optimizer.recompute-from 64, which halves what the generator keeps for about "
            f"a third more time. {kept}"
        ) from err


def _is_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(
        words in str(error).lower() for words in ("out of memory", "can't allocate memory", "not enough memory")
    )


def _display(folder: RunFolder, title: str, schedule: LoopSchedule, start: int, workers: Workers):
    if not workers.is_first:
        return nullcontext(None)
    return Display(title, schedule.steps, start, folder.path / "tensorboard" if schedule.tensorboard else None)


@contextmanager
def _stop_requested() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed or the process told to end; a second Ctrl-C interrupts at once."""
    asked = []

    def ask(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        print("Stopping after this step. (Ctrl-C again: at once.)", flush=True)

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            before[number] = signal.signal(number, ask)
        except ValueError:  # not the main thread: whoever runs this stops it in another way
            break
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def memory_mb(device: torch.device) -> float:
    """Peak memory so far, in MB: the card's, or the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    try:
        import resource
        import sys

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    except ImportError:  # Windows
        return math.nan


def step_generator(seed: int, step: int) -> torch.Generator:
    """The source of a step's randomness."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) % (2**63))


@torch.no_grad()
def ema_update(average: nn.Module, model: nn.Module, decay: float) -> None:
    """EMA: move the floating-point tensors of `average` toward `model`'s and copy the others (counters)."""
    ours, theirs = average.state_dict(), model.state_dict()
    floats = [name for name, tensor in ours.items() if tensor.is_floating_point()]
    torch._foreach_lerp_([ours[name] for name in floats], [theirs[name] for name in floats], 1 - decay)
    for name in ours.keys() - floats:
        ours[name].copy_(theirs[name])


def cosine(fraction: float) -> float:
    """1 at 0, 0 at 1."""
    return 0.5 + 0.5 * math.cos(math.pi * min(max(fraction, 0.0), 1.0))
