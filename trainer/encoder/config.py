"""The settings of `lga train encoder` (Tov et al. 2021, Encoder4Editing, on faces that the generator draws).

Each field's docstring is its line of `--help`. Values out of range are refused here, before anything is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from lga_core import InputError

from ..training.config import (
    FrozenGeneratorOptions,
    Precision,
    Watch,
    check_steps,
    flag,
    need,
    need_decay,
    need_not_negative,
    need_positive,
    need_whole,
)

Size = Literal["auto", "full", "light", "small"]
PerceptualNetwork = Literal["auto", "alex", "vgg", "clip", "none"]

LEARNING_RATES = {"full": 1e-4, "light": 3e-4, "small": 1e-3}


@dataclass(frozen=True)
class EncoderLosses:
    """Weights of the losses. A loss of weight 0 is neither computed nor logged."""

    latent: float = 1.0
    """Weight of the latent loss: squared distance to the true code, which generated faces alone have."""
    l2: float = 1.0
    """Weight of the pixel L2 between the image and its reconstruction."""
    perceptual: float = 0.8
    """Weight of the perceptual loss (LPIPS, or a distance of CLIP's feature maps) between the two."""
    perceptual_network: PerceptualNetwork = "auto"
    """Network of the perceptual loss; auto: AlexNet if its weights are found, else a ResNet --clip, else none."""
    identity: float = 0.1
    """Weight of the identity loss: 1 - cosine of the embeddings of --identity-network, where one is given."""
    delta: float = 2e-4
    """Weight of the delta loss (L2 norm of each row's offset from row 0), which keeps codes editable."""
    spread: float = 0.0
    """Weight of the squared delta loss, which is lenient with small offsets."""
    w_discriminator: float = 0.1
    """Weight of the latent discriminator, which tells the encoder's codes from the generator's own."""
    r1: float = 10.0
    """Weight of the latent discriminator's R1 regularisation, computed every 16 steps."""


@dataclass(frozen=True)
class EncoderFaces:
    """The generated faces, and the share of --images."""

    psi: tuple[float, ...] = (1.0, 0.7)
    """Truncation psi values, of which each generated face takes one: 1 for full variety, 0 for the average face."""
    mixing: float = 0.3
    """Share of generated faces with style mixing, whose later rows are another face's."""
    noise_std: float = 0.05
    """Standard deviation of noise added to each row of W+, in units of W's own."""
    images_share: float = 0.5
    """Share of --images in each batch; the rest is generated."""


@dataclass(frozen=True)
class EncoderOptimizer(FrozenGeneratorOptions):
    """Optimiser, learning-rate schedule and the frozen generator's synthesis."""

    lr: float | None = None
    """Learning rate of AdamW. Default: 1e-4 for a full encoder, 3e-4 for a light and 1e-3 for a small one."""
    lr_end: float = 0.05
    """Learning rate at the end of the cosine schedule, as a share of lr; 1: constant."""
    warmup: int = 100
    """Warm-up steps until lr is reached."""
    weight_decay: float = 1e-3
    """Weight decay of AdamW."""
    average: float = 0.999
    """EMA decay of the weights that become the encoder; 0: the last step's weights."""
    clip_norm: float | None = 2.0
    """Clip gradients to this norm."""
    accumulate: int = 1
    """Split each process's batch into this many parts: less memory; batch normalisation sees each part alone."""
    precision: Precision = "auto"
    """Precision of the encoder and the frozen generator; auto is bf16 where the hardware supports it, else fp32."""
    compiled: bool = False
    """Compile the networks; the first step is slower."""
    discriminator_lr: float = 2e-5
    """Learning rate of the latent discriminator."""


@dataclass(frozen=True)
class EncoderRun:
    """Train an encoder for one generator: images to W+ codes. Images are optional; they make it more robust."""

    generator: str
    """StyleGAN2 generator: a file of this or another project, a domain's folder, or the name of an embedded domain."""
    images: str | None = None
    """Folder of images to train on in addition to generated faces."""
    align: bool = False
    """Detect and align the face in each of --images. Without it they must be aligned as the generator's faces are."""
    out: str = "out/encoder"
    """Folder of the run. The same command resumes a run that was stopped."""
    start: str | None = None
    """Encoder to start from instead of a new one; it brings its own size."""
    size: Size = "auto"
    """Size of the encoder: full has a convolutional head per row (published, 0.5 GB); light 80 MB; small, up to 128 px,
    5 MB."""
    clip: str | None = None
    """ResNet CLIP for the perceptual loss: a file, or NAME=WEIGHTS with open_clip's model name. Default: the
    domain's."""
    perceptual_weights: str | None = None
    """LPIPS weights of AlexNet or VGG (torchvision's file). Default: torchvision's cache."""
    identity_network: str | None = None
    """ArcFace IR-SE50 file for the identity loss and the report; for photographs of people."""
    steps: int = 50_000
    """Number of optimisation steps."""
    batch: int = 8
    """Images in each step and process."""
    progressive: tuple[float, float] = (0.1, 0.26)
    """When row 1 and the last row of W+ start to differ from row 0, as shares of the run; 0 0: all from the start."""
    seed: int = 0
    """Random seed; equal seeds give equal encoders."""
    device: str = "auto"
    """Device to train on: auto, cpu, cuda or mps."""
    losses: EncoderLosses = field(default_factory=EncoderLosses)
    faces: EncoderFaces = field(default_factory=EncoderFaces)
    optimizer: EncoderOptimizer = field(default_factory=EncoderOptimizer)
    watch: Watch = field(default_factory=lambda: Watch(log_every=50, preview_every=1000, save_every=1000))

    def __post_init__(self) -> None:
        check_steps(self, self.watch)
        need_whole("optimizer.warmup", self.optimizer.warmup, 0)
        _check_faces(self.faces)
        _check_optimizer(self.optimizer)
        weights = (loss.name for loss in fields(self.losses) if loss.name != "perceptual_network")
        need_not_negative("losses", self.losses, *weights)
        begin, end = self.progressive
        is_in_order = 0 <= begin <= end <= 1
        need(is_in_order, "progressive", self.progressive, "two shares of the run, from 0 to 1, in order")
        if not (self.losses.latent or self.losses.l2 or self.losses.perceptual):
            raise InputError(
                "--losses.latent, --losses.l2 and --losses.perceptual are all 0, and no other loss compares images. "
                "Give one of them a positive weight."
            )

    def stage(self, step: int, num_ws: int) -> int:
        """The last row of W+ that may differ from row 0 at this step: 0 at first, num_ws - 1 in the end."""
        begin, end = (share * self.steps for share in self.progressive)
        if step >= end:
            return num_ws - 1
        if step < begin:
            return 0
        return min(num_ws - 1, 1 + int((step - begin) / (end - begin) * (num_ws - 2)))


def _check_faces(faces: EncoderFaces) -> None:
    for name in ("mixing", "images_share"):
        value = getattr(faces, name)
        need(0 <= value <= 1, f"faces.{flag(name)}", value, "a number from 0 to 1")
    need_not_negative("faces", faces, "noise_std")
    need(bool(faces.psi) and all(-2 <= psi <= 2 for psi in faces.psi), "faces.psi", faces.psi, "numbers from -2 to 2")


def _check_optimizer(optimizer: EncoderOptimizer) -> None:
    need_positive("optimizer", optimizer, "lr", "lr_end", "discriminator_lr", "clip_norm")
    need_decay("optimizer.average", optimizer.average)
    need_decay("optimizer.weight-decay", optimizer.weight_decay)
