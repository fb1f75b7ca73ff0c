"""What the loop needs to train MoCoGAN-HD's motion generator: its batches, objectives and preview.

As published: the losses of the motion generator and of both discriminators, their weights, and how often each steps.
Ours, because it is not published: the image discriminator is plain (no attention), sees images of the videos' size, and
is trained to recognise augmentations of first frames; where videos are the generator's own domain, its real images are
theirs. Left out: noise maps drawn anew for each clip (the generator's own are used).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lga_core import Generator, Images, WPlus
from lga_core.baselines import MocoganMotion, reconstruction_loss
from lga_core.stylegan2 import PrincipalComponents, random_w

from ...data.augmentation import Augmentation
from ...data.contrastive_augmentation import Holes, changed, draw_changes, draw_holes
from ...data.videos import Clips, Videos
from ...reports.clip_sheets import clip_sheet
from ...training.config import StepPlan
from ...training.distributed import Share
from ...training.loop import Objective, ema_update, step_generator
from . import losses
from .config import MocoganLosses, MocoganOptimizer, MocoganVideos
from .discriminators import PictureDiscriminator, Queue, VideoDiscriminator
from .losses import Video

BETAS = (0.5, 0.999)
NUM_PREVIEWED, NUM_VIDEOS_SHOWN = 4, 2
NOT_SEEDS_OF_STEPS = 2**62
"""Where the seeds begin of what no step shows."""

Draw = Callable[[WPlus], Images]


@dataclass
class Batch:
    """What a step's share of m clips is computed from.

    w [m w_dim]: first frames' codes. noise [m t-1 w_dim]. videos: real ones. frame [m]: the later frame that the image
    discriminator sees. mix [m], in 0..1: where the gradient penalty is taken. changes, holes [2m]: augmentations of
    first frames. drawn: the clips that the motion generator has made, once it has.
    """

    w: Float[Tensor, "m w_dim"]
    noise: Float[Tensor, "m t-1 w_dim"]
    videos: Clips
    frame: Int[Tensor, "m"]
    mix: Float[Tensor, "m"]
    changes: Augmentation
    holes: Holes
    drawn: Video | None = None


class MocoganTask:
    """Trains `model` to move what `draw` draws as `videos` move, along the principal components `pca` of W.

    cross_domain: first frames, not the videos' pictures, stand for true pictures.

    Gradients are averaged over processes, but each compares its own clips and keeps its own queue: here n processes are
    close to one with n times the batch, not equal to it.
    """

    def __init__(
        self,
        plan: StepPlan,
        weights: MocoganLosses,
        optimizer: MocoganOptimizer,
        film: MocoganVideos,
        psi: float,
        model: MocoganMotion,
        generator: Generator,
        draw: Draw,
        videos: Videos,
        pca: PrincipalComponents,
        cross_domain: bool,
    ) -> None:
        self.plan, self.weights, self.optimizer, self.film, self.psi = plan, weights, optimizer, film, psi
        self.model, self.generator, self.draw = model, generator, draw
        self.videos, self.pca, self.cross_domain = videos, pca, cross_domain
        device = generator.w_avg.device
        self.of_videos = VideoDiscriminator(optimizer.video_width, plan.seed).to(device)
        self.of_pictures = PictureDiscriminator(film.size, optimizer.picture_width, plan.seed).to(device)
        self.average = deepcopy(self.of_pictures).requires_grad_(False)
        self.queue = Queue(weights.queue, seed=plan.seed).to(device)
        self.modules: Mapping[str, nn.Module] = {
            "motion": model,
            "of_videos": self.of_videos,
            "of_pictures": self.of_pictures,
            "average": self.average,
            "queue": self.queue,
        }
        self.objectives: Sequence[Objective] = (self._motion_objective(), self._discriminator_objective())
        self.num_frames_drawn = plan.batch * film.num_frames
        self._looked: list[Tensor] = []

    # What is minimised

    def _motion_objective(self) -> Objective:
        weights, lr, parameters = self.weights.weights, self.optimizer.lr, list(self.model.parameters())
        adam = torch.optim.Adam(parameters, lr, BETAS, fused=True)
        return Objective("motion", parameters, adam, self.motion_losses, lambda step: weights, lambda step: lr)

    def _discriminator_objective(self) -> Objective:
        lr = self.optimizer.discriminator_lr
        parameters = [*self.of_videos.parameters(), *self.of_pictures.parameters()]
        adam = torch.optim.Adam(parameters, lr, BETAS, fused=True)
        return Objective(
            "discriminators",
            parameters,
            adam,
            self.discriminator_losses,
            lambda step: self.weights.discriminator_weights if self.is_judged(step) else {},
            lambda step: lr,
        )

    def is_judged(self, step: int) -> bool:
        """Whether the discriminators learn at this step."""
        return (step + 1) % self.optimizer.discriminator_every == 0

    def motion_losses(self, batch: Batch) -> dict[str, Tensor]:
        """The losses of the motion generator that are on, unweighted."""
        weights = self.weights.weights
        path, told = self.model.rollout(batch.w, batch.noise, self.pca)
        drawn = self.draw_clip(path)
        batch.drawn = drawn.detach()
        with torch.no_grad():
            true = self.of_videos(batch.videos)
        terms = {"video": losses.relativistic(self.of_videos(drawn), true)}
        if "picture" in weights or "match" in weights:
            score, later = self.of_pictures(picked(drawn, batch.frame))
            if "picture" in weights:
                terms["picture"] = losses.unconvincing(score)
            if "match" in weights:
                terms["match"] = losses.mismatch(later, self.of_pictures(drawn[:, 0])[1])
        if "reconstruction" in weights:
            terms["reconstruction"] = reconstruction_loss(told, batch.noise)
        return terms

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Those of both discriminators, on the clips as they were before the motion generator's step."""
        assert batch.drawn is not None
        weights, drawn, terms = self.weights.discriminator_weights, batch.drawn, {}
        terms["video"] = losses.relativistic(self.of_videos(batch.videos), self.of_videos(drawn))
        if "penalty" in weights:
            terms["penalty"] = losses.gradient_penalty(self.of_videos, batch.videos, drawn, batch.mix)
        if "picture" in weights:
            true = drawn[:, 0] if self.cross_domain else picked(batch.videos, batch.frame)
            later = picked(drawn, batch.frame)
            terms["picture"] = losses.hinge(self.of_pictures(true)[0], self.of_pictures(later)[0])
        if "contrast" in weights:
            terms["contrast"] = self.contrast(batch)
        return terms

    def contrast(self, batch: Batch) -> Tensor:
        """Two augmentations of each first frame, the second through the EMA, against those of earlier frames."""
        assert batch.drawn is not None
        seen = changed(batch.drawn[:, 0].repeat(2, 1, 1, 1), batch.changes, batch.holes)
        one, other = seen.chunk(2)
        with torch.no_grad():
            found = self.average(other)[1]
        self._looked.append(found)
        return losses.contrast(self.of_pictures(one)[1], found, self.queue.codes.clone(), self.weights.temperature)

    def draw_clip(self, path: Float[Tensor, "n t w_dim"]) -> Video:
        """Pictures of codes in W, at the videos' size."""
        ws = self.generator.broadcast(path.flatten(0, 1)).contiguous()
        return self.draw(ws).float().unflatten(0, path.shape[:2])

    # What is random

    def batch(self, step: int, share: Share) -> Batch:
        device, num_frames = self.generator.w_avg.device, self.film.num_frames
        rng = step_generator(self.plan.seed, step)
        n = self.plan.global_batch(share.count)
        mine = share.of(torch.arange(n))
        w = self.generator.w_avg + self.psi * (random_w(self.generator, n, rng, mine) - self.generator.w_avg)
        noise = torch.randn(n, num_frames - 1, w.shape[1], generator=rng)[mine].to(w)
        frame = torch.randint(1, num_frames, (n,), generator=rng)[mine].to(device)
        mix = torch.rand(n, generator=rng)[mine]
        changes = torch.cat([draw_changes(n, rng)[mine] for _ in range(2)])
        holes = torch.cat([draw_holes(n, rng)[mine] for _ in range(2)])
        videos = self.videos.show(rng, n, mine).to(device)
        return Batch(w, noise, videos, frame, mix, changes, holes)

    # What follows a step

    def after(self, step: int) -> None:
        if not self.is_judged(step):
            return
        ema_update(self.average, self.of_pictures, self.weights.momentum)
        if self._looked:
            self.queue.push(torch.cat(self._looked))
            self._looked = []

    def result(self) -> MocoganMotion:
        """The motion generator, as a copy."""
        return deepcopy(self.model).eval().requires_grad_(False)

    @torch.no_grad()
    def faces(self, count: int) -> WPlus:
        """Faces that no step shows, the same every time."""
        rng = torch.Generator().manual_seed(NOT_SEEDS_OF_STEPS + self.plan.seed)
        w = self.generator.w_avg + self.psi * (random_w(self.generator, count, rng) - self.generator.w_avg)
        return self.generator.broadcast(w).contiguous()

    def examples(self, count: int) -> Clips:
        """Clips of the videos, the same every time."""
        rng = torch.Generator().manual_seed(NOT_SEEDS_OF_STEPS + self.plan.seed)
        return self.videos.show(rng, count, torch.arange(count))

    @torch.no_grad()
    def preview(self, path: Path) -> None:
        """Faces that no step shows and their motions, over two of the videos."""
        ws = self.faces(NUM_PREVIEWED)
        motion = self.model(ws, self.pca, self.film.num_frames)
        clip_sheet(self.draw, ws, motion, path, list(self.examples(NUM_VIDEOS_SHOWN)))


def picked(videos: Video, frame: Int[Tensor, "n"]) -> Images:
    """One frame of each."""
    return videos[torch.arange(len(videos), device=videos.device), frame]
