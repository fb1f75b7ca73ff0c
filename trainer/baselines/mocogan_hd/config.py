"""What a motion generator's training can be told (Tian et al. 2021, MoCoGAN-HD), and its presets.

The defaults here are the published settings, preset `official`; what a processor does in a quarter of an hour is preset
`quick`. Each field's docstring is its line of `lga train mocogan --help`. Wrong values die here, before anything is
loaded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lga_core import InputError

from ...training.config import Precision, Watch, check_parts, check_watch, need


@dataclass(frozen=True)
class MocoganModel:
    """The motion generator: lga_core.MocoganConfig says more of each."""

    hidden_dim: int = 384
    """Width of the LSTM's state."""
    num_directions: int = 384
    """Principal directions of W that it moves along; all, where W has fewer."""
    step_size: float = 0.2
    """Factor on a step along a direction, in -1..1 standard deviations of W before it."""


@dataclass(frozen=True)
class MocoganLosses:
    """Weights of the losses. 0 leaves a loss out, unseen and uncomputed."""

    video: float = 1.0
    """Drawn videos against true ones, by a relativistic discriminator of whole videos."""
    picture: float = 1.0
    """Later frames against true pictures, by a discriminator of pictures."""
    match: float = 1.0
    """Minus the cosine of a later frame and the first, to the discriminator of pictures (published on FFHQ: 5)."""
    reconstruction: float = 1.0
    """Minus the cosine of the noise and what can be told of it from the motion."""
    penalty: float = 10.0
    """Gradient penalty on the discriminator of videos."""
    contrast: float = 2.0
    """The discriminator of pictures finds two looks at one picture among looks at many."""
    temperature: float = 0.07
    """Of that contrast."""
    queue: int = 4096
    """How many looks at earlier pictures it is told from."""
    momentum: float = 0.999
    """Decay of the running average of weights that looks at those."""

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
    """The videos that are drawn, and those that are learned from."""

    num_frames: int = 16
    """Frames T of a clip."""
    time_step: int = 2
    """1 takes every frame of a video, 2 every second one."""
    size: int = 128
    """Side of the pictures that discriminators see, in pixels."""
    count: int = 512
    """Videos to render, where none are given."""
    cross_domain: Literal[True, False] | None = None
    """The videos are of another domain than the generator's faces: its first frames stand for true pictures. Default:
    where --videos are given."""
    draw_small: Literal[True, False] | None = None
    """Draw with the generator's blocks up to that size alone, several times as fast. Default: where
    the domain says that these are whole pictures; those of other generators may not be."""


@dataclass(frozen=True)
class MocoganOptimizer:
    """How steps are taken: Adam (0.5, 0.999)."""

    lr: float = 1e-4
    """Learning rate of the motion generator."""
    discriminator_lr: float = 1e-4
    """Of both discriminators."""
    discriminator_every: int = 5
    """Steps of the motion generator for one of the discriminators."""
    video_width: int = 64
    """Channels of the first layer of the discriminator of videos."""
    picture_width: int = 64
    """The same of pictures."""
    accumulate: int = 1
    """Parts that each process's batch is computed in: less memory; discriminators compare within each part."""
    precision: Precision = "auto"
    """Of the frozen generator: auto is bf16 where the processor or card has it."""
    recompute_from: int | None = None
    """Generator blocks from this resolution up are computed again in the backward pass, to save memory."""
    compiled: bool = False
    """Compile the generator's element-wise parts; the first step then waits for the compiler."""
    deterministic: bool = False
    """Only algorithms that give the same bits twice, on cards as well; slower there."""


@dataclass(frozen=True)
class MocoganRun:
    """Train MoCoGAN-HD's motion generator: a frozen generator moves as videos do, and no words say how."""

    generator: str
    """StyleGAN2 generator: a file of this or another project, or the name of an embedded domain."""
    videos: str | None = None
    """Folder of videos to learn from; their central squares are taken. Default: the embedded domain's rendered ones."""
    out: str = "out/mocogan"
    """Folder of the run. The same command goes on where it was stopped."""
    preset: str = "official"
    """Where defaults come from: quick, for a processor and a quarter of an hour, or official, as published."""
    psi: float = 1.0
    """Truncation of the faces that move: 1 as varied as any, 0 the average face."""
    directions_from: int = 100_000
    """Random faces that the principal directions are found from (published: a million)."""
    steps: int = 100_000
    """Optimisation steps of the motion generator (published: 30 to 100 epochs of the videos)."""
    batch: int = 16
    """Clips a step in each process (published: 16 on FFHQ, 8 on other faces)."""
    seed: int = 0
    """Of everything random. Same seed, same motion generator."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    model: MocoganModel = field(default_factory=MocoganModel)
    losses: MocoganLosses = field(default_factory=MocoganLosses)
    film: MocoganVideos = field(default_factory=MocoganVideos)
    optimizer: MocoganOptimizer = field(default_factory=MocoganOptimizer)
    watch: Watch = field(default_factory=lambda: Watch(report_faces=16))

    def __post_init__(self) -> None:
        _check_counts(self)
        _check_numbers(self)
        from lga_core.baselines import MocoganConfig  # brings torch, which --help does without

        try:
            MocoganConfig(16384, self.model.hidden_dim, self.model.num_directions, self.model.step_size)
        except ValueError as err:
            raise InputError(f"--model: {err}.") from err


def _check_counts(run: MocoganRun) -> None:
    film, optimizer = run.film, run.optimizer
    for where, value, least in (
        ("steps", run.steps, 1),
        ("batch", run.batch, 1),
        ("directions-from", run.directions_from, 2),
        ("film.num-frames", film.num_frames, 2),
        ("film.time-step", film.time_step, 1),
        ("film.size", film.size, 16),
        ("film.count", film.count, 1),
        ("losses.queue", run.losses.queue, 1),
        ("optimizer.discriminator-every", optimizer.discriminator_every, 1),
        ("optimizer.video-width", optimizer.video_width, 1),
        ("optimizer.picture-width", optimizer.picture_width, 1),
        ("optimizer.accumulate", optimizer.accumulate, 1),
    ):
        need(isinstance(value, int) and value >= least, where, value, f"a whole number of at least {least}")
    check_watch(run.watch)
    check_parts(run.batch, optimizer.accumulate)


def _check_numbers(run: MocoganRun) -> None:
    losses, optimizer = run.losses, run.optimizer
    for name in ("video", "picture", "match", "reconstruction", "penalty", "contrast"):
        value = getattr(losses, name)
        need(0 <= value < math.inf, f"losses.{name}", value, "a number, not negative")
    need(losses.video > 0, "losses.video", losses.video, "positive, for nothing else teaches how videos move")
    need(0 < losses.temperature < math.inf, "losses.temperature", losses.temperature, "a positive number")
    need(0 <= losses.momentum < 1, "losses.momentum", losses.momentum, "a number from 0 to below 1")
    need(0 < optimizer.lr < math.inf, "optimizer.lr", optimizer.lr, "a positive number")
    lr = optimizer.discriminator_lr
    need(0 < lr < math.inf, "optimizer.discriminator-lr", lr, "a positive number")
    need(-2 <= run.psi <= 2, "psi", run.psi, "a number from -2 to 2")


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
