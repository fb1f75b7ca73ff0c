"""Training of a motion model: a pure step that returns its losses by name, and a short loop that weighs and sums them.

Only the last frame is drawn, because only it is read (the first is the source in the `anchored` variant).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils import parametrize
from tqdm import tqdm

from lga_core import ClipModel, MotionModel

from . import losses

Draw = Callable[[Float[Tensor, "n l d"]], Float[Tensor, "n c h w"]]


@dataclass(frozen=True)
class Prompt:
    """A sentence to train, sentences that mean the same, and how much of the picture should stay.

    `keep` weighs the pixel term; `keep_outside` weighs it where no face is.
    """

    sentence: str
    paraphrases: tuple[str, ...] = ()
    keep: float = 2.5
    keep_outside: float = 2.5


@dataclass(frozen=True)
class MotionTraining:
    """How a motion is trained. Weights of the losses are named as the losses are."""

    steps: int = 1600
    batch: int = 4
    num_frames: int = 4
    lr: float = 1e-3
    lr_end: float = 5e-5
    views: int = 2  # random views of each picture that CLIP sees
    paraphrase_share: float = 0.4
    average: float = 0.995  # decay of the running average that is kept
    contrastive: float = 0.5
    offset_size: float = 0.15
    path: float = 1.0
    perceptual: float = 0.5
    pixels: float = 1.0
    unlikeliness: float = 0.15

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.views < 1:
            raise ValueError("steps, batch and views must be at least 1")
        if self.num_frames < 3 and self.path > 0:
            raise ValueError(f"num_frames is {self.num_frames}; the path loss needs at least 3 (or set path to 0)")


class Sources(NamedTuple):
    """Faces to move, with all that does not change in training computed once."""

    ws: Float[Tensor, "n l d"]
    pictures: Float[Tensor, "n c h w"]
    features: Float[Tensor, "n c"]
    stages: list[Tensor]

    def at(self, indices: Int[Tensor, "b"]) -> "Sources":
        return Sources(
            self.ws[indices], self.pictures[indices], self.features[indices], [s[indices] for s in self.stages]
        )


@torch.no_grad()
def prepare_sources(ws: Float[Tensor, "n l d"], draw: Draw, clip: ClipModel) -> Sources:
    pictures = torch.cat([draw(chunk) for chunk in ws.split(32)])
    features = torch.cat([clip.encode_images(chunk) for chunk in pictures.split(64)])
    stages = [clip.stages(chunk)[:4] for chunk in pictures.split(64)]
    return Sources(ws, pictures, features, [torch.cat(maps) for maps in zip(*stages, strict=True)])


class Sentences(NamedTuple):
    """Text embeddings, computed once: `main` [k c], and for each prompt its paraphrases [p c]."""

    main: Float[Tensor, "k c"]
    paraphrases: list[Float[Tensor, "p c"]]

    @classmethod
    def of(cls, prompts: Sequence[Prompt], clip: ClipModel) -> "Sentences":
        with torch.no_grad():
            main = clip.encode_text([prompt.sentence for prompt in prompts])
            return cls(main, [clip.encode_text([p.sentence, *p.paraphrases]) for p in prompts])

    def spoken(self, chosen: Int[Tensor, "b"], share: float, rng: torch.Generator) -> Float[Tensor, "b c"]:
        """The chosen prompts' embeddings, a `share` of them in other words."""
        said = []
        for index in chosen.tolist():
            other, which = torch.rand(2, generator=rng).tolist()
            options = self.paraphrases[index]
            said.append(options[int(which * len(options))] if other < share else self.main[index])
        return torch.stack(said)


def train_step(
    model: MotionModel,
    clip: ClipModel,
    scorers: Sequence[ClipModel],
    draw: Draw,
    sources: Sources,
    sentences: Sequence[Sentences],
    chosen: Int[Tensor, "b"],
    keep: Float[Tensor, "b 1 h w"],
    white: Float[Tensor, "d d"],
    config: MotionTraining,
    rng: torch.Generator,
) -> dict[str, Tensor]:
    """The losses of one batch, unweighted: sources [b], one prompt each (`chosen`, indices into `sentences`).

    `clip` starts the motion; every one of `scorers` has to be convinced by its end. `sentences`: clip's, then theirs.
    """
    text = sentences[0].spoken(chosen, config.paraphrase_share, rng)
    motion = model(text, sources.features, config.num_frames, seed=rng, schedule="const")
    pictures = draw(sources.ws + motion[:, -1])
    views = torch.cat([random_view(pictures, rng) for _ in range(config.views)])
    told = [
        losses.contrastive(scorer.encode_images(views), theirs.main, chosen.repeat(config.views))
        for scorer, theirs in zip(scorers, sentences[1:], strict=True)
    ]
    return {
        "contrastive": torch.stack(told).mean(),
        "offset_size": losses.offset_size(motion),
        "path": losses.path(motion),
        "perceptual": losses.perceptual(clip.stages(pictures)[:4], sources.stages),
        "pixels": losses.pixels(pictures, sources.pictures, keep),
        "unlikeliness": losses.unlikeliness(motion, white),
    }


def train(
    model: MotionModel,
    clip: ClipModel,
    draw: Draw,
    sources: Sources,
    prompts: Sequence[Prompt],
    face: Float[Tensor, "h w"],
    faces: Float[Tensor, "n d"],
    config: MotionTraining,
    scorers: Sequence[ClipModel] = (),
    seed: int = 0,
) -> MotionModel:
    """Train `model` in place on faces and prompts and return its running average.

    `clip` starts the motions; `scorers` (`clip` itself if none) judge where they end. What fools one seldom fools two.

    `face` [h w] is 1 where faces are and 0 outside: there a prompt's `keep_outside` holds instead of its `keep`.
    `faces` [n w_dim] are many faces of the domain with all their expressions: offsets are sought in the directions in
    which they vary.
    """
    white = losses.spread(faces, power=-0.5)
    rng = torch.Generator().manual_seed(seed)
    scorers = scorers or (clip,)
    sentences = [Sentences.of(prompts, judge) for judge in (clip, *scorers)]
    keep = torch.stack([prompt.keep * face + prompt.keep_outside * (1 - face) for prompt in prompts])[:, None]
    colour = losses.spread(faces, floor=0.001)
    plain = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    colour_output(model, colour)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, betas=(0.0, 0.999), fused=True)
    average = MotionModel(model.config)
    average.load_state_dict(plain)
    colour_output(average, colour)
    progress = tqdm(range(config.steps), desc="motion", mininterval=5)
    for step in progress:
        fraction = 0.5 + 0.5 * math.cos(math.pi * step / config.steps)
        for group in optimizer.param_groups:
            group["lr"] = min(1, (step + 1) / 30) * (config.lr_end + (config.lr - config.lr_end) * fraction)
        batch = sources.at(torch.randint(len(sources.ws), (config.batch,), generator=rng))
        chosen = torch.randperm(len(prompts), generator=rng)[: config.batch]
        terms = train_step(model, clip, scorers, draw, batch, sentences, chosen, keep[chosen], white, config, rng)
        loss = sum(getattr(config, name) * term for name, term in terms.items())
        assert isinstance(loss, Tensor)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        follow(average, model, min(config.average, (step + 1) / (step + 10)))
        if step % 50 == 49:
            progress.set_postfix({name: f"{term.item():.3f}" for name, term in terms.items()})
    for trained in (model, average):
        plain_output(trained)
    return average.eval().requires_grad_(False)


class Coloured(nn.Module):
    """A layer's weight [o i] or bias [o] as a fixed matrix times what is learned."""

    def __init__(self, colour: Float[Tensor, "o o"]) -> None:
        super().__init__()
        self.colour = colour

    def forward(self, learned: Tensor) -> Tensor:
        return self.colour @ learned

    def right_inverse(self, weight: Tensor) -> Tensor:
        return torch.linalg.solve(self.colour, weight)


def colour_output(model: MotionModel, colour: Float[Tensor, "d d"]) -> None:
    """Let the mapper's last layer learn in units of how faces vary: the same function, far better conditioned.

    Without it most of an offset's length lies where no face varies, and CLIP is pleased by it. For a linear last layer
    (`last_activation` false) with a shared head; other models train as they are.
    """
    if model.config.last_activation or model.config.head != "shared":
        return
    layer = model.mapper.motion[-1]
    for name in ("weight", "bias"):
        parametrize.register_parametrization(layer, name, Coloured(colour))


@torch.no_grad()
def begin_coloured(model: MotionModel, faces: Float[Tensor, "n d"]) -> None:
    """Give a new model's random offsets the directions in which `faces` vary."""
    if not model.config.last_activation and model.config.head == "shared":
        weight = model.mapper.motion[-1].get_parameter("weight")
        weight.copy_(losses.spread(faces, floor=0.001) @ weight)


def plain_output(model: MotionModel) -> None:
    """Undo `colour_output`: the layer keeps the weights it worked with."""
    layer = model.mapper.motion[-1]
    if parametrize.is_parametrized(layer):
        for name in ("weight", "bias"):
            parametrize.remove_parametrizations(layer, name, leave_parametrized=True)


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move every tensor of `average` toward `model`'s."""
    torch._foreach_lerp_(list(average.state_dict().values()), list(model.state_dict().values()), 1 - decay)


def random_view(pictures: Float[Tensor, "n c h w"], rng: torch.Generator) -> Float[Tensor, "n c h w"]:
    """A mirrored, turned (9 degrees), zoomed (.75-1.1), shifted, tinted and grainy look at each picture.

    What pleases CLIP from one exact pose of the pixels alone does not survive it.
    """
    n = len(pictures)
    zoom = 0.75 + 0.35 * torch.rand(n, generator=rng)
    mirror = torch.where(torch.rand(n, generator=rng) < 0.5, -1.0, 1.0)
    turn = 0.15 * torch.randn(n, generator=rng)
    grid = torch.zeros(n, 2, 3)
    grid[:, 0, 0], grid[:, 0, 1] = zoom * mirror * turn.cos(), -zoom * turn.sin()
    grid[:, 1, 0], grid[:, 1, 1] = zoom * mirror * turn.sin(), zoom * turn.cos()
    grid[:, :, 2] = 0.1 * torch.randn(n, 2, generator=rng)
    field = F.affine_grid(grid.to(pictures), list(pictures.shape), align_corners=False)
    view = F.grid_sample(pictures, field, padding_mode="reflection", align_corners=False)
    light = 1 + 0.1 * torch.randn(n, 1, 1, 1, generator=rng)
    tint = 0.05 * torch.randn(n, 3, 1, 1, generator=rng)
    return (view * light.to(view) + tint.to(view)).clamp(-1, 1)
