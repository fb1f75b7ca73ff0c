"""What the loop needs to train a motion model: its batches, objectives, EMA of the weights, and preview."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lga_core import ClipModel, MotionModel, WPlus

from ..data.augmentation import sample_augmentations
from ..data.prompts import PromptSet
from ..training.config import StepPlan
from ..training.distributed import Share
from ..training.loop import Objective, cosine, ema_update, step_generator
from ..training.w_discriminator import WDiscriminator, r1, taken_for_fake, taken_for_real
from . import losses
from .config import Losses, Optimizer
from .step import Batch, FrozenModels, frames_shown, predict_offsets, train_step

R1_WEIGHT = 5.0
FIRM_FROM = 2 / 3
"""Share of the run from which on `unlikeliness_end` holds."""


class TrainingFaces(NamedTuple):
    """The faces to move, on the CPU, with what does not change in training computed once.

    ws [n l d]; pictures, as the generator draws them, and inputs [n c h w], in half precision; features [n c]: CLIP's
    of `pictures` (None: sentences start the motions alone). skipped: files without a face, with the reason.
    """

    ws: WPlus
    pictures: Float[Tensor, "n c h w"]
    inputs: Float[Tensor, "n c h w"]
    features: Float[Tensor, "n c"] | None
    skipped: tuple[tuple[Path, str], ...] = ()


class Sampling(NamedTuple):
    """How batches are drawn: clips of `num_frames` frames (or up to `num_frames_max`), one prompt a face."""

    plan: StepPlan
    num_frames: int
    num_frames_max: int | None
    paraphrase_share: float


class MotionTask:
    """Trains `model` (and `clip`, the one that starts motions, where it is fine-tuned) on `faces` and `prompts`.

    `w` [n w_dim]: W of many random faces. Everything is on one device but `faces`.
    """

    def __init__(
        self,
        sampling: Sampling,
        weights: Losses,
        optimizer: Optimizer,
        model: MotionModel,
        clip: ClipModel,
        frozen: FrozenModels,
        faces: TrainingFaces,
        prompts: PromptSet,
        w: Float[Tensor, "n w_dim"],
        preview: Callable[[MotionModel, ClipModel, Path], None],
    ) -> None:
        self.sampling, self.plan, self.losses, self.optimizer = sampling, sampling.plan, weights, optimizer
        self.model, self.clip, self.frozen = model, clip, frozen
        self.faces, self.prompts, self.w, self._preview = faces, prompts, w, preview
        self.device = w.device
        trained = nn.ModuleDict({"motion": model})
        if optimizer.finetune_clip:
            trained["clip"] = clip.requires_grad_(True)
        self.average = deepcopy(trained).requires_grad_(False) if optimizer.average else trained
        self.modules: Mapping[str, nn.Module] = {"trained": trained}
        if self.average is not trained:
            self.modules = {**self.modules, "average": self.average}
        self.objectives: Sequence[Objective] = [self._motion_objective(trained)]
        if frozen.discriminator is not None:
            self.modules = {**self.modules, "discriminator": frozen.discriminator}
            self.objectives = [*self.objectives, self._discriminator_objective(frozen.discriminator)]
        read = weights.perceptual_frames if weights.perceptual else None
        self.num_frames_drawn = self.plan.batch * len(frames_shown(model, sampling.num_frames, read))

    # What is minimised

    def _motion_objective(self, trained: nn.ModuleDict) -> Objective:
        settings = self.optimizer
        groups = [{"params": list(self.model.parameters())}]
        if "clip" in trained:
            groups.append({"params": list(self.clip.parameters()), "scale": settings.clip_lr / settings.lr})  # pyright: ignore
        return Objective(
            "motion",
            [parameter for group in groups for parameter in group["params"]],
            torch.optim.Adam(groups, lr=settings.lr, betas=(0.0, 0.999), fused=True),
            lambda batch: train_step(self.model, self.frozen, batch, self.losses, list(self.losses.weights)),
            self.weights_at,
            self.lr_at,
            settings.clip_norm,
        )

    def _discriminator_objective(self, discriminator: WDiscriminator) -> Objective:
        parameters = list(discriminator.parameters())
        lr = self.optimizer.discriminator_lr

        def discriminator_losses(batch: Batch) -> dict[str, Tensor]:
            with torch.no_grad():
                moved = (batch.ws + predict_offsets(self.model, self.frozen, batch).shift[:, -1]).flatten(0, 1)
            real = self.w[batch.others]
            return {
                "real": taken_for_fake(discriminator(real)),
                "moved": taken_for_real(discriminator(moved)),
                "r1": r1(discriminator, real),
            }

        adam = torch.optim.Adam(parameters, lr=lr, betas=(0.0, 0.99), fused=True)
        weights = {"real": 1.0, "moved": 1.0, "r1": R1_WEIGHT}
        return Objective("discriminator", parameters, adam, discriminator_losses, lambda step: weights, lambda step: lr)

    def weights_at(self, step: int) -> dict[str, float]:
        """Weights of the motion's losses. Offsets are held more firmly to how faces vary in the last third."""
        weights = self.losses.weights
        if "unlikeliness" in weights and step >= FIRM_FROM * self.plan.steps:
            weights["unlikeliness"] = self.losses.unlikeliness_end
        return weights

    def lr_at(self, step: int) -> float:
        settings = self.optimizer
        warm = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
        return warm * (settings.lr_end + (settings.lr - settings.lr_end) * cosine(step / self.plan.steps))

    # What is random

    def batch(self, step: int, share: Share) -> Batch:
        sampling, rng = self.sampling, step_generator(self.plan.seed, step)
        n = self.plan.global_batch(share.count)
        faces = torch.randint(len(self.faces.ws), (n,), generator=rng)
        chosen = draw_prompts(len(self.prompts.prompts), n, rng)
        sentences = self.sentences_for(chosen, rng)
        h0 = self.model.initial_hidden_state(n, rng)
        others = torch.randint(len(self.w), (n,), generator=rng)
        views = self.losses.views
        augmentations = sample_augmentations(n * views, rng) if views else None
        most = sampling.num_frames if sampling.num_frames_max is None else sampling.num_frames_max
        num_frames = int(torch.randint(sampling.num_frames, most + 1, (), generator=rng))
        mine = share.of(torch.arange(n))
        taken = [
            tensor[faces[mine]].to(self.device) for tensor in (self.faces.ws, self.faces.pictures, self.faces.inputs)
        ]
        features = None if self.faces.features is None else self.faces.features[faces[mine]].to(self.device)
        pictures, inputs = taken[1].float(), taken[2].float()
        if features is not None and self.optimizer.finetune_clip:
            features = self.clip.encode_images(pictures)
        return Batch(
            ws=taken[0],
            pictures=pictures,
            inputs=inputs,
            features=features,
            chosen=chosen[mine].to(self.device),
            together=chosen.to(self.device),
            position=mine.to(self.device),
            others=others[mine].to(self.device),
            sentences=[sentences[i] for i in mine.tolist()],
            h0=h0[mine],
            augmentations=None if augmentations is None else augmentations.unflatten(0, (-1, n))[:, mine].flatten(0, 1),
            num_frames=num_frames,
        )

    def sentences_for(self, chosen: Int[Tensor, "n"], rng: torch.Generator) -> list[str]:
        """A sentence for each chosen prompt; a share of `paraphrase_share` is paraphrased."""
        sentences = []
        for index, (other, which) in zip(
            chosen.tolist(), torch.rand(len(chosen), 2, generator=rng).tolist(), strict=True
        ):
            prompt = self.prompts.prompts[index]
            options = (prompt.sentence, *prompt.paraphrases)
            sentences.append(
                options[int(which * len(options))] if other < self.sampling.paraphrase_share else prompt.sentence
            )
        return sentences

    # What follows a step

    def after(self, step: int) -> None:
        if self.average is not self.modules["trained"]:
            ema_update(self.average, self.modules["trained"], min(self.optimizer.average, (step + 1) / (step + 10)))

    def result(self) -> tuple[MotionModel, ClipModel]:
        """The averaged model and its CLIP, as copies with plain weights."""
        motion = self.average["motion"]
        assert isinstance(motion, MotionModel)
        clip = deepcopy(self.average["clip"]) if "clip" in self.average else self.clip
        assert isinstance(clip, ClipModel)
        return plain_copy(motion), clip.eval().requires_grad_(False)

    def preview(self, path: Path) -> None:
        self._preview(*self.result(), path)


def draw_prompts(num_prompts: int, n: int, rng: torch.Generator) -> Int[Tensor, "n"]:
    """A prompt for each of n faces, none twice before all have been drawn."""
    rounds = [torch.randperm(num_prompts, generator=rng) for _ in range(-(-n // num_prompts))]
    return torch.cat(rounds)[:n]


class CachedTextEmbeddings:
    """Sentences -> unit embeddings [n c] of a frozen CLIP, each computed once."""

    def __init__(self, clip: ClipModel, prompts: PromptSet) -> None:
        sentences = list(dict.fromkeys(s for p in prompts.prompts for s in (p.sentence, *p.paraphrases)))
        with torch.no_grad():
            self.embeddings = torch.cat([clip.encode_text(sentences[i : i + 64]) for i in range(0, len(sentences), 64)])
        self.place = {sentence: index for index, sentence in enumerate(sentences)}

    def __call__(self, sentences: Sequence[str]) -> Float[Tensor, "n c"]:
        return self.embeddings[[self.place[sentence] for sentence in sentences]]


# Learning in units of the covariance of W


class WhitenedParametrization(nn.Module):
    """A layer's weight [o i] or bias [o] as a fixed matrix, W's covariance to the power 1/2, times what is learned."""

    covariance_root: Tensor

    def __init__(self, covariance_root: Float[Tensor, "o o"]) -> None:
        super().__init__()
        self.register_buffer("covariance_root", covariance_root, persistent=False)

    def forward(self, learned: Tensor) -> Tensor:
        return self.covariance_root @ learned

    def right_inverse(self, weight: Tensor) -> Tensor:
        return torch.linalg.solve(self.covariance_root, weight)


def can_be_whitened(model: MotionModel) -> bool:
    return not model.config.last_activation and model.config.head == "shared"


def whiten_output_layer(model: MotionModel, w: Float[Tensor, "n d"]) -> None:
    """Let the mapper's last layer learn in units of how faces `w` vary: the same function, far better conditioned.

    Without it most of an offset's length lies where no face varies, and CLIP is pleased by it. For a linear last layer
    with a shared head; other models stay as they are.
    """
    if not can_be_whitened(model):
        return
    root = losses.covariance_power(w, floor=0.001)
    for name in ("weight", "bias"):
        parametrize.register_parametrization(model.mapper.motion[-1], name, WhitenedParametrization(root))


@torch.no_grad()
def init_in_w_covariance(model: MotionModel, w: Float[Tensor, "n d"]) -> None:
    """Give a new model's random offsets the directions in which faces `w` vary."""
    if can_be_whitened(model):
        weight = model.mapper.motion[-1].get_parameter("weight")
        weight.copy_(losses.covariance_power(w, floor=0.001) @ weight)


@torch.no_grad()
def plain_copy(model: MotionModel) -> MotionModel:
    """A frozen copy with the weights that `model` works with, however it learns them."""
    copy = MotionModel(model.config).to(next(model.parameters()).device)
    for name, parameter in copy.named_parameters():
        owner, _, leaf = name.rpartition(".")
        parameter.copy_(getattr(model.get_submodule(owner), leaf))
    return copy.eval().requires_grad_(False)


@torch.no_grad()
def mean_direction(features: Float[Tensor, "n c"]) -> Float[Tensor, "c"]:
    """The unit vector along the mean of unit embeddings."""
    return F.normalize(features.mean(dim=0), dim=0)
