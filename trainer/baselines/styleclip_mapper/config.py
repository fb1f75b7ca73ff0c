"""The settings of `lga train mapper` (Patashnik et al. 2021, StyleCLIP, section 5), and its presets.

The defaults here are the published settings, preset `official`; preset `quick` takes minutes on a CPU. Each field's
docstring is its line of `--help`. Values out of range are refused here, before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lga_core import InputError

from ...training.config import (
    FrozenGeneratorOptions,
    SampledFaces,
    Watch,
    check_steps,
    need,
    need_not_negative,
    need_positive,
    need_psi,
    need_whole,
)


@dataclass(frozen=True)
class MapperLosses:
    """Weights of the losses. A loss of weight 0 is neither computed nor logged."""

    clip: float = 1.0
    """Weight of the CLIP loss: 1 - cosine of image and sentence."""
    l2: float = 0.8
    """Weight of the L2 regulariser: mean squared change of the code."""
    identity: float = 0.1
    """Weight of the identity loss: 1 - cosine of both images' ArcFace embeddings, or CLIP's feature maps."""
    normalised: bool = False
    """Normalise colours for CLIP as it was trained. The published code leaves them in -1..1."""

    @property
    def weights(self) -> dict[str, float]:
        """The losses that are on, by name."""
        weights = {name: getattr(self, name) for name in ("clip", "l2", "identity")}
        return {name: weight for name, weight in weights.items() if weight}


@dataclass(frozen=True)
class MapperFaces(SampledFaces):
    """The faces to train on: sampled, or inverted from --images."""

    count: int = 5000
    """Number of faces sampled from the generator."""
    psi: float = 0.7
    """Truncation psi of sampled faces: 1 for full variety, 0 for the average face."""


@dataclass(frozen=True)
class MapperOptimizer(FrozenGeneratorOptions):
    """Optimiser, learning-rate schedule and the frozen generator's synthesis."""

    name: Literal["ranger", "adam"] = "ranger"
    """Optimiser: ranger (published; RAdam with Lookahead) or adam."""
    lr: float = 0.5
    """Learning rate. The mapper's weights are scaled by 0.01, so this is less than it seems."""
    lr_end: float = 0.5
    """Learning rate at the end of the cosine schedule; equal to lr: constant."""
    clip_norm: float | None = None
    """Clip gradients to this norm."""


@dataclass(frozen=True)
class MapperRun:
    """Train StyleCLIP's latent mapper for one prompt; it then edits any face in one forward pass."""

    generator: str
    """StyleGAN2 generator: a file of this or another project, a domain's folder, or the name of an embedded domain."""
    prompt: str
    """Prompt that the mapper learns, such as smiling."""
    out: str = "out/mapper"
    """Folder of the run. The same command resumes a run that was stopped."""
    preset: str = "official"
    """Preset that defaults come from: quick (minutes on a CPU) or official (as published)."""
    clip: str | None = None
    """CLIP of the loss: a file, or NAME=WEIGHTS with open_clip's model name (published: ViT-B-32). Default: the
    domain's."""
    images: str | None = None
    """Folder of aligned square images: train on their inverted faces instead of sampled ones. Needs an encoder."""
    encoder: str | None = None
    """Encoder that inverts --images. Default: the domain's."""
    identity_network: str | None = None
    """ArcFace IR-SE50 file for the identity loss, for photographs of people. Default: a ResNet CLIP's feature maps."""
    levels: tuple[str, ...] = ("coarse", "medium", "fine")
    """Groups of W+ rows that have a network: coarse, medium, fine; or all: one network for every row."""
    steps: int = 50_000
    """Number of optimisation steps."""
    batch: int = 2
    """Faces in each step and process."""
    seed: int = 0
    """Random seed; equal seeds give equal mappers."""
    device: str = "auto"
    """Device to train on: auto, cpu, cuda or mps."""
    losses: MapperLosses = field(default_factory=MapperLosses)
    faces: MapperFaces = field(default_factory=MapperFaces)
    optimizer: MapperOptimizer = field(default_factory=MapperOptimizer)
    watch: Watch = field(default_factory=lambda: Watch(report_faces=16))

    def __post_init__(self) -> None:
        from lga_core.baselines.styleclip import LatentMapperConfig  # brings torch, which --help does without

        check_steps(self, self.watch)
        need_whole("faces.count", self.faces.count, 1)
        need_psi("faces.psi", self.faces.psi)
        need_not_negative("losses", self.losses, "clip", "l2", "identity")
        need(self.losses.clip > 0, "losses.clip", self.losses.clip, "positive, as no other loss reads the prompt")
        need_positive("optimizer", self.optimizer, "lr", "lr_end", "clip_norm")
        try:
            LatentMapperConfig(levels=self.levels)
        except ValueError as err:
            raise InputError(f"--levels: {err}.") from err


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
