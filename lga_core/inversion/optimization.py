"""Refining: an encoder's code, brought closer to its picture by optimisation of the code itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..metrics.perceptual import PerceptualDistance
from ..shapes import Images, WPlus
from ..stylegan2.generator import Generator
from ..stylegan2.pca import random_w, whitening


@dataclass(frozen=True)
class LatentRegularizer:
    """What holds codes back while they are refined: weights beside that of the pixels' error, 0 for none.

    encoder: of the mean square distance from where refinement began. average: of the squared length of the offset from
    the average face, in standard deviations of the domain's faces; it keeps codes where the generator's own faces lie.
    perceptual: of `distance`, which the picture is compared by too.
    """

    encoder: float = 0.0
    average: float = 0.0
    perceptual: float = 0.0
    distance: PerceptualDistance | None = None

    def __post_init__(self) -> None:
        if self.perceptual and self.distance is None:
            raise InputError(
                "A weight is given for the perceptual distance, but no distance. Give one, or the weight 0."
            )


WHITENING_SAMPLES = 2000
"""Random faces that the covariance of W is estimated from."""
LONG_RUN_REGULARIZER = LatentRegularizer(encoder=0.01)
"""For hundreds of steps. Measured on doodles unlike any other (a hat, light from one side), 200 steps: what motions do,
0.95 of the full expression before, fell to 0.76 without it and to 0.81 with it, and it cost 0.8 dB of 26.5. A pull to
the average face cost more and kept less. At 20 steps, and on plain doodles, none of them makes a difference."""


def refine(
    generator: Generator,
    ws: WPlus,
    images: Images,
    steps: int = 20,
    lr: float = 0.05,
    on_step: Callable[[int, Images], None] | None = None,
    regularizer: LatentRegularizer | None = None,
) -> WPlus:
    """Faces closer to the pictures: `steps` of Adam on ws itself, for a mean square and half a mean absolute error.

    An encoder's code is nearly right; a few short steps give back what it missed (+4 dB on the doodle domain at 20
    steps) and stay near it, so that motions keep working. Hundreds want the pull `LONG_RUN_REGULARIZER`.

    Args:
        generator: draws the faces; its weights do not change.
        ws: where to begin, [n num_ws w_dim].
        images: [n c res res] in -1..1, at the generator's resolution.
        steps: 0 returns ws as they are.
        lr: length of a step in each number of ws.
        on_step: called with the number of steps done and the faces as they were drawn last; what it raises stops.
        pull: what holds the codes back; None holds nothing.

    Raises InputError for pictures of another size than the generator draws.
    """
    check_images(generator, ws, images)
    codes, images = ws.detach().clone(), images.detach()
    if steps < 1:
        return codes
    penalty = None if regularizer is None else LatentPenalty(generator, codes.clone(), regularizer)
    with torch.enable_grad():
        codes.requires_grad_()
        optimizer = torch.optim.Adam([codes], lr=lr, betas=(0.9, 0.99))
        for step in range(steps):
            drawn = generator.synthesis(codes)
            error = drawn - images
            loss = (error.square() + 0.5 * error.abs()).mean(dim=(1, 2, 3))  # each face by itself
            if penalty is not None:
                loss = loss + penalty(codes, drawn, images)
            (codes.grad,) = torch.autograd.grad(loss.sum(), [codes])
            optimizer.step()
            if on_step is not None:
                on_step(step + 1, drawn.detach())
    return codes.detach()


class LatentPenalty:
    """A `LatentRegularizer` on codes that began at `start`."""

    def __init__(self, generator: Generator, start: WPlus, regularizer: LatentRegularizer) -> None:
        self.start, self.regularizer, self.average = start, regularizer, generator.w_avg
        self.white = (
            whitening(random_w(generator, WHITENING_SAMPLES, torch.Generator().manual_seed(0))).to(start)
            if regularizer.average
            else None
        )

    def __call__(self, codes: WPlus, drawn: Images, images: Images) -> Float[Tensor, "n"]:
        total = self.regularizer.encoder * (codes - self.start).square().mean(dim=(1, 2))
        if self.white is not None:
            total = total + self.regularizer.average * ((codes - self.average) @ self.white).square().mean(dim=(1, 2))
        if self.regularizer.distance is not None and self.regularizer.perceptual:
            total = total + self.regularizer.perceptual * self.regularizer.distance.each(drawn, images)
        return total


def check_images(generator: Generator, ws: WPlus, images: Images) -> None:
    """Raise InputError unless there is a picture of the generator's size for each face."""
    size = (generator.config.img_channels, generator.config.resolution, generator.config.resolution)
    if images.shape[1:] != size or len(images) != len(ws):
        raise InputError(
            f"Pictures of shape {list(images.shape)} were given for {len(ws)} faces; refining needs {list(size)} each."
        )
