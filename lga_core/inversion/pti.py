"""Pivotal Tuning Inversion (PTI): fine-tune the generator so that a face's code reproduces its image.

Roich et al. 2021, "Pivotal Tuning for Latent-based Editing of Real Images". The code, the pivot, stays in the
well-behaved part of W+, so that motions still work; the weights change a little. `weight_delta` saves the change.
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
    """Settings of PTI's locality regulariser (Eq. 6-7 of Roich et al. 2021; defaults of their code).

    It penalises changes to other faces: at each step, to a code at the distance `alpha` from a pivot, toward a random
    sample.

    Attributes:
        alpha: distance from the pivot, in W+.
        l2, perceptual: weights of the squared error and of the perceptual distance.
        psi: truncation of the samples.
        seed: draws the samples.
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
    """Pivotal tuning: a copy of the generator whose images of the codes `ws` match `images`. The original is unchanged.

    Adam on the weights of the synthesis network, for the mean squared error plus the perceptual distance, both at full
    resolution, with constant noise. The result is frozen.

    Args:
        generator: the generator to tune.
        ws: the pivots, [n num_ws w_dim]; they do not change.
        images: [n c res res] in -1..1, at the generator's resolution.
        distance: perceptual distance, on the generator's device.
        steps: the most steps; 0 gives a copy.
        stop: stop when the largest perceptual distance is at most this; None: `distance.close`.
        lr: learning rate.
        layers: resolutions of the blocks to tune; None: all. Fewer blocks make a smaller weight delta.
        locality: regulariser that preserves other faces, at twice the time; None: no regulariser.
        on_step: called with the number of steps done, the latest images and their distances; an exception it raises
            stops the tuning.

    Raises InputError for images of another size or number than the generator and the codes need and for layers that the
    generator lacks, and DrawingError if memory does not suffice or the tuning diverges.
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
                f"Pivotal tuning diverged: after {step} steps the loss is not finite. Use a smaller learning rate, or "
                "another image if this happens at the first step."
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if on_step is not None:
            on_step(step + 1, drawn.detach(), far.detach())


class LocalityPenalty:
    """Locality regulariser of PTI: how much a face near the pivots has changed, a new random face at each call."""

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
        """A face [1 num_ws w_dim] at the distance alpha from a pivot, toward a random sample; pivots take turns."""
        turn, self.seed = self.seed - self.settings.seed, self.seed + 1
        pivot = self.ws[turn % len(self.ws)][None]
        way = self.generator.sample([self.seed], self.settings.psi).to(pivot) - pivot
        return pivot + self.settings.alpha * way / way.norm().clamp_min(1e-8)


def unfreeze(generator: Generator, layers: Sequence[int] | None) -> list[Tensor]:
    """Make the weights of the blocks at these resolutions trainable, and no others; None: all blocks. Returns them.

    Raises InputError for a resolution without a block.
    """
    known = generator.config.block_resolutions
    if unknown := sorted(set(layers or ()) - set(known)) or (layers is not None and not layers):
        raise InputError(
            f"The layers to tune are {unknown or 'empty'}, but this generator has blocks of the resolutions "
            f"{', '.join(map(str, known))}. Choose some of them."
        )
    generator.requires_grad_(False)
    blocks = [generator.synthesis.get_submodule(f"b{resolution}") for resolution in layers or known]
    return [weight.requires_grad_() for block in blocks for weight in block.parameters()]


def _copy(generator: Generator) -> Generator:
    return copy.deepcopy(generator).eval()


def _needs(generator: Generator) -> str:
    weights = sum(parameter.numel() for parameter in generator.parameters()) * torch.float32.itemsize
    return (
        f"Out of memory while tuning this {generator.config.resolution} px generator. Besides the generator, its tuned "
        f"copy with gradients and optimizer takes {4 * weights / 1e9:.1f} GB, and activations as much again or more. "
        "Tune fewer layers or fewer images at once, or free memory. Nothing was changed."
    )
