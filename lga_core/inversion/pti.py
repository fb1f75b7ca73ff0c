"""Pivotal tuning: the generator itself learns one face, so that its code draws the picture and motions still work.

Roich et al. 2021, "Pivotal Tuning for Latent-based Editing of Real Images". The code, the pivot, stays where it is, in
the well-behaved part of W+; the weights around it move a little. `differences.py` keeps what has moved.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import DrawingError, InputError
from ..metrics.perceptual import PerceptualDistance
from ..rendering import out_of_memory
from ..shapes import Images, WPlus
from ..stylegan2.generator import Generator
from .optimization import check_images

STEPS, RATE = 350, 3e-4
OnStep = Callable[[int, Images, Float[Tensor, "n"]], None]


@dataclass(frozen=True)
class LocalityRegularizer:
    """Holds other faces still while one is learned: at each step a random one, `alpha` from the pivot towards a sample.

    Eq. 6 and 7 of Roich et al.; numbers are their code's. alpha: distance in W+ of the face that is held. psi: how far
    the sample lies from the average face. l2, perceptual: weights of its change. seed: draws the samples.
    """

    alpha: float = 30.0
    l2: float = 0.1
    perceptual: float = 0.1
    psi: float = 0.5
    seed: int = 0


def tune(
    generator: Generator,
    ws: WPlus,
    images: Images,
    distance: PerceptualDistance,
    steps: int = STEPS,
    stop: float | None = None,
    lr: float = RATE,
    layers: Sequence[int] | None = None,
    locality: LocalityRegularizer | None = None,
    on_step: OnStep | None = None,
) -> Generator:
    """A generator of its own that draws the pictures from the codes `ws`; the one given in stays as it is.

    Adam on the weights of the synthesis network, for the mean square error and the perceptual distance, both at full
    resolution, with the stored noise. What is tuned is frozen again, and draws by its own engine.

    Args:
        generator: where to begin.
        ws: the pivots, [n num_ws w_dim]. They do not change.
        images: [n c res res] in -1..1, at the generator's resolution.
        distance: on the device of the generator.
        steps: at most; 0 gives a copy.
        stop: the perceptual distance of the farthest face at which it is enough; None is the distance's own `close`.
        lr: length of a step in each weight.
        layers: resolutions of the blocks that are tuned; None tunes all. Fewer make a smaller difference file.
        locality: holds other faces still, at twice the time; None does not.
        on_step: called with the number of steps done, the faces as they were drawn last and their distances. What it
            raises ends the tuning and is passed on.

    Raises InputError for pictures of another size than the generator draws or layers that it does not have, and
    DrawingError where memory does not suffice or numbers run away.
    """
    check_images(generator, ws, images)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            tuned = _copy(generator)
            weights = unfreeze(tuned, layers)
            penalty = None if locality is None else LocalityPenalty(generator, ws.clone(), distance, locality)
            optimizer = torch.optim.Adam(weights, lr=lr)
            stop = distance.close if stop is None else stop
            _optimize(tuned, ws.clone(), images.clone(), distance, steps, stop, optimizer, penalty, on_step)
            return tuned.requires_grad_(False)
    except (MemoryError, RuntimeError) as err:
        if not out_of_memory(err):
            raise
        raise DrawingError(_needs(generator)) from err


def _optimize(
    tuned: Generator,
    ws: WPlus,
    images: Images,
    distance: PerceptualDistance,
    steps: int,
    stop: float,
    optimizer: torch.optim.Optimizer,
    penalty: LocalityPenalty | None,
    on_step: OnStep | None,
) -> None:
    for step in range(steps):
        drawn = tuned.synthesis(ws)
        far = distance.each(drawn, images)
        if far.max() <= stop:
            return
        loss = (drawn - images).square().mean() + far.mean()
        if penalty is not None:
            loss = loss + penalty(tuned)
        if not loss.isfinite():
            raise DrawingError(
                f"Tuning ran away: after {step} steps the generator draws values that are not numbers. Begin again "
                "with a smaller learning rate, or with another picture if this happens at the first step."
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if on_step is not None:
            on_step(step + 1, drawn.detach(), far.detach())


class LocalityPenalty:
    """The locality regulariser: how much a face near the pivots has changed, another one at each call."""

    def __init__(
        self, generator: Generator, ws: WPlus, distance: PerceptualDistance, settings: LocalityRegularizer
    ) -> None:
        self.generator, self.ws, self.distance, self.settings = generator, ws, distance, settings
        self.seed = settings.seed

    def __call__(self, tuned: Generator) -> Float[Tensor, ""]:
        ws = self.near()
        with torch.no_grad():
            before = self.generator.synthesis(ws)
        after = tuned.synthesis(ws)
        change = self.settings.l2 * (after - before).square().mean()
        return change + self.settings.perceptual * self.distance(after, before)

    def near(self) -> WPlus:
        """A face [1 num_ws w_dim] at the distance alpha from a pivot, each pivot in turn, towards a random sample."""
        turn, self.seed = self.seed - self.settings.seed, self.seed + 1
        pivot = self.ws[turn % len(self.ws)][None]
        way = self.generator.sample([self.seed], self.settings.psi).to(pivot) - pivot
        return pivot + self.settings.alpha * way / way.norm().clamp_min(1e-8)


def unfreeze(generator: Generator, layers: Sequence[int] | None) -> list[Tensor]:
    """Let gradients flow to the weights of the blocks at these resolutions, and to no others; None: to all blocks.

    Raises InputError for a resolution without a block.
    """
    known = generator.config.block_resolutions
    if unknown := sorted(set(layers or ()) - set(known)) or (layers is not None and not layers):
        raise InputError(
            f"The layers to tune are given as {unknown or 'none'}, but this generator has blocks of the resolutions "
            f"{', '.join(map(str, known))}. Name some of them."
        )
    generator.requires_grad_(False)
    blocks = [generator.synthesis.get_submodule(f"b{resolution}") for resolution in layers or known]
    return [weight.requires_grad_() for block in blocks for weight in block.parameters()]


def _copy(generator: Generator) -> Generator:
    return copy.deepcopy(generator).eval()


def _needs(generator: Generator) -> str:
    weights = sum(parameter.numel() for parameter in generator.parameters()) * torch.float32.itemsize
    return (
        f"Memory does not suffice to tune this {generator.config.resolution} px generator: beside the generator itself "
        f"it takes {4 * weights / 1e9:.1f} GB for its weights, their gradients and the optimiser, and as much again or "
        "more for what is drawn. Tune fewer layers, fewer pictures at once, or free memory first. Nothing was changed."
    )
