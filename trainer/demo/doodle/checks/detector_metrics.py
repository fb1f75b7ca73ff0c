"""How well the finder finds: unseen doodles of any place, size and angle, on photographs that no training saw."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float
from PIL import Image
from torch import Tensor

from lga_core import Images
from lga_core.faces.detection import DomainDetector, load_detector
from lga_core.imaging import to_uint8

from ..rendering.attributes import sample
from ..rendering.backgrounds import HELD_OUT, noise, photograph
from ..rendering.detector_scenes import coverage, place
from ..rendering.renderer import render
from ..stages.detector import marked

TRIALS_SEED = 81_818
PHOTO_SIDE, SMALLEST, LARGEST = 512, 32, 400
"""Shorter side of the photographs and sides of the squares in them, in pixels."""


@dataclass(frozen=True)
class Trial:
    """A picture [1 3 h w] with doodles in it, and their squares (see scenes.py)."""

    picture: Images
    centres: Complex[Tensor, "k"]
    axes: Complex[Tensor, "k"]


@dataclass(frozen=True)
class Matches:
    """What was found of the doodles of some trials, one entry for each: errors in shares of the square's side.

    Attributes:
        sides: of the squares, in pixels.
        found: whether a square was found whose centre lies within 0.3 sides.
        place, size: distance of the centres, and difference of the sides; NaN where nothing was found.
        angle: in degrees.
        false: how many squares were found that are no doodle's.
    """

    sides: Tensor
    found: Tensor
    place: Tensor
    size: Tensor
    angle: Tensor
    false: int


def held_out_photographs() -> list[Images]:
    """Photographs whose shorter side is PHOTO_SIDE; noise where scikit-image is not installed."""
    found = [picture for picture in map(photograph, HELD_OUT) if picture is not None]
    found = found or [noise(torch.Generator().manual_seed(seed))[None] for seed in range(4)]
    return [fitted(picture) for picture in found]


def fitted(picture: Images) -> Images:
    h, w = picture.shape[2:]
    size = [round(side * PHOTO_SIDE / min(h, w)) for side in (h, w)]
    return F.interpolate(picture, size, mode="bicubic", antialias=True).clamp(-1, 1)


def make_trial(photo: Images, rng: torch.Generator, count: int = 1, resolution: int = 256) -> Trial:
    """`count` fresh doodles in a photograph, none over another: whole squares, or cut out along the face."""
    attributes = sample(count, rng)[0]
    drawn = torch.cat([render(attributes, resolution), coverage(attributes, resolution)], dim=1)
    if torch.rand((), generator=rng) < 0.5:
        drawn[:, 3] = 1.0
    return put(photo, drawn, rng)


def put(photo: Images, drawn: Float[Tensor, "k 4 r r"], rng: torch.Generator) -> Trial:
    """Drawings (the last channel says how opaque they are) laid over a photograph at random, all of them in it."""
    size = torch.tensor(photo.shape[:1:-1])  # width, height
    centres, axes = [], []
    for each in drawn:
        for _ in range(100):
            largest = min(LARGEST, size.min().item() * 0.78) / (1 if len(drawn) == 1 else 2)
            side = math.exp(math.log(SMALLEST) + math.log(largest / SMALLEST) * torch.rand((), generator=rng).item())
            centre = complex(*(side / 2 + torch.rand(2, generator=rng) * (size - side)).tolist())
            if all(abs(centre - c) > 0.75 * (side + 2 * abs(a)) for c, a in zip(centres, axes, strict=True)):
                break
        else:
            continue
        angle = (torch.rand((), generator=rng) * 2 - 1).item() * math.pi
        axis = side / 2 * complex(math.cos(angle), math.sin(angle))
        near = F.interpolate(each[None], (max(8, round(side)),) * 2, mode="bilinear", antialias=True)
        photo = place(photo, near, torch.tensor([centre]), torch.tensor([axis]), torch.ones(1))
        centres.append(centre)
        axes.append(axis)
    return Trial(photo.clamp(-1, 1), torch.tensor(centres), torch.tensor(axes))


def matches(finder: DomainDetector, trials: list[Trial]) -> Matches:
    """Each doodle's nearest found square, where it is near enough."""
    rows, false = [], 0
    for trial in trials:
        centres, axes, _ = finder.squares(trial.picture)
        used = set()
        for centre, axis in zip(trial.centres, trial.axes, strict=True):
            side = 2 * axis.abs()
            apart = (centres - centre).abs() / side
            best = int(apart.argmin()) if len(apart) else -1
            if best < 0 or apart[best] > 0.3:
                rows.append((side.item(), 0.0, math.nan, math.nan, math.nan))
                continue
            used.add(best)
            change = axes[best] / axis
            errors = apart[best], change.abs() - 1, torch.rad2deg(change.angle())
            rows.append((side.item(), 1.0, *(error.abs().item() for error in errors)))
        false += len(centres) - len(used)
    sides, found, place_error, size, angle = torch.tensor(rows).reshape(-1, 5).unbind(dim=1)
    return Matches(sides, found > 0, place_error, size, angle, false)


def detector_metrics(finder: DomainDetector, num_trials: int = 200) -> dict[str, float]:
    """Recall and errors on single doodles of all sizes, and what is found where there is none."""
    rng, photos = torch.Generator().manual_seed(TRIALS_SEED), held_out_photographs()
    trials = [make_trial(photos[index % len(photos)], rng) for index in range(num_trials)]
    single = matches(finder, trials)
    several = matches(finder, [make_trial(photo, rng, count=4) for photo in photos * 4])
    empty = sum(len(finder.find(photo)) for photo in photos)

    def quantile(values: Tensor, q: float) -> float:
        return values[single.found].quantile(q).item()

    return {
        "recall": single.found.float().mean().item(),
        "recall_below_64_px": single.found[single.sides < 64].float().mean().item(),
        "recall_of_several": several.found.float().mean().item(),
        "false_beside_doodles": (single.false + several.false) / (len(trials) + 4 * len(photos)),
        "false_on_photographs": empty / len(photos),
        "place_median": quantile(single.place, 0.5),
        "place_95": quantile(single.place, 0.95),
        "size_median": quantile(single.size, 0.5),
        "size_95": quantile(single.size, 0.95),
        "degrees_median": quantile(single.angle, 0.5),
        "degrees_95": quantile(single.angle, 0.95),
    }


def show_finder(out: Path) -> None:
    """out/finder.png: held-out photographs with several doodles and the squares that were found, one below another."""
    finder, rng = load_detector(out / "finder.safetensors"), torch.Generator().manual_seed(7)
    pictures = [marked(finder, make_trial(photo, rng, count=4).picture) for photo in held_out_photographs()]
    page = Image.new("RGB", (max(each.shape[3] for each in pictures), sum(each.shape[2] for each in pictures)))
    top = 0
    for picture in pictures:
        page.paste(Image.fromarray(to_uint8(picture)[0].numpy()), (0, top))
        top += picture.shape[2]
    page.save(out / "finder.png")
