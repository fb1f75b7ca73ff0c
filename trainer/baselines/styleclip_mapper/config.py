"""What a latent mapper's training can be told (Patashnik et al. 2021, StyleCLIP, section 5), and its presets.

The defaults here are the published settings, preset `official`; what a processor does in minutes is preset `quick`.
Each field's docstring is its line of `lga train mapper --help`. Wrong values die here, before anything is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lga_core import InputError

from ...training.config import Precision, Watch, check_parts, check_watch, flag, need


@dataclass(frozen=True)
class MapperLosses:
    """Weights of the losses. 0 leaves a loss out, unseen and uncomputed."""

    clip: float = 1.0
    """1 - cosine of picture and sentence."""
    l2: float = 0.8
    """Mean squared change of the code."""
    identity: float = 0.1
    """1 - cosine of what an identity network, or CLIP's feature maps, say of both pictures."""
    normalised: bool = False
    """CLIP sees colours as it was trained to see them. The published code leaves them in -1..1."""

    @property
    def weights(self) -> dict[str, float]:
        """The losses that are on, by name."""
        weights = {name: getattr(self, name) for name in ("clip", "l2", "identity")}
        return {name: weight for name, weight in weights.items() if weight}


@dataclass(frozen=True)
class MapperFaces:
    """The faces to change: sampled, or found in pictures."""

    count: int = 5000
    """Faces sampled from the generator."""
    psi: float = 0.7
    """Truncation of the sampled faces: 1 as varied as any, 0 the average face."""


@dataclass(frozen=True)
class MapperOptimizer:
    """How steps are taken."""

    name: Literal["ranger", "adam"] = "ranger"
    """ranger (published): RAdam that looks ahead; adam."""
    lr: float = 0.5
    """Learning rate. The mapper's weights count a hundredth, so that it is a usual one."""
    lr_end: float = 0.5
    """Where a cosine takes it by the end; equal to lr: constant."""
    clip_norm: float | None = None
    """Longest gradient."""
    accumulate: int = 1
    """Parts that each process's batch is computed in: less memory, same result."""
    precision: Precision = "auto"
    """Of the frozen generator: auto is bf16 where the processor or card has it."""
    recompute_from: int | None = None
    """Generator blocks from this resolution up are computed again in the backward pass, to save memory."""
    compiled: bool = False
    """Compile the generator's element-wise parts; the first step then waits for the compiler."""
    deterministic: bool = False
    """Only algorithms that give the same bits twice, on cards as well; slower there."""


@dataclass(frozen=True)
class MapperRun:
    """Train a StyleCLIP latent mapper: one prompt, one network, which then changes any face in no time."""

    generator: str
    """StyleGAN2 generator: a file of this or another project, or the name of an embedded domain."""
    prompt: str
    """What faces should do, such as smiling: a mapper learns one thing."""
    out: str = "out/mapper"
    """Folder of the run. The same command goes on where it was stopped."""
    preset: str = "official"
    """Where defaults come from: quick, for a processor and a few minutes, or official, as published."""
    clip: str | None = None
    """CLIP that judges: a file of ours, or NAME=WEIGHTS (open_clip's; published: ViT-B-32). Default: a domain's."""
    images: str | None = None
    """A folder of aligned, square-cropped pictures: trains on their faces instead of sampled ones. Needs an encoder."""
    encoder: str | None = None
    """Encoder that inverts --images. Default: the domain's."""
    identity_network: str | None = None
    """An ArcFace IR-SE50 file, for photographs of people. Default: a ResNet CLIP's feature maps."""
    levels: tuple[str, ...] = ("coarse", "medium", "fine")
    """Rows of W+ that have a network: coarse, medium, fine, or all, one network for every row."""
    steps: int = 50_000
    """Optimisation steps."""
    batch: int = 2
    """Faces a step in each process."""
    seed: int = 0
    """Of everything random. Same seed, same mapper."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    losses: MapperLosses = field(default_factory=MapperLosses)
    faces: MapperFaces = field(default_factory=MapperFaces)
    optimizer: MapperOptimizer = field(default_factory=MapperOptimizer)
    watch: Watch = field(default_factory=lambda: Watch(report_faces=16))

    def __post_init__(self) -> None:
        _check_counts(self)
        losses, optimizer = self.losses, self.optimizer
        for name in ("clip", "l2", "identity"):
            value = getattr(losses, name)
            need(0 <= value < math.inf, f"losses.{name}", value, "a number, not negative")
        need(losses.clip > 0, "losses.clip", losses.clip, "positive, for nothing else says what a face should do")
        for name in ("lr", "lr_end", "clip_norm"):
            value = getattr(optimizer, name)
            need(value is None or 0 < value < math.inf, f"optimizer.{flag(name)}", value, "a positive number")
        need(-2 <= self.faces.psi <= 2, "faces.psi", self.faces.psi, "a number from -2 to 2")
        from lga_core.baselines.styleclip import LatentMapperConfig  # brings torch, which --help does without

        try:
            LatentMapperConfig(levels=self.levels)
        except ValueError as err:
            raise InputError(f"--levels: {err}.") from err


def _check_counts(run: MapperRun) -> None:
    for where, value, least in (
        ("steps", run.steps, 1),
        ("batch", run.batch, 1),
        ("faces.count", run.faces.count, 1),
        ("optimizer.accumulate", run.optimizer.accumulate, 1),
    ):
        need(isinstance(value, int) and value >= least, where, value, f"a whole number of at least {least}")
    check_watch(run.watch)
    check_parts(run.batch, run.optimizer.accumulate)


PRESETS: Mapping[str, Callable[[], dict[str, object]]] = {
    "quick": lambda: {
        "steps": 200,
        "batch": 4,
        "losses": MapperLosses(normalised=True),
        "faces": MapperFaces(count=512),
        "optimizer": MapperOptimizer("adam", lr_end=0.02),
        "watch": Watch(preview_every=100, save_every=100, report_faces=16),
    },
    "official": dict,
}
"""Named settings."""


def preset(name: str, generator: str, prompt: str) -> MapperRun:
    """The settings of this name. Raises InputError if there are none."""
    if name not in PRESETS:
        raise InputError(f"There is no preset {name!r}. Presets: {', '.join(PRESETS)}.")
    return MapperRun(generator, prompt, preset=name, **PRESETS[name]())  # pyright: ignore
