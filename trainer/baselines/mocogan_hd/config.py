"""The settings of `lga train mocogan` (Tian et al. 2021, MoCoGAN-HD), and its presets.

The defaults here are the published settings, preset `official`; preset `quick` takes a quarter of an hour on a CPU.
Each field's docstring is its line of `--help`. Values out of range are refused here, before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lga_core import InputError

from ...training.config import (
    FrozenGeneratorOptions,
    Watch,
    check_steps,
    need,
    need_decay,
    need_not_negative,
    need_positive,
    need_psi,
    need_whole,
)


@dataclass(frozen=True)
class MocoganModel:
    """The motion generator; lga_core.baselines.MocoganConfig describes each setting further."""

    hidden_dim: int = 384
    """Width of the LSTM's hidden state."""
    num_directions: int = 384
    """Number of principal components of W to move along; all, where W has fewer."""
    step_size: float = 0.2
    """Scale of a frame's step along a component, which is -1..1 standard deviations of W."""


@dataclass(frozen=True)
class MocoganLosses:
    """Weights of the losses. A loss of weight 0 is neither computed nor logged."""

    video: float = 1.0
    """Weight of the video discriminator's relativistic adversarial loss."""
    picture: float = 1.0
    """Weight of the image discriminator's adversarial loss on later frames."""
    match: float = 1.0
    """Weight of the feature matching loss: minus the cosine of later and first frame in the image discriminator (FFHQ:
    5)."""
    reconstruction: float = 1.0
    """Weight of the mutual information loss: minus the cosine of the noise and its estimate from the motion."""
    penalty: float = 10.0
    """Weight of the video discriminator's gradient penalty."""
    contrast: float = 2.0
    """Weight of the image discriminator's contrastive loss (InfoNCE) between two augmentations of an image."""
    temperature: float = 0.07
    """Temperature of the contrastive loss."""
    queue: int = 4096
    """Number of earlier images' embeddings that serve as negatives of the contrastive loss."""
    momentum: float = 0.999
    """EMA decay of the momentum encoder that embeds those images."""

    @property
    def weights(self) -> dict[str, float]:
        """The losses of the motion generator that are on, by name."""
        weights = {name: getattr(self, name) for name in ("video", "picture", "match", "reconstruction")}
        return {name: weight for name, weight in weights.items() if weight}

    @property
    def discriminator_weights(self) -> dict[str, float]:
        """Those of the discriminators, which learn nothing that the motion generator is not taught by."""
        on, found = self.weights, {}
        if "video" in on:
            found |= {"video": 1.0, "penalty": self.penalty}
        if "picture" in on or "match" in on:
            found |= {"picture": 1.0, "contrast": self.contrast}
        return {name: weight for name, weight in found.items() if weight}


@dataclass(frozen=True)
class MocoganVideos:
    """The clips that are generated, and those that are learned from."""

    num_frames: int = 16
    """Number of frames T of a clip."""
    time_step: int = 2
    """Frame stride in the videos: 1 takes every frame, 2 every second one."""
    size: int = 128
    """Side of the images that the discriminators see, in pixels."""
    count: int = 512
    """Number of videos to render where --videos is not given."""
    cross_domain: Literal[True, False] | None = None
    """Videos are of another domain than the generator's faces: generated first frames serve as real images. Default: if
    --videos is given."""
    draw_small: Literal[True, False] | None = None
    """Draw with the generator's blocks up to that size alone, several times faster. Default: where the domain says that
    these give whole images."""


@dataclass(frozen=True)
class MocoganOptimizer(FrozenGeneratorOptions):
    """Optimisers (Adam, betas 0.5, 0.999) and the frozen generator's synthesis."""

    lr: float = 1e-4
    """Learning rate of the motion generator."""
    discriminator_lr: float = 1e-4
    """Learning rate of both discriminators."""
    discriminator_every: int = 5
    """Train the discriminators every this many steps of the motion generator."""
    video_width: int = 64
    """Channels of the video discriminator's first layer."""
    picture_width: int = 64
    """Channels of the image discriminator's first layer."""
    accumulate: int = 1
    """Split each process's batch into this many parts: less memory; discriminators compare within each part."""


@dataclass(frozen=True)
class MocoganRun:
    """Train MoCoGAN-HD's motion generator from videos: it moves a frozen generator's faces without any text."""

    generator: str
    """StyleGAN2 generator: a file of this or another project, a domain's folder, or the name of an embedded domain."""
    videos: str | None = None
    """Folder of videos to learn from, cropped to their central squares. Default: the embedded domain's rendered
    ones."""
    out: str = "out/mocogan"
    """Folder of the run. The same command resumes a run that was stopped."""
    preset: str = "official"
    """Preset that defaults come from: quick (a quarter of an hour on a CPU) or official (as published)."""
    psi: float = 1.0
    """Truncation psi of sampled faces: 1 for full variety, 0 for the average face."""
    directions_from: int = 100_000
    """Number of random faces for the PCA of W (published: a million)."""
    steps: int = 100_000
    """Number of optimisation steps of the motion generator (published: 30 to 100 epochs of the videos)."""
    batch: int = 16
    """Clips in each step and process (published: 16 on FFHQ, 8 on other faces)."""
    seed: int = 0
    """Random seed; equal seeds give equal motion generators."""
    device: str = "auto"
    """Device to train on: auto, cpu, cuda or mps."""
    model: MocoganModel = field(default_factory=MocoganModel)
    losses: MocoganLosses = field(default_factory=MocoganLosses)
    film: MocoganVideos = field(default_factory=MocoganVideos)
    optimizer: MocoganOptimizer = field(default_factory=MocoganOptimizer)
    watch: Watch = field(default_factory=lambda: Watch(report_faces=16))

    def __post_init__(self) -> None:
        check_steps(self, self.watch)
        _check_counts(self)
        _check_losses(self.losses)
        need_positive("optimizer", self.optimizer, "lr", "discriminator_lr")
        need_psi("psi", self.psi)
        from lga_core.baselines import MocoganConfig  # brings torch, which --help does without

        try:
            MocoganConfig(16384, self.model.hidden_dim, self.model.num_directions, self.model.step_size)
        except ValueError as err:
            raise InputError(f"--model: {err}.") from err


def _check_counts(run: MocoganRun) -> None:
    film, optimizer = run.film, run.optimizer
    for where, value, least in (
        ("directions-from", run.directions_from, 2),
        ("film.num-frames", film.num_frames, 2),
        ("film.time-step", film.time_step, 1),
        ("film.size", film.size, 16),
        ("film.count", film.count, 1),
        ("losses.queue", run.losses.queue, 1),
        ("optimizer.discriminator-every", optimizer.discriminator_every, 1),
        ("optimizer.video-width", optimizer.video_width, 1),
        ("optimizer.picture-width", optimizer.picture_width, 1),
    ):
        need_whole(where, value, least)


def _check_losses(losses: MocoganLosses) -> None:
    need_not_negative("losses", losses, "video", "picture", "match", "reconstruction", "penalty", "contrast")
    need(losses.video > 0, "losses.video", losses.video, "positive, as no other loss learns how videos move")
    need_positive("losses", losses, "temperature")
    need_decay("losses.momentum", losses.momentum)


PRESETS: Mapping[str, Callable[[], dict[str, object]]] = {
    "quick": lambda: {
        "steps": 800,
        "batch": 4,
        "losses": MocoganLosses(queue=512, momentum=0.99),
        "film": MocoganVideos(size=64, count=256),
        "optimizer": MocoganOptimizer(
            lr=5e-4, discriminator_lr=5e-4, discriminator_every=2, video_width=16, picture_width=16
        ),
        "watch": Watch(preview_every=100, save_every=50, report_faces=16),
    },
    "official": dict,
}
"""Named settings."""


def preset(name: str, generator: str) -> MocoganRun:
    """The settings of this name. Raises InputError if there are none."""
    if name not in PRESETS:
        raise InputError(f"There is no preset {name!r}. Presets: {', '.join(PRESETS)}.")
    return MocoganRun(generator, preset=name, **PRESETS[name]())  # pyright: ignore
