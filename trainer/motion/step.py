"""One step of a motion's training: a pure function from a batch to its losses by name.

Only frames that a loss reads are drawn. In the `anchored` variant the first frame is the source itself, which is drawn
once, before training: one picture forward and backward for each sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lga_core import ClipModel, Motion, MotionModel, WPlus

from ..data.augmentation import at_score_size, augment, official_view
from ..data.prompts import Prompt
from ..training.w_discriminator import WDiscriminator, convincing
from . import losses
from .config import Frames, Losses

Draw = Callable[[WPlus], Float[Tensor, "n c h w"]]
Distance = Callable[[Tensor, Tensor], Float[Tensor, ""]]
Pictures = Float[Tensor, "n c h w"]


class Batch(NamedTuple):
    """One share of a step's faces, each with its prompt and all that is random about it.

    ws [b l d], their pictures as drawn [b c h w], and their CLIP embeddings [b c] (None: sentences start the motions
    alone). inputs: the photographs they were inverted from, where the perceptual term is against them, else `pictures`.
    chosen [b]: each face's prompt. together [B]: the prompts of the whole global batch, and position [b] of these in
    it. others [b]: random faces of the domain's variety. sentences: how each is worded. h0 [b h]: first hidden states.
    augmentations [views*b 10] before CLIP, or None. num_frames: T.
    """

    ws: WPlus
    pictures: Pictures
    inputs: Pictures
    features: Float[Tensor, "b c"] | None
    chosen: Int[Tensor, "b"]
    together: Int[Tensor, "B"]
    position: Int[Tensor, "b"]
    others: Int[Tensor, "b"]
    sentences: Sequence[str]
    h0: Float[Tensor, "b h"]
    augmentations: Float[Tensor, "v 10"] | None
    num_frames: int


class Scorer(NamedTuple):
    """A frozen CLIP that judges where motions end, with its embeddings of all trained sentences [k c]."""

    clip: ClipModel
    sentences: Float[Tensor, "k c"]


@dataclass(frozen=True)
class FrozenModels:
    """Everything that plays a part in a step and is not trained by it.

    draw: the frozen generator. embed: sentences -> unit embeddings [b c] of the CLIP that starts motions. distance: the
    perceptual one. keep [k 1 h w]: how much each pixel stays under each prompt. toned [k]: 1 for
    prompts that leave colours alone. white [d d]: whitens W. identity:
    pictures -> unit features. discriminator: of W.
    """

    draw: Draw
    embed: Callable[[Sequence[str]], Float[Tensor, "b c"]]
    scorers: Sequence[Scorer]
    keep: Float[Tensor, "k 1 h w"]
    toned: Float[Tensor, "k"]
    white: Float[Tensor, "d d"]
    distance: Distance | None = None
    identity: Callable[[Pictures], Float[Tensor, "n c"]] | None = None
    discriminator: WDiscriminator | None = None


class PredictedOffsets(NamedTuple):
    """motion [b t l d]: Delta w of each frame. shift [b t l d]: the same with the picture's constant offset, if any."""

    motion: Motion
    shift: Motion


def predict_offsets(model: MotionModel, models: FrozenModels, batch: Batch) -> PredictedOffsets:
    """The motions of a batch, with the constant schedule that training uses (paper and code alike)."""
    code = models.embed(batch.sentences)
    if batch.features is not None:
        code = code + batch.features.detach()
    motion = model.offsets(model.rollout(code, batch.num_frames, batch.h0.to(code), "const"))
    if batch.features is None or model.mapper.visual is None:
        return PredictedOffsets(motion, motion)
    return PredictedOffsets(motion, motion + model.visual(batch.features)[:, None])


def train_step(
    model: MotionModel, models: FrozenModels, batch: Batch, settings: Losses, weights: Sequence[str]
) -> dict[str, Tensor]:
    """The unweighted losses named in `weights`, and no others."""
    offsets = predict_offsets(model, models, batch)
    shown = frames_shown(model, batch.num_frames, settings.perceptual_frames if "perceptual" in weights else None)
    drawn = models.draw((batch.ws[:, None] + offsets.shift[:, shown]).flatten(0, 1))
    drawn = at_score_size(drawn, settings.score_size)
    frames = drawn.unflatten(0, (len(batch.ws), len(shown)))  # [b f c h w]
    last = frames[:, -1]
    terms: dict[str, Callable[[], Tensor]] = {
        "contrastive": lambda: contrast(last, models.scorers, batch, settings),
        "w_reg": lambda: w_reg(offsets.motion, settings),
        "latent_reg": lambda: losses.latent_reg(offsets.shift),
        "path": lambda: losses.smoothness(offsets.motion, settings.reduction),
        "first_difference": lambda: losses.first_difference(offsets.motion, settings.reduction),
        "perceptual": lambda: perceptual(frames, batch, models, settings),
        "pixels": lambda: losses.masked_l1(last, batch.pictures, models.keep[batch.chosen]),
        "tones": lambda: losses.coarse_color_l1(last, batch.pictures, models.toned[batch.chosen]),
        "unlikeliness": lambda: losses.w_mahalanobis(offsets.motion, models.white),
        "identity": lambda: identity(last, batch, models),
        "w_discriminator": lambda: discriminated(offsets, batch, models),
    }
    return {name: terms[name]() for name in weights}


def frames_shown(model: MotionModel, num_frames: int, perceptual: Frames | None) -> list[int]:
    """Frames that some loss reads and that depend on the weights, in order; the last is always among them.

    perceptual: those that the perceptual loss reads; None where it is off. An anchored motion's first frame is the
    source, whatever the weights are: it costs nothing and teaches nothing.
    """
    read = {"last": [], "first-last": [0], "all": list(range(num_frames - 1))}
    before = read[perceptual or "last"]
    still = model.config.anchor == "output" and model.mapper.visual is None
    return [*(frame for frame in before if frame > 0 or not still), num_frames - 1]


def contrast(last: Pictures, scorers: Sequence[Scorer], batch: Batch, settings: Losses) -> Tensor:
    """The contrastive loss (InfoNCE, Eq. 11) of the last frames, a mean over scoring CLIPs."""
    true, form = batch.chosen, settings.contrastive_form
    terms = []
    for scorer in scorers:
        sentences = scorer.sentences
        if form in ("batch", "official"):
            sentences, true = sentences[batch.together], batch.position
        features = scored_embeddings(last, scorer.clip, batch, settings)
        targets = true.repeat(len(features) // len(last))
        if form == "cosine":
            terms.append(losses.cosine(features, sentences, targets))
            continue
        loss = losses.contrastive_official if form == "official" else losses.contrastive
        terms.append(loss(features, sentences, targets, settings.temperature))
    total = torch.stack(terms).mean()
    return total * len(batch.together) if settings.reduction == "sum" else total


def scored_embeddings(last: Pictures, clip: ClipModel, batch: Batch, settings: Losses) -> Float[Tensor, "v c"]:
    """CLIP's unit embeddings of augmented images, or of the plain ones, resized as CLIP or the authors do."""
    if batch.augmentations is not None:
        views = augment(
            last.repeat(len(batch.augmentations) // len(last), 1, 1, 1), batch.augmentations.to(last.device)
        )
        return clip.encode_images(views)
    if settings.contrastive_view == "official":
        return F.normalize(clip.model.encode_image(official_view(last, clip.image_size, clip.mean, clip.std)), dim=-1)
    return clip.encode_images(last)


def w_reg(motion: Motion, settings: Losses) -> Tensor:
    form = losses.w_reg if settings.w_reg_form == "frames" else losses.w_reg_first_last
    return form(motion, settings.reduction)


def perceptual(frames: Float[Tensor, "b f c h w"], batch: Batch, models: FrozenModels, settings: Losses) -> Tensor:
    """Summed over the frames that are read, as the authors' code does."""
    assert models.distance is not None
    targets = batch.inputs if settings.perceptual_against == "input" else batch.pictures
    read = frames[:, -1:] if settings.perceptual_frames == "last" else frames
    repeated = targets[:, None].expand_as(read)
    return models.distance(read.flatten(0, 1), repeated.flatten(0, 1)) * read.shape[1]


def identity(last: Pictures, batch: Batch, models: FrozenModels) -> Tensor:
    assert models.identity is not None
    with torch.no_grad():
        sources = models.identity(batch.pictures)
    return losses.identity(models.identity(last), sources)


def discriminated(offsets: PredictedOffsets, batch: Batch, models: FrozenModels) -> Tensor:
    """How far the discriminator doubts the moved codes; each row of W+ is judged as a code of W."""
    assert models.discriminator is not None
    return convincing(models.discriminator((batch.ws + offsets.shift[:, -1]).flatten(0, 1)))


def keep_maps(
    prompts: Sequence[Prompt], ellipse: tuple[float, float, float, float], size: int
) -> Float[Tensor, "k 1 h w"]:
    """Weights of the pixel term under each prompt: its `keep` inside the face's ellipse, `keep_outside` around it."""
    x0, y0, half_width, half_height = ellipse
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    inside = ((((x - x0) / half_width) ** 2 + ((y - y0) / half_height) ** 2) <= 1).float()
    return torch.stack([prompt.keep * inside + prompt.keep_outside * (1 - inside) for prompt in prompts])[:, None]
