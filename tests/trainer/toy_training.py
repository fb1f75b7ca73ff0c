"""A toy that the training loop can train in milliseconds, with everything a real one has: two objectives, a running
average, randomness. Run as a script it trains in a process of its own, or in as many as a launcher starts:

    python tests/trainer/toy_training.py FOLDER '{"batch": 3}'
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from lga_core import LgaError
from lga_trainer.training.distributed import Share, Workers
from lga_trainer.training.loop import LoopSchedule, Objective, ema_update, step_generator, train
from lga_trainer.training.run_folder import RunFolder

WEIGHTS = {"fit": 1.0, "size": 0.1, "silent": 0.0}


class Toy:
    """Two layers, of which a pupil learns a teacher's answers and a critic doubts them.

    at_step: what happens before a step's batch is drawn. spoilt: a step -> the loss that turns NaN. ballast: bytes that
    are added to what is saved.
    """

    num_frames_drawn = 5

    def __init__(
        self,
        batch: int = 4,
        accumulate: int = 1,
        at_step: Mapping[int, Callable[[], object]] | None = None,
        spoilt: Mapping[int, str] | None = None,
        clip_norm: float | None = None,
        ballast: int = 0,
    ) -> None:
        self.size, self.at_step, self.spoilt = batch // accumulate, at_step or {}, spoilt or {}
        rng = torch.Generator().manual_seed(5)
        self.pupil, self.teacher, self.critic = (seeded(nn.Linear(3, 3), rng) for _ in range(3))
        self.pupil.register_buffer("ballast", torch.ones(ballast // 4))
        self.average = deepcopy(self.pupil).requires_grad_(False)
        self.modules = {"pupil": self.pupil, "average": self.average, "critic": self.critic}
        self.objectives = [
            self.objective("pupil", self.pupil, self.answers, lambda step: WEIGHTS, clip_norm),
            self.objective("critic", self.critic, self.doubts, lambda step: {"doubt": 1.0 + step}),
        ]

    def objective(self, name, layer, losses, weights, clip_norm=None) -> Objective:
        parameters = list(layer.parameters())
        groups = [{"params": parameters[:1]}, {"params": parameters[1:], "scale": 0.5}]
        adam = torch.optim.Adam(groups, lr=1.0, betas=(0.0, 0.999), fused=True)
        return Objective(name, parameters, adam, losses, weights, lambda step: 0.1 / (1 + step), clip_norm)

    def answers(self, batch: tuple[int, Tensor]) -> dict[str, Tensor]:
        step, x = batch
        terms = {
            "fit": (self.pupil(x) - self.teacher(x)).square().mean() - 1e-3 * self.critic(x).mean(),
            "size": (self.pupil(x) ** 2).mean(),
        }
        return {name: term * self.blot(step, name) for name, term in terms.items()}

    def doubts(self, batch: tuple[int, Tensor]) -> dict[str, Tensor]:
        step, x = batch
        return {"doubt": self.critic(self.pupil(x).detach()).square().mean() * self.blot(step, "doubt")}

    def blot(self, step: int, name: str) -> float:
        return float("nan") if self.spoilt.get(step) == name else 1.0

    def batch(self, step: int, share: Share) -> tuple[int, Tensor]:
        self.at_step.get(step, lambda: None)()
        rng = step_generator(3, step)
        return step, share.of(torch.randn(self.size * share.count, 3, generator=rng))

    def after(self, step: int) -> None:
        ema_update(self.average, self.pupil, 0.8)

    def preview(self, path: Path) -> None:
        from PIL import Image

        Image.new("RGB", (8, 8)).save(path)


def seeded(layer: nn.Linear, rng: torch.Generator) -> nn.Linear:
    for parameter in layer.parameters():
        parameter.data = torch.randn(parameter.shape, generator=rng)
    return layer


def run(folder: Path, toy: Toy | None = None, **pace) -> float:
    """Train `toy` in this process, quietly; the seconds spent."""
    pace = {"steps": 6, "log_every": 2, "save_every": 2, "preview_every": 100, "tensorboard": False, **pace}
    return train(Toy() if toy is None else toy, RunFolder(folder), LoopSchedule(**pace), Workers("cpu"), "a toy")


def main(folder: Path, kill: tuple[int, int] = (-1, -1), domain: str | None = None, batch: int = 2) -> None:
    """Train the toy, and one step of a motion on a `domain` if there is one, `batch` faces in each process.

    kill: a step of the toy, and the rank of the process that dies there, as when someone pulls its plug.
    """
    workers = Workers("cpu")

    def die() -> None:
        if workers.rank == kill[1]:
            os.kill(os.getpid(), signal.SIGKILL)

    pace = LoopSchedule(6, log_every=2, save_every=2, preview_every=4, tensorboard=False)
    try:
        train(Toy(batch, at_step={kill[0]: die}), RunFolder(folder / "toy"), pace, workers, "a toy")
        if domain is not None:
            task = motion_task(domain, batch)
            train(task, RunFolder(folder / "motion"), LoopSchedule(1, tensorboard=False), workers, "a motion")
    except LgaError as err:
        sys.exit(f"error: {err}")
    workers.end()


def motion_task(domain: str, batch: int):
    """The published objective, whose contrast is among the prompts of the whole batch, and a discriminator."""
    from lga_core.stylegan2.frozen_synthesis import FrozenSynthesis
    from lga_trainer.data.faces import FaceSet
    from lga_trainer.motion.config import Faces, MotionRun, Optimizer, preset
    from lga_trainer.motion.inputs import prepare_faces
    from lga_trainer.motion.train import MotionTraining

    published = preset("official", domain)
    losses = replace(published.losses, perceptual_network="clip", w_discriminator=0.1, score_size=32)
    run = MotionRun(
        domain, batch=batch, repeats=True, losses=losses, faces=Faces(count=4), optimizer=Optimizer(precision="fp32")
    )
    cpu = torch.device("cpu")
    training = MotionTraining(run)
    inputs = training.load(Path(run.out), cpu)
    draw = FrozenSynthesis(inputs.generator)
    faces = prepare_faces(
        FaceSet(inputs.generator.sample(range(4))), draw, inputs.clip, losses, cpu, embed=run.model.picture
    )
    return training.assemble(inputs, draw, faces)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), **json.loads(sys.argv[2]))
