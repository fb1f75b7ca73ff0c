"""What an encoder's training can be told, with defaults that work (Tov et al. 2021, Encoder4Editing, and faces that the
generator draws itself).

Each field's docstring is its line of `lga train encoder --help`. Wrong values die here, before anything is loaded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Literal

from lga_core import InputError

from ..training.config import Precision, Watch, need

Size = Literal["auto", "full", "light", "small"]
PerceptualNetwork = Literal["auto", "alex", "vgg", "clip", "none"]

LEARNING_RATES = {"full": 1e-4, "light": 3e-4, "small": 1e-3}


@dataclass(frozen=True)
class EncoderLosses:
    """Weights of the losses. 0 leaves a loss out, unseen and uncomputed."""

    latent: float = 1.0
    """Squared distance to the code that a generated face was drawn from. Pictures from files have none."""
    l2: float = 1.0
    """Squared difference of pixels between the picture and the face that is drawn from its code."""
    perceptual: float = 0.8
    """LPIPS between the two, or the same on CLIP's feature maps."""
    perceptual_network: PerceptualNetwork = "auto"
    """auto: alex where its weights are at hand, else a ResNet --clip, else none; the run says which."""
    identity: float = 0.1
    """1 - cosine of an identity network's features, where --identity-network gives one."""
    delta: float = 2e-4
    """Length of each row's offset from row 0: close rows stay editable."""
    spread: float = 0.0
    """The same, squared: lenient with small offsets."""
    w_discriminator: float = 0.1
    """A discriminator that tells found codes from the generator's own."""
    r1: float = 10.0
    """Its R1 regularisation, computed every 16 steps."""


@dataclass(frozen=True)
class EncoderFaces:
    """The faces that the generator draws, and their share where --images are given."""

    psi: tuple[float, ...] = (1.0, 0.7)
    """Truncations of the faces, all alike likely: 1 as varied as any, 0 the average face."""
    mixing: float = 0.3
    """Share of faces whose later rows are another face's: without them all rows of W+ are alike."""
    noise_std: float = 0.05
    """Standard deviation of noise on each row, in units of W's own."""
    images_share: float = 0.5
    """Share of pictures from --images in the batches; the others are generated."""


@dataclass(frozen=True)
class EncoderOptimizer:
    """How steps are taken."""

    lr: float | None = None
    """Learning rate of AdamW. Default: 1e-4 for a full encoder, 3e-4 for a light and 1e-3 for a small one."""
    lr_end: float = 0.05
    """Where a cosine takes it by the end, as a share of lr; 1: constant."""
    warmup: int = 100
    """Steps until lr is reached."""
    weight_decay: float = 1e-3
    """Of AdamW."""
    average: float = 0.999
    """Decay of the running average that becomes the encoder; 0: the last step's weights."""
    clip_norm: float | None = 2.0
    """Longest gradient."""
    accumulate: int = 1
    """Parts that each process's batch is computed in: less memory; batch normalisation sees each part by itself."""
    precision: Precision = "auto"
    """Of encoder and generator: auto is bf16 where the processor or card has it; fp16 is for the generator alone."""
    recompute_from: int | None = None
    """Generator blocks from this resolution up are computed again in the backward pass, to save memory."""
    compiled: bool = False
    """Compile the networks; the first step then waits for the compiler."""
    discriminator_lr: float = 2e-5
    """Of the W discriminator."""
    deterministic: bool = False
    """Only algorithms that give the same bits twice, on cards as well; slower there."""


@dataclass(frozen=True)
class EncoderRun:
    """Train an encoder, from pictures to codes: nothing but a generator is needed; pictures make it sturdier."""

    generator: str
    """StyleGAN2 generator: a file of this or another project, or the name of an embedded domain."""
    images: str | None = None
    """A folder of pictures to learn from besides generated faces."""
    align: bool = False
    """Find the face in each of --images and frame it first; otherwise they are framed as the generator's faces are."""
    out: str = "out/encoder"
    """Folder of the run. The same command goes on where it was stopped."""
    start: str | None = None
    """An encoder to begin from, instead of a fresh one; it brings its own size."""
    size: Size = "auto"
    """full: a head of convolutions per row (published, 0.5 GB); light: pooled heads, 80 MB; small: to 128 px, 5 MB."""
    clip: str | None = None
    """A ResNet CLIP for the perceptual loss: a file of ours, or NAME=WEIGHTS (open_clip's). Default: a domain's."""
    perceptual_weights: str | None = None
    """AlexNet's or VGG's weights for LPIPS (torchvision's file). Default: where torchvision keeps them."""
    identity_network: str | None = None
    """An ArcFace IR-SE50 file, for photographs of people: the identity loss, and the report."""
    steps: int = 50_000
    """Optimisation steps."""
    batch: int = 8
    """Pictures a step in each process."""
    progressive: tuple[float, float] = (0.1, 0.26)
    """When row 1 and when the last row of W+ begin to differ from row 0, as shares of the run; 0 0: all at once."""
    seed: int = 0
    """Of everything random. Same seed, same encoder."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    losses: EncoderLosses = field(default_factory=EncoderLosses)
    faces: EncoderFaces = field(default_factory=EncoderFaces)
    optimizer: EncoderOptimizer = field(default_factory=EncoderOptimizer)
    watch: Watch = field(default_factory=lambda: Watch(log_every=50, preview_every=1000, save_every=1000))

    def __post_init__(self) -> None:
        _check_counts(self)
        _check_shares(self)
        _check_optimizer(self.optimizer)
        for loss in fields(self.losses):
            value = getattr(self.losses, loss.name)
            if loss.name != "perceptual_network":
                need(0 <= value < math.inf, f"losses.{_dashed(loss.name)}", value, "a number, not negative")
        if not (self.losses.latent or self.losses.l2 or self.losses.perceptual):
            raise InputError(
                "--losses.latent, --losses.l2 and --losses.perceptual are all 0: nothing would say what a code should "
                "draw. Take a positive weight for one of them."
            )

    def stage(self, step: int, num_ws: int) -> int:
        """The last row of W+ that may differ from row 0 at this step: 0 at first, num_ws - 1 in the end."""
        begin, end = (share * self.steps for share in self.progressive)
        if step >= end:
            return num_ws - 1
        if step < begin:
            return 0
        return min(num_ws - 1, 1 + int((step - begin) / (end - begin) * (num_ws - 2)))


def _check_counts(run: EncoderRun) -> None:
    for where, value, least in (
        ("steps", run.steps, 1),
        ("batch", run.batch, 1),
        ("optimizer.accumulate", run.optimizer.accumulate, 1),
        ("optimizer.warmup", run.optimizer.warmup, 0),
        ("watch.log-every", run.watch.log_every, 1),
        ("watch.preview-every", run.watch.preview_every, 1),
        ("watch.save-every", run.watch.save_every, 1),
        ("watch.report-faces", run.watch.report_faces, 2),
    ):
        need(isinstance(value, int) and value >= least, where, value, f"a whole number of at least {least}")
    parts = run.optimizer.accumulate
    need(run.batch % parts == 0, "batch", run.batch, f"a multiple of accumulate, {parts}")


def _check_shares(run: EncoderRun) -> None:
    faces, (begin, end) = run.faces, run.progressive
    for name in ("mixing", "images_share"):
        value = getattr(faces, name)
        need(0 <= value <= 1, f"faces.{_dashed(name)}", value, "a number from 0 to 1")
    need(0 <= faces.noise_std < math.inf, "faces.noise-std", faces.noise_std, "a number, not negative")
    need(0 <= begin <= end <= 1, "progressive", run.progressive, "two shares of the run, from 0 to 1, in order")
    need(bool(faces.psi) and all(-2 <= psi <= 2 for psi in faces.psi), "faces.psi", faces.psi, "numbers from -2 to 2")


def _check_optimizer(optimizer: EncoderOptimizer) -> None:
    for name in ("lr", "lr_end", "discriminator_lr", "clip_norm"):
        value = getattr(optimizer, name)
        need(value is None or 0 < value < math.inf, f"optimizer.{_dashed(name)}", value, "a positive number")
    need(0 <= optimizer.average < 1, "optimizer.average", optimizer.average, "a number from 0 to below 1")
    need(0 <= optimizer.weight_decay < 1, "optimizer.weight-decay", optimizer.weight_decay, "from 0 to below 1")


def _dashed(name: str) -> str:
    return name.replace("_", "-")
