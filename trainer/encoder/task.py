"""What the loop needs to train an encoder: its batches, objectives, EMA of the weights, and preview."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from lga_core import Encoder, Generator, Images, WPlus
from lga_core.stylegan2 import random_w

from ..data.images import Draw, Pictures, Shown, compared
from ..reports.contact_sheets import reconstruction_sheet
from ..training.config import StepPlan
from ..training.distributed import Share
from ..training.loop import Objective, cosine, ema_update, step_generator
from ..training.w_discriminator import WDiscriminator, WPool, convincing, r1, taken_for_fake, taken_for_real
from . import losses
from .config import EncoderLosses, EncoderOptimizer

R1_EVERY = 16
NUM_PREVIEWED = 6
POOL_SHARE = 0.5
"""Share of the codes that the discriminator sees that are of earlier steps."""


class Comparison(NamedTuple):
    """A loss on pictures: `distance` of the drawn ones from the given ones [n c h w], -> a scalar."""

    weight: float
    distance: Callable[[Images, Images], Tensor]


@dataclass
class Batch:
    """What a step's share of m pictures is computed from.

    real [m w_dim]: codes of the mapping network. row, in 0..1, says which row of each code found the discriminator
    sees; old and place, which of them an earlier code replaces, and which one. `codes`: what the encoder has found,
    once it has.
    """

    step: int
    shown: Shown
    real: Float[Tensor, "m w_dim"] | None
    row: Float[Tensor, "m"]
    old: Bool[Tensor, "m"]
    place: Float[Tensor, "m"]
    codes: WPlus | None = None


class EncoderTask:
    """Trains `encoder` on `pictures`, drawing what it finds with the frozen generator (`draw`).

    last_row: (step, num_ws) -> the last row of W+ that may differ from row 0. default_lr: where `optimizer` has none.
    comparisons: the losses on pictures, by name. Without any nothing is drawn.

    Gradients are averaged over processes, but each normalises by its own pictures of a batch and pools its own codes:
    here n processes are close to one with n times the batch, not equal to it.
    """

    def __init__(
        self,
        plan: StepPlan,
        last_row: Callable[[int, int], int],
        default_lr: float,
        weights: EncoderLosses,
        optimizer: EncoderOptimizer,
        encoder: Encoder,
        generator: Generator,
        draw: Draw,
        pictures: Pictures,
        comparisons: Mapping[str, Comparison],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.plan, self.last_row, self.losses, self.optimizer = plan, last_row, weights, optimizer
        self.highest_lr = default_lr if optimizer.lr is None else optimizer.lr
        self.encoder, self.generator, self.draw, self.pictures = encoder, generator, draw, pictures
        self.comparisons = {name: each for name, each in comparisons.items() if each.weight}
        self.dtype, self.device = dtype, encoder.latent_avg.device
        self._fast: Callable[..., WPlus] | None = torch.compile(encoder) if optimizer.compiled else None
        self.average = deepcopy(encoder).eval().requires_grad_(False) if optimizer.average else encoder
        modules: dict[str, nn.Module] = {"encoder": encoder}
        if self.average is not encoder:
            modules["average"] = self.average
        objectives = [self._encoder_objective()]
        self.discriminator, self.pool = None, None
        if weights.w_discriminator:
            w_dim = encoder.config.w_dim
            self.discriminator = WDiscriminator(w_dim, plan.seed).to(self.device)
            self.pool = WPool(w_dim).to(self.device)
            modules |= {"discriminator": self.discriminator, "pool": self.pool}
            objectives.append(self._discriminator_objective(self.discriminator))
        self.modules: Mapping[str, nn.Module] = modules
        self.objectives: Sequence[Objective] = objectives
        self.num_frames_drawn = plan.batch
        self._found: list[Tensor] = []

    # What is minimised

    def _encoder_objective(self) -> Objective:
        settings, parameters = self.optimizer, list(self.encoder.parameters())
        adam = torch.optim.AdamW(parameters, weight_decay=settings.weight_decay, fused=True)
        weights = {name: getattr(self.losses, name) for name in ("latent", "delta", "spread", "w_discriminator")}
        weights |= {name: each.weight for name, each in self.comparisons.items()}
        weights = {name: weight for name, weight in weights.items() if weight}
        return Objective(
            "encoder", parameters, adam, self.encoder_losses, lambda step: weights, self.lr_at, settings.clip_norm
        )

    def _discriminator_objective(self, discriminator: WDiscriminator) -> Objective:
        lr = self.optimizer.discriminator_lr
        adam = torch.optim.Adam(discriminator.parameters(), fused=True)
        parameters = list(discriminator.parameters())
        return Objective(
            "discriminator", parameters, adam, self.discriminator_losses, self.discriminator_weights, lambda step: lr
        )

    def encoder_losses(self, batch: Batch) -> dict[str, Tensor]:
        """The losses that are on, unweighted."""
        weights, stage = self.losses, self.stage(batch.step)
        ws = self.encode(batch.shown.pictures, stage)
        batch.codes = ws.detach()
        terms: dict[str, Tensor] = {}
        if weights.latent:
            terms["latent"] = losses.latent_error(ws, batch.shown.ws, batch.shown.known)
        if weights.delta:
            terms["delta"] = losses.delta(ws)
        if weights.spread:
            terms["spread"] = losses.row_spread(ws)
        if self.discriminator is not None:
            terms["w_discriminator"] = convincing(self.discriminator(ws[:, : stage + 1].flatten(0, 1)))
        if self.comparisons:
            drawn = compared(self.draw(ws))
            terms |= {name: each.distance(drawn, batch.shown.pictures) for name, each in self.comparisons.items()}
        return terms

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """One row of each code found, as it was before the encoder's step, against codes of the mapping network."""
        assert self.discriminator is not None and self.pool is not None
        assert batch.codes is not None and batch.real is not None
        row = (batch.row.to(self.device) * (self.stage(batch.step) + 1)).long()
        found = batch.codes[torch.arange(len(row), device=self.device), row]
        self._found.append(found)
        fake = self.pool.mixed(found, batch.old, batch.place)
        terms = {
            "real": taken_for_fake(self.discriminator(batch.real)),
            "found": taken_for_real(self.discriminator(fake)),
        }
        if self.discriminator_weights(batch.step)["r1"]:
            terms["r1"] = r1(self.discriminator, batch.real)
        return terms

    def discriminator_weights(self, step: int) -> dict[str, float]:
        """R1 costs a second derivative: it is computed now and then, and weighs the more."""
        gamma = self.losses.r1 * R1_EVERY if (step + 1) % R1_EVERY == 0 else 0.0
        return {"real": 1.0, "found": 1.0, "r1": gamma / 2}

    def encode(self, pictures: Images, stage: int) -> WPlus:
        size = (self.encoder.config.input_size,) * 2
        if pictures.shape[2:] != size:
            pictures = F.interpolate(pictures, size, mode="bilinear", antialias=True)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            is_whole = stage == self.encoder.config.num_ws - 1
            return (self._whole(pictures) if is_whole else self.encoder(pictures, stage)).float()

    def _whole(self, pictures: Images) -> WPlus:
        """All rows; compiled where that was asked for and a compiler works."""
        if self._fast is not None:
            try:
                return self._fast(pictures)
            except TorchDynamoException as err:
                self._fast = None
                warnings.warn(f"The encoder is not compiled, which is slower: {type(err).__name__}.", stacklevel=2)
        return self.encoder(pictures)

    def stage(self, step: int) -> int:
        """The last row that differs from row 0; all may, at once, in an encoder whose rows share nothing."""
        config = self.encoder.config
        return self.last_row(step, config.num_ws) if config.row0_shared else config.num_ws - 1

    def lr_at(self, step: int) -> float:
        settings = self.optimizer
        warm = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
        return self.highest_lr * warm * (settings.lr_end + (1 - settings.lr_end) * cosine(step / self.plan.steps))

    # What is random

    def batch(self, step: int, share: Share) -> Batch:
        rng, n = step_generator(self.plan.seed, step), self.plan.global_batch(share.count)
        mine = share.of(torch.arange(n))
        row, old, place = torch.rand(3, n, generator=rng)[:, mine]
        real = None if self.discriminator is None else random_w(self.generator, n, rng, mine)
        shown = self.pictures.show(rng, n, mine, step)
        return Batch(step, shown, real, row, old < POOL_SHARE, place)

    # What follows a step

    def after(self, step: int) -> None:
        if self.average is not self.encoder:
            ema_update(self.average, self.encoder, min(self.optimizer.average, (step + 1) / (step + 10)))
        if self.pool is not None:
            found, self._found = torch.cat(self._found), []
            rng = torch.Generator().manual_seed(step)
            self.pool.keep(found, torch.randint(len(self.pool.codes), (len(found),), generator=rng))

    def result(self) -> Encoder:
        """The averaged encoder, as a copy."""
        return deepcopy(self.average).eval().requires_grad_(False)

    @torch.no_grad()
    def preview(self, path: Path) -> None:
        """Pictures that no step shows, over what the generator makes of their codes."""
        groups = self.pictures.examples(NUM_PREVIEWED).values()
        pictures = torch.cat([shown.pictures for shown in groups])
        reconstruction_sheet(pictures, self.draw(self.result()(pictures)), path, columns=NUM_PREVIEWED)
