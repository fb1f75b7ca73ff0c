"""Channel relevance: the effect of each StyleSpace channel on CLIP's image embedding (Patashnik et al. 2021, 6).

It takes many images and does not depend on the text: it is computed once for a generator and a CLIP model, cached in a
file, and resumed after an interruption.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from ...clip.model import ClipModel
from ...errors import CheckpointError, InputError
from ...formats.fingerprints import fingerprint
from ...formats.header import PathLike
from ...formats.native import load_checkpoint, save_checkpoint
from ...shapes import Embedding, WPlus
from ...stylegan2.generator import Generator
from ...stylegan2.inference.engine import prepared
from ...stylegan2.pca import random_w
from ...stylegan2.stylespace import StyleSpace

KIND = "style_relevance"
CHUNK = 4000
AT_ONCE = 32
"""Channels measured, and saved, together."""
DRAWN_AT_ONCE = 16


@dataclass(frozen=True)
class RelevanceConfig:
    """Settings of the channel relevance; defaults as published. Raises InputError for values outside their ranges.

    Attributes:
        num_samples: random faces for the mean and standard deviation of each channel.
        num_faces: random faces on which every channel is perturbed.
        deviations: perturbation of a channel from its mean, to either side, in standard deviations.
        psi, cutoff: truncation of these faces.
        finest: largest resolution of the convolutions whose channels are measured.
    """

    num_samples: int = 100_000
    num_faces: int = 100
    deviations: float = 5.0
    psi: float = 0.7
    cutoff: int = 8
    finest: int = 128

    def __post_init__(self) -> None:
        if self.num_samples < 2 or self.num_faces < 1 or not self.deviations > 0 or self.finest < 4:
            raise InputError(f"{self} is invalid: it needs 2 samples, 1 face, a positive deviation and 4 px at least.")


@dataclass(frozen=True, eq=False)
class ChannelRelevance:
    """Per channel: mean and standard deviation over faces, and the unit direction of its effect on CLIP's embedding.

    directions: [s c], zero for channels that were not measured or have no effect.
    """

    mean: Float[Tensor, "s"]
    deviation: Float[Tensor, "s"]
    directions: Float[Tensor, "s c"]


def measure_relevance(
    space: StyleSpace,
    clip: ClipModel,
    config: RelevanceConfig = RelevanceConfig(),  # noqa: B008 (immutable)
    folder: PathLike | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> ChannelRelevance:
    """Channel relevance of a generator, from 2 num_faces images per channel.

    Args:
        space: the generator's StyleSpace.
        clip: embeds the images.
        config: settings.
        folder: cache, saved every few channels for this generator, CLIP and settings: an interrupted measurement
            resumes, a finished one is loaded. None: no cache.
        on_step: called with the channels done and their number, at first while faces are sampled (0 done); an exception
            it raises stops.

    Raises CheckpointError for a damaged cache file.
    """
    kept = None if folder is None else RelevanceFile(Path(folder), space, clip, config)
    found, done = (None, 0) if kept is None else kept.read()
    channels, faces = (
        surveyed_channels(space, clip, config),
        sample_faces(space.generator, config, config.num_faces, seed=1),
    )
    if found is None:
        found = _start(space, clip, config, None if on_step is None else lambda: on_step(0, len(channels)))
    while done < len(channels):
        part = channels[done : done + AT_ONCE]
        found.directions[part] = relevance_directions(space, clip, config, found, faces, part)
        done += len(part)
        if kept is not None:
            kept.write(found, done)
        if on_step is not None:
            on_step(done, len(channels))
    return found


def _start(
    space: StyleSpace, clip: ClipModel, config: RelevanceConfig, on_chunk: Callable[[], None] | None
) -> ChannelRelevance:
    mean, deviation = style_statistics(space, config, on_chunk)
    return ChannelRelevance(mean, deviation, mean.new_zeros(len(mean), clip.embed_dim))


@torch.no_grad()
def style_statistics(
    space: StyleSpace, config: RelevanceConfig, on_chunk: Callable[[], None] | None = None
) -> tuple[Float[Tensor, "s"], Float[Tensor, "s"]]:
    """Mean and standard deviation of every channel [s], float32, from running sums over random faces.

    `on_chunk` is called after every few thousand faces; an exception it raises stops.
    """
    origin = space.styles(space.generator.broadcast(space.generator.w_avg[None]))[0].double()
    total, squares, n = torch.zeros_like(origin), torch.zeros_like(origin), config.num_samples
    for start in range(0, n, CHUNK):
        faces = sample_faces(space.generator, config, min(CHUNK, n - start), seed=2 + start)
        styles = space.styles(faces).double() - origin
        total, squares = total + styles.sum(dim=0), squares + styles.square().sum(dim=0)
        if on_chunk is not None:
            on_chunk()
    variance = (squares - total.square() / n) / (n - 1)
    return (origin + total / n).float(), variance.clamp_min(0).sqrt().float()


@torch.no_grad()
def sample_faces(generator: Generator, config: RelevanceConfig, n: int, seed: int) -> WPlus:
    """Random faces [n num_ws w_dim], truncated as `config` says."""
    w = random_w(generator, n, torch.Generator().manual_seed(seed))
    return generator.truncate(generator.broadcast(w), config.psi, config.cutoff)


def survey_resolution(generator: Generator, clip: ClipModel) -> int:
    """Resolution of the images for CLIP: the smallest that is at least CLIP's, if the architecture allows."""
    config = generator.config
    fine_enough = [r for r in config.block_resolutions if r >= clip.image_size]
    return fine_enough[0] if fine_enough and config.architecture == "skip" else config.resolution


def surveyed_channels(space: StyleSpace, clip: ClipModel, config: RelevanceConfig) -> Int64[Tensor, "k"]:
    """Indices of the channels to measure: those of convolutions up to `finest` and the resolution for CLIP."""
    finest = min(config.finest, survey_resolution(space.generator, clip))
    kept = [conv.noise_const.shape[0] <= finest for conv in space.convs]
    return torch.tensor(kept).repeat_interleave(torch.tensor(space.widths)).nonzero()[:, 0]


@torch.no_grad()
def relevance_directions(
    space: StyleSpace,
    clip: ClipModel,
    config: RelevanceConfig,
    found: ChannelRelevance,
    faces: WPlus,
    channels: Int64[Tensor, "k"],
) -> Float[Tensor, "k c"]:
    """Unit directions [k c] of CLIP's embedding from images with these channels low to images with them high.

    The mean over the faces of each face's normalised difference, normalised.
    """
    total = torch.zeros(len(channels), clip.embed_dim)
    reach = config.deviations * found.deviation[channels]
    for face in faces.split(1):
        styles = space.styles(face)[0, channels]
        ends = torch.cat([found.mean[channels].to(styles) + sign * reach.to(styles) - styles for sign in (1, -1)])
        offsets = ends.new_zeros(len(ends), space.num_channels)
        offsets[torch.arange(len(ends)), channels.repeat(2)] = ends
        high, low = _embed(space, clip, space.widened(face) + space.offsets(offsets)).chunk(2)
        total += F.normalize(high - low, dim=1).cpu()
    return F.normalize(total, dim=1).to(found.directions)


def _embed(space: StyleSpace, clip: ClipModel, wide_faces: WPlus) -> Embedding:
    """CLIP's embeddings of the wide generator's images."""
    engine = prepared(space.wide, torch.promote_types(wide_faces.dtype, torch.float32), wide_faces.device)
    pictures = (engine(part, survey_resolution(space.wide, clip)) for part in wide_faces.split(DRAWN_AT_ONCE))
    return torch.cat([clip.encode_images(each.to(clip.mean)) for each in pictures])


class RelevanceFile:
    """Cache file of a channel relevance, complete or in progress."""

    def __init__(self, folder: Path, space: StyleSpace, clip: ClipModel, config: RelevanceConfig):
        self.made_with = {"generator_fingerprint": fingerprint(space.generator), "clip_fingerprint": clip.fingerprint}
        self.config = asdict(config)
        self.need = {"mean": [space.num_channels], "deviation": [space.num_channels]}
        self.need["directions"] = [space.num_channels, clip.embed_dim]
        self.most, self.device = len(surveyed_channels(space, clip, config)), space.generator.w_avg.device
        digest = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()
        self.path = folder / f"{KIND}_{'_'.join(self.made_with.values())}_{digest[:8]}.safetensors"

    def read(self) -> tuple[ChannelRelevance | None, int]:
        """The relevance so far, and the number of channels done. Raises CheckpointError."""
        if not self.path.is_file():
            return None, 0
        checkpoint = load_checkpoint(self.path, KIND)
        shapes = {name: list(tensor.shape) for name, tensor in checkpoint.tensors.items()}
        done = checkpoint.metadata.get("channels_done")
        if shapes != self.need or not isinstance(done, int) or not 0 <= done <= self.most:
            raise CheckpointError(f"{self.path} holds {shapes}, {self.need} are needed. Delete it: it is made again.")
        return ChannelRelevance(**{name: tensor.to(self.device) for name, tensor in checkpoint.tensors.items()}), done

    def write(self, found: ChannelRelevance, done: int) -> None:
        """Save the relevance so far. Raises OutputError if the file cannot be written."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {"mean": found.mean, "deviation": found.deviation, "directions": found.directions}
        save_checkpoint(self.path, KIND, tensors, self.config, half=False, channels_done=done, **self.made_with)
