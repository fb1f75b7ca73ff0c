"""Trials for the detector: unseen faces of any place, size and angle, on photographs that no training saw."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float
from PIL import Image
from torch import Tensor

from lga_core import Images
from lga_core.faces.detection import load_detector
from lga_core.imaging import to_uint8

from ..embedded_domain import BuildFolder, EmbeddedDomain
from .backgrounds import HELD_OUT, noise, photograph
from .scenes import place
from .training import marked

PHOTO_SIDE, SMALLEST, LARGEST = 512, 32, 400
"""Shorter side of the photographs and sides of the squares in them, in pixels."""


@dataclass(frozen=True)
class Trial:
    """A picture [1 3 h w] with faces in it, and their squares (see scenes.py)."""

    picture: Images
    centers: Complex[Tensor, "k"]
    axes: Complex[Tensor, "k"]


def held_out_photographs() -> list[Images]:
    """Photographs whose shorter side is PHOTO_SIDE; noise where scikit-image is not installed."""
    found = [picture for picture in map(photograph, HELD_OUT) if picture is not None]
    found = found or [noise(torch.Generator().manual_seed(seed))[None] for seed in range(4)]
    return [fitted(picture) for picture in found]


def fitted(picture: Images) -> Images:
    h, w = picture.shape[2:]
    size = [round(side * PHOTO_SIDE / min(h, w)) for side in (h, w)]
    return F.interpolate(picture, size, mode="bicubic", antialias=True).clamp(-1, 1)


def make_trial(
    domain: EmbeddedDomain, photo: Images, rng: torch.Generator, count: int = 1, resolution: int = 256
) -> Trial:
    """`count` fresh faces in a photograph, none over another: whole squares, or cut out along the face."""
    attributes, renderer = domain.attributes.sample(count, rng)[0], domain.renderer
    drawn = torch.cat([renderer.render(attributes, resolution), renderer.coverage(attributes, resolution)], dim=1)
    if torch.rand((), generator=rng) < 0.5:
        drawn[:, 3] = 1.0
    return put(photo, drawn, rng)


def put(photo: Images, drawn: Float[Tensor, "k 4 r r"], rng: torch.Generator) -> Trial:
    """Drawings (the last channel says how opaque they are) laid over a photograph at random, all of them in it."""
    size = torch.tensor(photo.shape[:1:-1])  # width, height
    centers, axes = [], []
    for each in drawn:
        for _ in range(100):
            largest = min(LARGEST, size.min().item() * 0.78) / (1 if len(drawn) == 1 else 2)
            side = math.exp(math.log(SMALLEST) + math.log(largest / SMALLEST) * torch.rand((), generator=rng).item())
            center = complex(*(side / 2 + torch.rand(2, generator=rng) * (size - side)).tolist())
            if all(abs(center - c) > 0.75 * (side + 2 * abs(a)) for c, a in zip(centers, axes, strict=True)):
                break
        else:
            continue
        angle = (torch.rand((), generator=rng) * 2 - 1).item() * math.pi
        axis = side / 2 * complex(math.cos(angle), math.sin(angle))
        near = F.interpolate(each[None], (max(8, round(side)),) * 2, mode="bilinear", antialias=True)
        photo = place(photo, near, torch.tensor([center]), torch.tensor([axis]), torch.ones(1))
        centers.append(center)
        axes.append(axis)
    return Trial(photo.clamp(-1, 1), torch.tensor(centers), torch.tensor(axes))


def show_detector(build: BuildFolder) -> None:
    """finder.png: held-out photographs with several faces and the squares that were found, one below another."""
    detector, rng = load_detector(build.file("finder")), torch.Generator().manual_seed(7)
    trials = [make_trial(build.domain, photo, rng, count=4) for photo in held_out_photographs()]
    pictures = [marked(detector, trial.picture) for trial in trials]
    page = Image.new("RGB", (max(each.shape[3] for each in pictures), sum(each.shape[2] for each in pictures)))
    top = 0
    for picture in pictures:
        page.paste(Image.fromarray(to_uint8(picture)[0].numpy()), (0, top))
        top += picture.shape[2]
    page.save(build.path / "finder.png")
