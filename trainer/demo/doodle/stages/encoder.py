"""The doodle encoder: first taught the W of renders, then to give back the picture through the frozen generator.

The trainer's own encoder training (`lga_trainer.encoder`), with renders, whose W is known, for pictures, and the pixel
loss that the generator was made with.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lga_core import Encoder

from ....data.frozen_models import precision
from ....data.images import Draw, Shown
from ....encoder.config import EncoderLosses, EncoderOptimizer, EncoderRun
from ....encoder.losses import l2
from ....encoder.task import Comparison, EncoderTask
from ....encoder.train import begin, carry_out, load_domain
from ....training.config import Watch
from ....training.distributed import Workers
from ....training.run_folder import RunFolder
from ..rendering.render_dataset import Renders, load_renders
from .generator import AttributeMap, pyramid_loss

CODES_ALONE = EncoderLosses(l2=0.0, perceptual=0.0, identity=0.0, delta=0.0, w_discriminator=0.0)
GENERATED_EVERY = 4
"""Every so many steps the encoder sees faces that the generator draws of the same attributes."""


@dataclass(frozen=True)
class Phase:
    """One training, from the encoder of the one before. `pixels` and `square` weigh what is drawn; 0: nothing is."""

    name: str
    steps: int
    batch: int
    losses: EncoderLosses
    optimizer: EncoderOptimizer
    pixels: float = 0.0
    square: float = 0.0


SETTINGS = EncoderOptimizer(warmup=50, average=0.995, compiled=True)
PHASES = (
    Phase("codes", 3_600, 32, CODES_ALONE, replace(SETTINGS, lr=2e-3, lr_end=0.05, clip_norm=None)),
    Phase(
        "pictures",
        10_000,
        12,
        replace(CODES_ALONE, latent=0.5, spread=0.02),
        replace(SETTINGS, lr=8e-4, lr_end=0.02),
        pixels=1.0,
    ),
    Phase(
        "closer",
        1_000,
        12,
        replace(CODES_ALONE, latent=0.05, spread=0.02),
        replace(SETTINGS, lr=5e-4, lr_end=0.02),
        pixels=1.0,
        square=20.0,
    ),
)


class RenderedFaces:
    """Renders with the W of their attributes; where something is drawn, sometimes the generator's picture of that W."""

    def __init__(
        self, renders: Renders, attribute_map: AttributeMap, num_ws: int, draw: Draw, with_drawn: bool
    ) -> None:
        self.renders, self.draw, self.with_drawn = renders, draw, with_drawn
        self.codes = attribute_map.to_w(renders.attributes)[:, None].expand(-1, num_ws, -1)
        self.notes: list[str] = []

    def show(self, rng: torch.Generator, batch: int, positions: Int[Tensor, "m"], step: int) -> Shown:
        faces = torch.randint(self.renders.num_train, (batch,), generator=rng)[positions]
        return self._shown(faces, drawn=self.with_drawn and step % GENERATED_EVERY == GENERATED_EVERY - 1)

    def examples(self, num: int) -> dict[str, Shown]:
        faces = self.renders.held_out[:num]
        return {"held-out renders": self._shown(faces), "the generator's faces": self._shown(faces, drawn=True)}

    @torch.no_grad()
    def _shown(self, faces: Int[Tensor, "m"], drawn: bool = False) -> Shown:
        ws = self.codes[faces]
        pictures = self.draw(ws).clamp(-1, 1) if drawn else self.renders.batch(faces)
        return Shown(pictures, ws, torch.ones(len(ws)))


def train_doodle_encoder(out: Path, effort: float = 1.0) -> Path:
    """Train phase after phase for out/generator.safetensors, each in a run folder of its own; the last one's encoder.

    `effort` scales the numbers of steps. A phase that was stopped goes on where it was.
    """
    renders, places = load_renders(out), AttributeMap.load(out / "attribute_map.safetensors")
    path = None
    for number, phase in enumerate(PHASES):
        run = phase_run(out, phase, number, effort, path)
        path = train_phase(run, phase, renders, places)
    assert path is not None
    return path


def phase_run(out: Path, phase: Phase, number: int, effort: float, start: Path | None) -> EncoderRun:
    return EncoderRun(
        generator=str(out / "generator.safetensors"),
        out=str(out / f"run_encoder_{phase.name}"),
        start=None if start is None else str(start),
        size="small",
        steps=max(1, round(phase.steps * effort)),
        batch=phase.batch,
        progressive=(0.0, 0.0),
        seed=number,
        device="cpu",
        losses=phase.losses,
        optimizer=phase.optimizer,
        watch=Watch(log_every=50, preview_every=1000, save_every=400, tensorboard=False),
    )


def train_phase(run: EncoderRun, phase: Phase, renders: Renders, attribute_map: AttributeMap) -> Path:
    """One phase's encoder: its own training, with pictures and pixel losses of the demo's."""
    workers, folder = Workers(run.device), RunFolder(Path(run.out))
    dtype = precision(run.optimizer, workers.device)
    domain = load_domain(run, workers.device)._replace(name="doodle")
    pictures = RenderedFaces(renders, attribute_map, domain.generator.num_ws, domain.draw, bool(phase.pixels))
    encoder = begin(run, domain.generator)
    if run.start is None:
        encoder.latent_avg.copy_(pictures.codes[:, 0].mean(dim=0).expand_as(encoder.latent_avg))
    comparisons = {"pixels": Comparison(phase.pixels, like_the_generator_s), "l2": Comparison(phase.square, l2)}
    task = EncoderTask(run, encoder, domain.generator, domain.draw, pictures, comparisons, dtype)
    return carry_out(task, domain, folder, workers)


def like_the_generator_s(drawn: Tensor, pictures: Tensor) -> Tensor:
    """The loss that synthesis was distilled with, edges a little less heavy."""
    return pyramid_loss([drawn], pictures, edges=4.0)


@torch.no_grad()
def inverted(encoder: Encoder, pictures: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n l d"]:
    return torch.cat([encoder(chunk) for chunk in pictures.split(32)])
