"""The encoder: first taught the W of renders, then to give back the picture through the frozen generator.

The trainer's own encoder training (`lga_trainer.encoder`), with renders, whose W is known, for pictures, and the pixel
loss that the generator was made with.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lga_core import Encoder, load_encoder

from ...data.images import Draw, Shown
from ...encoder.config import EncoderLosses, EncoderOptimizer, EncoderRun
from ...encoder.losses import l2
from ...encoder.task import Comparison, EncoderTask
from ...encoder.train import EncoderInputs, EncoderTraining
from ...reports.contact_sheets import sheet
from ...training.config import Watch
from ...training.distributed import Workers
from ...training.pipeline import run
from ...training.run_folder import RunFolder
from ..attribute_map import AttributeMap
from ..embedded_domain import BuildFolder
from ..render_dataset import Renders
from .generator import pyramid_loss, weight_of

GENERATED_EVERY = 4
"""Every so many steps the encoder sees faces that the generator draws of the same attributes."""
PICTURE_SEED = 8


@dataclass(frozen=True)
class EncoderPhase:
    """One training, from the encoder of the one before. `pixels` and `square` weigh what is drawn; 0: nothing is."""

    name: str
    steps: int
    batch: int
    losses: EncoderLosses
    optimizer: EncoderOptimizer
    pixels: float = 0.0
    square: float = 0.0


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


def train_encoder(build: BuildFolder, phases: Sequence[EncoderPhase]) -> None:
    """Train phase after phase, each in a run folder of its own; writes encoder.safetensors, the last one's.

    A phase that was stopped goes on where it was.
    """
    path = None
    for number, phase in enumerate(phases):
        path = run(RenderedTraining(phase_run(build, phase, number, path), build, phase))
    assert path is not None
    shutil.copyfile(path, build.file("encoder"))


def phase_run(build: BuildFolder, phase: EncoderPhase, number: int, start: Path | None) -> EncoderRun:
    return EncoderRun(
        generator=str(build.file("generator")),
        out=str(build.path / f"run_encoder_{phase.name}"),
        start=None if start is None else str(start),
        size="small",
        steps=build.scaled(phase.steps),
        batch=phase.batch,
        progressive=(0.0, 0.0),
        seed=number,
        device="cpu",
        losses=phase.losses,
        optimizer=phase.optimizer,
        watch=Watch(log_every=50, preview_every=1000, save_every=400, tensorboard=False),
    )


class RenderedTraining(EncoderTraining):
    """One phase's training: the trainer's own, with renders for pictures and the generator's pixel loss."""

    def __init__(self, settings: EncoderRun, build: BuildFolder, phase: EncoderPhase) -> None:
        super().__init__(settings)
        self.build, self.phase = build, phase

    def load(self, folder: Path, device: torch.device) -> EncoderInputs:
        return super().load(folder, device)._replace(name=self.build.domain.name)

    def task(self, inputs: EncoderInputs, folder: RunFolder, workers: Workers) -> EncoderTask:
        build, phase, encoder = self.build, self.phase, inputs.encoder
        renders, places = build.renders(), build.attribute_map()
        pictures = RenderedFaces(renders, places, inputs.generator.num_ws, inputs.draw, bool(phase.pixels))
        if self.settings.start is None:
            encoder.latent_avg.copy_(pictures.codes[:, 0].mean(dim=0).expand_as(encoder.latent_avg))

        def pixel_loss(drawn: Tensor, given: Tensor) -> Tensor:
            """The loss that synthesis was distilled with, edges a little less heavy."""
            return pyramid_loss([drawn], given, weight_of(build), edges=4.0)

        comparisons = {"pixels": Comparison(phase.pixels, pixel_loss), "l2": Comparison(phase.square, l2)}
        return self.assemble(inputs, pictures, comparisons)


@torch.no_grad()
def inverted(encoder: Encoder, pictures: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n l d"]:
    return torch.cat([encoder(chunk) for chunk in pictures.split(32)])


def show_inversions(build: BuildFolder) -> None:
    generator, encoder = build.generator(), load_encoder(build.file("encoder"))
    attributes, _ = build.domain.attributes.sample(24, torch.Generator().manual_seed(PICTURE_SEED))
    pictures = build.domain.render(attributes)
    with torch.no_grad():
        back = generator.synthesis(encoder(pictures))
    rows = [row for pair in zip(pictures.split(8), back.split(8), strict=True) for row in pair]
    sheet(rows, ["picture", "inversion"] * 3, build.path / "encoder.png")
