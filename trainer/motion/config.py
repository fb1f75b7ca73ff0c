"""The settings of `lga train motion`, and presets: ours, the published ones, and the paper's ablations.

Each field's docstring is its line of `--help`. Values out of range are refused here, before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from lga_core import InputError

from ..training.config import (
    FrozenGeneratorOptions,
    SampledFaces,
    Watch,
    check_steps,
    need,
    need_decay,
    need_not_negative,
    need_positive,
    need_psi,
    need_whole,
)

Variant = Literal["anchored", "paper", "official"]
Contrast = Literal["vocabulary", "batch", "official", "cosine"]
Perceptual = Literal["clip", "alex", "vgg"]
Frames = Literal["last", "first-last", "all"]


@dataclass(frozen=True)
class Model:
    """The motion model; lga_core.MotionConfig describes each setting further."""

    variant: Variant = "anchored"
    """Anchored starts every motion at the face itself; paper and official are the published variants."""
    head: Literal["shared", "per_layer"] = "shared"
    """Shared moves all rows of W+ alike, which keeps CLIP from being fooled; per_layer is published."""
    mapper_dim: int = 512
    """Width of the text-aware mapper's hidden layers (published: 1024)."""
    hidden_dim: int = 384
    """Width of the recurrent hidden state."""
    last_activation: bool = False
    """Apply a leaky ReLU after the mapper's last layer (published: yes)."""
    picture: bool = True
    """Start each motion at the sum of the sentence's and the image's CLIP embeddings; off: at the sentence's alone."""
    in_units_of_faces: bool = True
    """Whiten the mapper's output layer by the covariance of W; for a shared head without last activation."""


@dataclass(frozen=True)
class Losses:
    """Weights of the losses. A loss of weight 0 is neither computed nor logged."""

    contrastive: float = 0.7
    """Weight of the contrastive loss (InfoNCE, Eq. 11): the last frame must match its prompt best in CLIP."""
    contrastive_form: Contrast = "vocabulary"
    """Negatives of InfoNCE: the whole vocabulary, the batch's prompts, the authors' code's log(2 + S), or none
    (cosine)."""
    temperature: float = 0.07
    """Temperature of the contrastive loss."""
    views: int = 2
    """Random augmentations of each image that CLIP scores (flip, rotation, zoom, tint); 0: the plain image alone."""
    score_size: int = 256
    """Images are compared, and shown to CLIP, at no more than this many pixels."""
    contrastive_view: Literal["clip", "official"] = "clip"
    """Resize for CLIP where there are no augmentations: CLIP's own, or the authors' without antialiasing."""
    w_reg: float = 0.03
    """Weight of the L2 regulariser of the offsets in W+ (Eq. 9)."""
    w_reg_form: Literal["frames", "first-last"] = "frames"
    """L2 of every frame's offset (paper), or of the last minus the first frame's (the authors' code)."""
    latent_reg: float = 0.0
    """Weight of the same L2 with the visual mapper's offset included (in the authors' code, not in the paper)."""
    path: float = 1.0
    """Weight of the smoothness loss (Eq. 10): second differences over frames, which straightens the path."""
    first_difference: float = 0.0
    """Weight of first differences over frames instead (ablation of Fig. 5f)."""
    reduction: Literal["mean", "sum"] = "mean"
    """Reduction of contrastive, w_reg, path and first_difference; sum is as printed, and prevents all motion."""
    perceptual: float = 0.5
    """Weight of the perceptual loss (LPIPS, or a distance of CLIP's feature maps) between frames and source."""
    perceptual_network: Perceptual = "clip"
    """Network of the perceptual loss: a ResNet CLIP's feature maps, or LPIPS with AlexNet (published) or VGG."""
    perceptual_frames: Frames = "last"
    """Frames that the perceptual loss compares with the source."""
    perceptual_against: Literal["source", "input"] = "source"
    """Source to compare with: the face as drawn, or the image it was inverted from, if any (published)."""
    pixels: float = 1.0
    """Weight of the masked pixel L1 to the source; a prompt set's keep and keep_outside weigh the pixels."""
    tones: float = 4.0
    """Weight of the coarse colour L1 to the source, for expressions alone: shapes may change, skin and hair may not."""
    face: tuple[float, float, float, float] = (0.0, 0.12, 0.66, 0.68)
    """Ellipse around the face for keep and keep_outside: centre x y, half width, half height, in -1..1. Fits FFHQ's
    crops."""
    unlikeliness: float = 0.15
    """Weight of the squared Mahalanobis distance in W of the last offset: unnatural directions cost a hundred times
    more."""
    unlikeliness_end: float = 0.3
    """Weight of the Mahalanobis distance in the last third of the run. Used from the start, eyes would not close."""
    identity: float = 0.0
    """Weight of the identity loss: 1 - cosine of ArcFace embeddings of last frame and source. Needs --identity-
    network."""
    w_discriminator: float = 0.0
    """Weight of the latent discriminator, which tells moved codes from the generator's own."""

    @property
    def weights(self) -> dict[str, float]:
        """The losses of the motion objective that are on, by name, as the first step weighs them."""
        weights = {name: getattr(self, name) for name in LOSS_NAMES}
        return {name: weight for name, weight in weights.items() if weight}


@dataclass(frozen=True)
class Faces(SampledFaces):
    """The faces to train on: sampled, inverted from --images, or given as --codes."""

    noise_std: float = 0.0
    """Standard deviation of noise added to each row of W+, in units of W's own; makes inverted faces work better."""


@dataclass(frozen=True)
class Optimizer(FrozenGeneratorOptions):
    """Optimiser, learning-rate schedule and the frozen generator's synthesis."""

    lr: float = 1e-3
    """Learning rate of Adam (betas 0, 0.999)."""
    lr_end: float = 5e-5
    """Learning rate at the end of the cosine schedule; equal to lr: constant."""
    warmup: int = 30
    """Warm-up steps until lr is reached."""
    average: float = 0.995
    """EMA decay of the weights that become the model; 0: the last step's weights."""
    clip_norm: float | None = None
    """Clip gradients to this norm."""
    finetune_clip: bool = False
    """Fine-tune the CLIP that starts motions (published). It is saved beside the motion model."""
    clip_lr: float = 1e-5
    """Learning rate of the fine-tuned CLIP."""
    discriminator_lr: float = 1e-4
    """Learning rate of the latent discriminator."""


@dataclass(frozen=True)
class MotionRun:
    """Train a motion model for one generator: text to motion. No images are needed."""

    generator: str
    """StyleGAN2 generator: a file of this or another project, a domain's folder, or the name of an embedded domain."""
    out: str = "out/motion"
    """Folder of the run. The same command resumes a run that was stopped."""
    preset: str = "anchored"
    """Preset that defaults come from: anchored (ours), a published setting, or an ablation of the paper."""
    prompts: str | None = None
    """Name of a prompt set, or a file with one prompt a line. Default: the domain's, else person."""
    name: str | None = None
    """Name of the generator's domain, for the model's file. Default: the embedded domain's, or the file's."""
    clip: str | None = None
    """CLIP that starts motions: a file, or NAME=WEIGHTS with open_clip's model name, such as RN50-quickgelu=RN50.pt."""
    score_clips: tuple[str, ...] = ()
    """CLIPs that score where motions end, each as --clip. Several are harder to fool than one. Default: --clip's."""
    images: str | None = None
    """Folder of images: train on their inverted faces instead of sampled ones. Needs an encoder."""
    align: bool = False
    """Detect and align the face in each of --images. Without it they must be aligned as the generator's faces are."""
    encoder: str | None = None
    """Encoder that inverts --images. Default: the domain's."""
    codes: str | None = None
    """File of W+ codes to train on instead of sampled faces, of this or another project."""
    perceptual_weights: str | None = None
    """LPIPS weights of AlexNet or VGG (torchvision's file). Default: torchvision's cache."""
    identity_network: str | None = None
    """ArcFace IR-SE50 file, for --losses.identity."""
    blendshapes: str | None = None
    """MediaPipe's face_landmarker.task: an independent judge of human expressions for the report, used in no loss."""
    steps: int = 1700
    """Number of optimisation steps."""
    batch: int = 6
    """Faces in each step and process, each with a prompt of its own."""
    repeats: bool = False
    """Allow a prompt more than once in a batch that is larger than the vocabulary."""
    num_frames: int = 4
    """Number of frames T of a training clip."""
    num_frames_max: int | None = None
    """Draw T anew for each step, from num_frames to this."""
    paraphrase_share: float = 0.4
    """Share of sentences that are paraphrased."""
    seed: int = 0
    """Random seed; equal seeds give equal models."""
    device: str = "auto"
    """Device to train on: auto, cpu, cuda or mps."""
    model: Model = field(default_factory=Model)
    losses: Losses = field(default_factory=Losses)
    faces: Faces = field(default_factory=Faces)
    optimizer: Optimizer = field(default_factory=Optimizer)
    watch: Watch = field(default_factory=Watch)

    def __post_init__(self) -> None:
        _check_run(self)


LOSS_NAMES = ("contrastive", "w_reg", "latent_reg", "path", "first_difference", "perceptual", "pixels", "tones")
LOSS_NAMES += ("unlikeliness", "identity", "w_discriminator")


def _check_run(run: MotionRun) -> None:
    losses, optimizer = run.losses, run.optimizer
    check_steps(run, run.watch)
    for where, value, least in (
        ("num-frames", run.num_frames, 2),
        ("model.mapper-dim", run.model.mapper_dim, 1),
        ("model.hidden-dim", run.model.hidden_dim, 1),
        ("optimizer.warmup", optimizer.warmup, 0),
        ("losses.views", losses.views, 0),
        ("losses.score-size", losses.score_size, 16),
        ("faces.count", run.faces.count, 1),
    ):
        need_whole(where, value, least)
    need_not_negative("losses", losses, *LOSS_NAMES, "unlikeliness_end")
    need_positive("losses", losses, "temperature")
    need_positive("optimizer", optimizer, "lr", "lr_end", "clip_lr", "discriminator_lr", "clip_norm")
    need_decay("optimizer.average", optimizer.average)
    need(all(half > 0 for half in losses.face[2:]), "losses.face", losses.face, "an ellipse of some width and height")
    need(0 <= run.paraphrase_share <= 1, "paraphrase-share", run.paraphrase_share, "a number from 0 to 1")
    need_psi("faces.psi", run.faces.psi)
    need_not_negative("faces", run.faces, "noise_std")
    most = run.num_frames_max
    need(most is None or most >= run.num_frames, "num-frames-max", most, f"at least num-frames, {run.num_frames}")
    if losses.path and run.num_frames < 3:
        raise InputError(
            f"--num-frames is {run.num_frames}, but the smoothness loss needs three frames. Take at least 3, or "
            "--losses.path 0."
        )
    if losses.unlikeliness and not losses.unlikeliness_end:
        raise InputError(
            "--losses.unlikeliness-end is 0, but --losses.unlikeliness is not. Give both a positive weight, or set "
            "both to 0."
        )
    if not losses.weights.get("contrastive"):
        raise InputError("--losses.contrastive is 0, and no other loss reads the prompt. Choose a positive weight.")
    if losses.identity and run.identity_network is None:
        raise InputError("--losses.identity needs an identity network: give --identity-network FILE (ArcFace IR-SE50).")
    if run.images is not None and run.codes is not None:
        raise InputError("--images and --codes are both given. Choose one: each says which faces to train on.")


def _published(**changes: object) -> dict[str, object]:
    """What paper and code have in common: sections as MotionRun has them."""
    published: dict[str, object] = {
        "prompts": "official",
        "batch": 4,
        "paraphrase_share": 0.0,
        "model": Model(head="per_layer", mapper_dim=1024, last_activation=True, in_units_of_faces=False),
        "losses": Losses(
            contrastive=0.5,
            views=0,
            contrastive_view="official",
            score_size=224,
            w_reg=1.0,
            path=1.0,
            perceptual=1.0,
            perceptual_network="alex",
            perceptual_frames="first-last",
            perceptual_against="input",
            pixels=0.0,
            tones=0.0,
            unlikeliness=0.0,
            unlikeliness_end=0.0,
        ),
        "optimizer": Optimizer(lr_end=1e-3, warmup=0, average=0.0, finetune_clip=True),
        "faces": Faces(psi=1.0),
    }
    return {**published, **changes}


def _paper(**losses: object) -> dict[str, object]:
    """As printed: section III-E and IV-A."""
    common = _published(steps=2000)
    return {
        **common,
        "model": replace(common["model"], variant="paper"),  # pyright: ignore
        "losses": replace(common["losses"], **{"contrastive_form": "batch", **losses}),  # pyright: ignore
    }


def _official(picture: bool = True, **losses: object) -> dict[str, object]:
    """As in the authors' code; `picture` off for its domains without pictures."""
    common = _published(steps=5000, watch=Watch(preview_every=200, save_every=1000))
    form = {"contrastive_form": "official", "w_reg_form": "first-last", "latent_reg": 1.0}
    return {
        **common,
        "model": replace(common["model"], variant="official", picture=picture),  # pyright: ignore
        "losses": replace(common["losses"], **{**form, **losses}),  # pyright: ignore
    }


PRESETS: Mapping[str, Callable[[], dict[str, object]]] = {
    "anchored": dict,
    "paper": _paper,
    "official": _official,
    "official-metfaces-02": lambda: _official(picture=False, contrastive=0.2, w_reg=0.0, perceptual=0.0),
    "official-metfaces-03": lambda: _official(picture=False, contrastive=0.3, w_reg=0.0, perceptual=0.0),
    "no-contrastive": lambda: _paper(contrastive_form="cosine"),
    "batch-2": lambda: {**_paper(), "batch": 2},
    "batch-8": lambda: {**_paper(), "batch": 8},
    "no-path": lambda: _paper(path=0.0),
    "first-order": lambda: _paper(path=0.0, first_difference=1.0),
}
"""Named settings: our default, the two published ones (with the authors' settings for MetFaces), and the ablations of
the paper's Fig. 5, each of which changes the paper's settings in one thing."""


def preset(name: str, generator: str) -> MotionRun:
    """The settings of this name. Raises InputError if there are none."""
    if name not in PRESETS:
        raise InputError(f"There is no preset {name!r}. Presets: {', '.join(PRESETS)}.")
    return MotionRun(generator, preset=name, **PRESETS[name]())  # pyright: ignore
