"""What a motion's training can be told, with defaults that work, and the published settings as presets.

Each field's docstring is its line of `lga train motion --help`. Wrong values die here, before anything is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from lga_core import InputError

from ..training.config import Precision, Watch, need

Variant = Literal["anchored", "paper", "official"]
Contrast = Literal["vocabulary", "batch", "official", "cosine"]
Perceptual = Literal["clip", "alex", "vgg"]
Frames = Literal["last", "first-last", "all"]


@dataclass(frozen=True)
class Model:
    """The motion model: lga_core.MotionConfig says more of each."""

    variant: Variant = "anchored"
    """What an offset is measured from: anchored starts at the face itself; paper and official as published."""
    head: Literal["shared", "per_layer"] = "shared"
    """shared moves all W+ rows alike and leaves little room to please CLIP with artefacts; per_layer is published."""
    mapper_dim: int = 512
    """Width of the mapper's inner layers (published: 1024)."""
    hidden_dim: int = 384
    """Width of the recurrent hidden state."""
    last_activation: bool = False
    """A leaky ReLU after the mapper's last layer (published: yes)."""
    picture: bool = True
    """Start each motion at sentence + picture, so that it is the face's own. Off: sentence alone."""
    in_units_of_faces: bool = True
    """Learn offsets in units of how faces vary in W. For a shared head without last activation."""


@dataclass(frozen=True)
class Losses:
    """Weights of the losses, and which form each takes. 0 leaves a loss out, unseen and uncomputed."""

    contrastive: float = 0.7
    """Eq. 11: the last frame should be told from all other prompts by CLIP."""
    contrastive_form: Contrast = "vocabulary"
    """Negatives: all prompts, the batch's, the authors' code's log(2 + S), or none at all (cosine: 1 - cos)."""
    temperature: float = 0.07
    """Of the contrastive loss."""
    views: int = 2
    """Random looks (mirrored, turned, zoomed, tinted) that CLIP has at each picture; 0: one, the plain picture."""
    score_size: int = 256
    """Pictures are compared and shown to CLIP at this size, or at the generator's if that is smaller."""
    contrastive_view: Literal["clip", "official"] = "clip"
    """With no random looks: CLIP's own resize, or the authors' unfiltered one."""
    w_reg: float = 0.03
    """Eq. 9: size of the offsets."""
    w_reg_form: Literal["frames", "first-last"] = "frames"
    """Every frame's distance from the source (paper), or the last frame's from the first (code)."""
    latent_reg: float = 0.0
    """Distance of every frame's W+ from the source, the visual offset included (in the code, not in the paper)."""
    path: float = 1.0
    """Eq. 10: second difference over frames, which straightens the path."""
    first_difference: float = 0.0
    """Ablation of Fig. 5f: first difference over frames."""
    reduction: Literal["mean", "sum"] = "mean"
    """Over elements, in contrastive, w_reg, path and first_difference. sum is as printed, and freezes all motion."""
    perceptual: float = 0.5
    """LPIPS, or the same on CLIP's own feature maps: frames should stay close to the source."""
    perceptual_network: Perceptual = "clip"
    """Feature maps of a ResNet CLIP, or LPIPS with AlexNet (published) or VGG."""
    perceptual_frames: Frames = "last"
    """Which frames it reads."""
    perceptual_against: Literal["source", "input"] = "source"
    """The face as the generator draws it, or the picture it was inverted from, where there is one (published)."""
    pixels: float = 1.0
    """L1 to the source, by each prompt's kind: see keep and keep_outside in a prompt set."""
    tones: float = 4.0
    """L1 between coarse colours, under expressions alone: shapes may change, skin and hair may not."""
    face: tuple[float, float, float, float] = (0.0, 0.12, 0.66, 0.68)
    """Ellipse that holds the face: centre x y, half width, half height, the picture being -1..1. FFHQ's crops fit."""
    unlikeliness: float = 0.15
    """Mahalanobis length of the last offset: what lies where no face varies costs a hundred times more."""
    unlikeliness_end: float = 0.3
    """The same in the last third of the run. So firm from the start, eyes do not close."""
    identity: float = 0.0
    """1 - cosine of an identity network's features between last frame and source. Needs --identity-network."""
    w_discriminator: float = 0.0
    """A discriminator that tells moved codes from the generator's own."""

    @property
    def weights(self) -> dict[str, float]:
        """The losses of the motion objective that are on, by name, as the first step weighs them."""
        weights = {name: getattr(self, name) for name in LOSS_NAMES}
        return {name: weight for name, weight in weights.items() if weight}


@dataclass(frozen=True)
class Faces:
    """The faces to move: sampled, or found in pictures, or given as codes."""

    count: int = 768
    """Faces sampled from the generator."""
    psi: float = 0.9
    """Truncation of the sampled faces: 1 as varied as any, 0 the average face."""
    noise_std: float = 0.0
    """Standard deviation of noise on each row of W+, in units of W's own: sturdier on inverted faces."""


@dataclass(frozen=True)
class Optimizer:
    """How steps are taken."""

    lr: float = 1e-3
    """Learning rate of Adam (0, 0.999)."""
    lr_end: float = 5e-5
    """Where a cosine takes it by the end; equal to lr: constant."""
    warmup: int = 30
    """Steps until lr is reached."""
    average: float = 0.995
    """Decay of the running average that becomes the model; 0: the last step's weights."""
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
    finetune_clip: bool = False
    """Train the CLIP that starts the motions, too (published). It is saved beside the motion model."""
    clip_lr: float = 1e-5
    """Its learning rate."""
    discriminator_lr: float = 1e-4
    """Of the W discriminator."""
    deterministic: bool = False
    """Only algorithms that give the same bits twice, on cards as well; slower there."""


@dataclass(frozen=True)
class MotionRun:
    """Train a motion model: a generator, a CLIP and words; no pictures needed."""

    generator: str
    """StyleGAN2 generator: a file of this or another project, or the name of an embedded domain."""
    out: str = "out/motion"
    """Folder of the run. The same command goes on where it was stopped."""
    preset: str = "anchored"
    """Where defaults come from: anchored, or a published setting or ablation (see the epilogue)."""
    prompts: str | None = None
    """A prompt set's name, or a file with one prompt a line. Default: the domain's, else person."""
    name: str | None = None
    """What to call the generator's domain. Default: the embedded domain's name, or the file's."""
    clip: str | None = None
    """CLIP that starts the motions: a file of ours, or NAME=WEIGHTS with open_clip's name, RN50-quickgelu=RN50.pt."""
    score_clips: tuple[str, ...] = ()
    """CLIPs that judge where motions end, each as --clip. Several are not fooled as one is. Default: --clip's."""
    images: str | None = None
    """A folder of pictures: trains on their faces instead of sampled ones. Needs an encoder."""
    align: bool = False
    """Find the face in each of --images and frame it first; otherwise they are framed as the generator's faces are."""
    encoder: str | None = None
    """Encoder that inverts --images. Default: the domain's."""
    codes: str | None = None
    """A file of W+ codes to train on instead, of ours or of another project."""
    perceptual_weights: str | None = None
    """AlexNet's or VGG's weights for LPIPS (torchvision's file). Default: where torchvision keeps them."""
    identity_network: str | None = None
    """An ArcFace IR-SE50 file, for --losses.identity and the report."""
    blendshapes: str | None = None
    """MediaPipe's face_landmarker.task: a judge of human expressions for the report, which no loss uses."""
    steps: int = 1700
    """Optimisation steps."""
    batch: int = 6
    """Faces a step in each process; no two have the same prompt."""
    repeats: bool = False
    """Let prompts repeat within a batch that is larger than the vocabulary."""
    num_frames: int = 4
    """Frames T of a training clip."""
    num_frames_max: int | None = None
    """Draw T anew each step, from num_frames to this."""
    paraphrase_share: float = 0.4
    """Share of sentences that are said in other words."""
    seed: int = 0
    """Of everything random. Same seed, same model."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
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
    for where, value, least in (
        ("steps", run.steps, 1),
        ("batch", run.batch, 1),
        ("num-frames", run.num_frames, 2),
        ("model.mapper-dim", run.model.mapper_dim, 1),
        ("model.hidden-dim", run.model.hidden_dim, 1),
        ("optimizer.accumulate", optimizer.accumulate, 1),
        ("optimizer.warmup", optimizer.warmup, 0),
        ("losses.views", losses.views, 0),
        ("losses.score-size", losses.score_size, 16),
        ("faces.count", run.faces.count, 1),
        ("watch.log-every", run.watch.log_every, 1),
        ("watch.preview-every", run.watch.preview_every, 1),
        ("watch.save-every", run.watch.save_every, 1),
        ("watch.report-faces", run.watch.report_faces, 2),
    ):
        need(isinstance(value, int) and value >= least, where, value, f"a whole number of at least {least}")
    for name in (*LOSS_NAMES, "unlikeliness_end"):
        value = getattr(losses, name)
        need(0 <= value < math.inf, f"losses.{name.replace('_', '-')}", value, "a number, not negative")
    for name in ("lr", "lr_end", "clip_lr", "discriminator_lr"):
        value = getattr(optimizer, name)
        need(0 < value < math.inf, f"optimizer.{name.replace('_', '-')}", value, "a positive number")
    longest = optimizer.clip_norm
    need(longest is None or 0 < longest < math.inf, "optimizer.clip-norm", longest, "a positive number")
    need(0 <= optimizer.average < 1, "optimizer.average", optimizer.average, "a number from 0 to below 1")
    need(all(half > 0 for half in losses.face[2:]), "losses.face", losses.face, "an ellipse of some width and height")
    need(0 < losses.temperature < math.inf, "losses.temperature", losses.temperature, "a positive number")
    need(0 <= run.paraphrase_share <= 1, "paraphrase-share", run.paraphrase_share, "a number from 0 to 1")
    need(-2 <= run.faces.psi <= 2, "faces.psi", run.faces.psi, "a number from -2 to 2")
    need(0 <= run.faces.noise_std < math.inf, "faces.noise-std", run.faces.noise_std, "a number, not negative")
    need(run.batch % optimizer.accumulate == 0, "batch", run.batch, f"a multiple of accumulate, {optimizer.accumulate}")
    most = run.num_frames_max
    need(most is None or most >= run.num_frames, "num-frames-max", most, f"at least num-frames, {run.num_frames}")
    if losses.path and run.num_frames < 3:
        raise InputError(
            f"--num-frames is {run.num_frames}, but the path loss looks at three frames. Take at least 3, or "
            "--losses.path 0."
        )
    if losses.unlikeliness and not losses.unlikeliness_end:
        raise InputError(
            "--losses.unlikeliness-end is 0, and --losses.unlikeliness is not. Take a small one for the end, as 0.001, "
            "or 0 for both."
        )
    if not losses.weights.get("contrastive"):
        raise InputError(
            "--losses.contrastive is 0: nothing would say what the face should do. Take a positive weight."
        )
    if losses.identity and run.identity_network is None:
        raise InputError("--losses.identity needs an identity network: give --identity-network FILE (ArcFace IR-SE50).")
    if run.images is not None and run.codes is not None:
        raise InputError("--images and --codes both say which faces to train on. Give one of them.")


def _published(**changes: object) -> dict[str, object]:
    """What paper and code have in common (METHOD 1.2 and 1.3): sections as MotionRun has them."""
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
