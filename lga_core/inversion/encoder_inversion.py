"""Inversion of images by the encoder and some steps of latent optimisation, with scores of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from ..rendering import draw
from ..shapes import Images, WPlus
from ..stylegan2.generator import Generator
from .encoder import ReconstructionScore, reconstruction_score
from .optimization import refine

LEAST_EXPLAINED = 0.6
"""Share of an image that the encoder alone must explain, or the image is unlike the generator's faces: doodles have .97
and more, other images .33 and less (a flat grey .63)."""


@dataclass(frozen=True, eq=False)
class Inversion:
    """Codes `ws` [n num_ws w_dim] of faces, and how close their reconstructions come to the images.

    encoder_score: by the encoder's codes. score: by the refined codes `ws`.
    """

    ws: WPlus
    encoder_score: ReconstructionScore
    score: ReconstructionScore

    @property
    def unlike(self) -> Bool[Tensor, "n"]:
        """Which images are unlike the generator's faces, see `LEAST_EXPLAINED`."""
        return self.encoder_score.explained < LEAST_EXPLAINED

    def __str__(self) -> str:
        """A line for each face, and one more for each image that is unlike the generator's faces."""
        return "\n".join(self._lines(index) for index in range(len(self.ws)))

    def _lines(self, index: int) -> str:
        subject = "The face" if len(self.ws) == 1 else f"Face {index + 1}"
        found, first = _percent(self.score.explained[index], 1), _percent(self.encoder_score.explained[index], 0)
        line = (
            f"{subject}: PSNR {self.score.decibels[index].item():.1f} dB; {found} of the image's difference from the "
            "average face is reproduced."
        )
        if not self.unlike[index]:
            return line
        return (
            f"{line}\nThe encoder alone reproduces {first}, which is poor: the image is unlike this generator's faces. "
            "Use one upright face framed like them (see Align Face), or a generator of this kind of face."
        )


@torch.no_grad()
def invert(
    generator: Generator,
    encoder: Callable[[Images], WPlus],
    images: Images,
    steps: int = 20,
    on_step: Callable[[int, Images], None] | None = None,
) -> Inversion:
    """The codes of faces in images [n c res res] in -1..1: the encoder's, refined by `steps` of latent optimisation.

    Images are inverted one by one. `on_step` is called steps + 1 times for each, with the number of its steps done and
    its reconstruction [1 c res res]; what it raises stops. Raises InputError for images of another size than the
    generator's, see `refine`.
    """
    average = draw(generator, generator.broadcast(generator.w_avg[None]))
    step = on_step or (lambda done, drawn: None)
    found = [_inverted(generator, encoder, image, average, steps, step) for image in images.split(1)]
    codes, *scores = zip(*found, strict=True)
    return Inversion(torch.cat(codes), *(_joined(each) for each in scores))


def _inverted(
    generator: Generator,
    encoder: Callable[[Images], WPlus],
    image: Images,
    average: Images,
    steps: int,
    on_step: Callable[[int, Images], None],
) -> tuple[WPlus, ReconstructionScore, ReconstructionScore]:
    first = encoder(image)
    drawn = draw(generator, first)
    on_step(0, drawn)
    code = refine(generator, first, image, steps, on_step=on_step)
    score = reconstruction_score(image, drawn, average)
    return code, score, reconstruction_score(image, draw(generator, code), average)


def _joined(scores: tuple[ReconstructionScore, ...]) -> ReconstructionScore:
    return ReconstructionScore(
        torch.cat([each.decibels for each in scores]), torch.cat([each.explained for each in scores])
    )


def _percent(share: Tensor, digits: int) -> str:
    return f"{max(share.item(), 0):.{digits}%}"
