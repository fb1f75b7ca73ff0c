"""Backgrounds for the detector's training: noise, gradients, shapes, writing, scrambled faces, photographs.

The photographs are those that scikit-image brings along, where it is installed; those in HELD_OUT are never trained on.
"""

import string
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lga_core import Images, load_image
from lga_core.imaging import to_uint8

SIZE = 192
HELD_OUT = ("astronaut", "coffee", "chelsea", "rocket")
PHOTOGRAPHS = ("motorcycle_left", "motorcycle_right", "color", "hubble_deep_field", "ihc", "retina", "logo")
PHOTOGRAPHS += ("camera", "coins", "clock_motion", "brick", "grass", "gravel", "moon", "page", "text", "horse", "cell")
COLOURFUL = 7
"""So many of PHOTOGRAPHS have colours, and are shown more often."""


def photograph(name: str) -> Images | None:
    """One of scikit-image's own pictures [1 3 h w] in -1..1; None where that library is not installed."""
    library = find_spec("skimage")
    if library is None or library.origin is None:
        return None
    found = sorted((Path(library.origin).parent / "data").glob(f"{name}.*"))
    return load_image(found[0]) if found else None


def backgrounds(count: int, drawings: UInt8[Tensor, "m 4 r r"], rng: torch.Generator) -> UInt8[Tensor, "n 3 s s"]:
    """`count` pictures of all kinds; two fifths are of photographs, where there are any."""
    found = [(name, photograph(name)) for name in PHOTOGRAPHS]
    photographs = [(picture, name in PHOTOGRAPHS[:COLOURFUL]) for name, picture in found if picture is not None]
    weights = torch.tensor([3.0 if colourful else 1.0 for _, colourful in photographs])
    kinds = (noise, gradient, shapes, writing, lambda rng: scrambled(drawings, rng))
    made = []
    for index in range(count):
        if photographs and index % 5 < 2:
            picture, colourful = photographs[int(torch.multinomial(weights, 1, generator=rng))]
            made.append(patch(picture, rng) if colourful else tinted(patch(picture, rng), rng))
        else:
            made.append(kinds[index // 5 % len(kinds)](rng))
    return torch.stack([to_uint8(picture[None])[0].permute(2, 0, 1) for picture in made])


def uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


def colour(rng: torch.Generator) -> tuple[int, ...]:
    return tuple(torch.randint(256, (3,), generator=rng).tolist())


def patch(picture: Images, rng: torch.Generator) -> Float[Tensor, "3 s s"]:
    """A square of any size and place of a photograph."""
    h, w = picture.shape[2:]
    side = min(h, w, round(np.exp(uniform(rng, np.log(96), np.log(max(97, min(h, w)))))))
    top, left = (int(torch.randint(free + 1, (), generator=rng)) for free in (h - side, w - side))
    cut = picture[..., top : top + side, left : left + side]
    return F.interpolate(cut, (SIZE, SIZE), mode="bilinear", antialias=True)[0]


def tinted(picture: Float[Tensor, "3 s s"], rng: torch.Generator) -> Float[Tensor, "3 s s"]:
    """A grey picture between two colours, or as it is."""
    if uniform(rng, 0, 1) < 0.3:
        return picture
    dark, light = (torch.rand(3, 1, 1, generator=rng) * 1.2 - each for each in (1.1, 0.2))
    return torch.lerp(dark, light, (picture[:1] + 1) / 2).clamp(-1, 1)


def noise(rng: torch.Generator) -> Float[Tensor, "3 s s"]:
    """Clouds of several sizes, each with colours of its own."""
    total = torch.zeros(3, SIZE, SIZE)
    for cells in (2, 5, 12, 30, 80, 192):
        grid = torch.randn(1, 3, cells, cells, generator=rng) * uniform(rng, 0, 0.5)
        total = total + F.interpolate(grid, (SIZE, SIZE), mode="bicubic")[0]
    return torch.tanh(total + torch.randn(3, 1, 1, generator=rng) * 0.5)


def gradient(rng: torch.Generator) -> Float[Tensor, "3 s s"]:
    """One colour into another across the picture, with a little grain."""
    axis = torch.linspace(-1, 1, SIZE)
    slope = torch.randn(2, generator=rng)
    along = torch.sigmoid((axis[None] * slope[0] + axis[:, None] * slope[1]) * 2)
    ends = torch.rand(2, 3, 1, 1, generator=rng) * 2 - 1
    grain = torch.randn(3, SIZE, SIZE, generator=rng) * uniform(rng, 0, 0.06)
    return (torch.lerp(ends[0], ends[1], along) + grain).clamp(-1, 1)


def page(rng: torch.Generator) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (SIZE, SIZE), colour(rng))
    return image, ImageDraw.Draw(image)


def pixels(image: Image.Image) -> Float[Tensor, "3 s s"]:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1


def shapes(rng: torch.Generator) -> Float[Tensor, "3 s s"]:
    """Discs, boxes, arcs and lines of any colour, some with others in them, as eyes lie in faces."""
    image, pen = page(rng)
    for _ in range(int(torch.randint(3, 30, (), generator=rng))):
        x, y = uniform(rng, -20, SIZE), uniform(rng, -20, SIZE)
        w, h = uniform(rng, 4, 90), uniform(rng, 4, 90)
        edge, width = (colour(rng) if uniform(rng, 0, 1) < 0.5 else None), int(uniform(rng, 1, 6))
        kind = int(torch.randint(5, (), generator=rng))
        if kind < 2:
            pen.ellipse((x, y, x + w, y + h), colour(rng), edge, width)
            if kind:
                pen.ellipse((x + w / 3, y + h / 3, x + w * 2 / 3, y + h * 2 / 3), colour(rng), edge, width)
        elif kind == 2:
            pen.rectangle((x, y, x + w, y + h), colour(rng), edge, width)
        elif kind == 3:
            pen.arc((x, y, x + w, y + h), uniform(rng, 0, 360), uniform(rng, 0, 360), colour(rng), width)
        else:
            pen.line((x, y, uniform(rng, 0, SIZE), uniform(rng, 0, SIZE)), colour(rng), width)
    return pixels(image)


def writing(rng: torch.Generator) -> Float[Tensor, "3 s s"]:
    """Lines of letters of any size."""
    image, pen = page(rng)
    ink, top = colour(rng), 0.0
    while top < SIZE:
        size = uniform(rng, 7, 40)
        letters = torch.randint(len(string.printable) - 6, (40,), generator=rng).tolist()
        text = "".join(string.printable[letter] for letter in letters)
        pen.text((uniform(rng, -30, 30), top), text, ink, ImageFont.load_default(size))
        ink, top = (colour(rng) if uniform(rng, 0, 1) < 0.2 else ink), top + size * uniform(rng, 0.9, 1.6)
    return pixels(image)


def scrambled(drawings: UInt8[Tensor, "m 4 r r"], rng: torch.Generator) -> Float[Tensor, "3 s s"]:
    """A face cut into 3 x 3 to 6 x 6 tiles in another order: its colours and lines, and no face."""
    chosen = drawings[int(torch.randint(len(drawings), (), generator=rng)), :3].float() / 127.5 - 1
    count = int(torch.randint(3, 7, (), generator=rng))
    whole = F.interpolate(chosen[None], (24 * count, 24 * count), mode="bilinear")[0]
    tiles = whole.reshape(3, count, 24, count, 24).transpose(2, 3).reshape(3, count**2, 24, 24)
    tiles = tiles[:, torch.randperm(count**2, generator=rng)].reshape(3, count, count, 24, 24)
    whole = tiles.transpose(2, 3).reshape(1, 3, 24 * count, 24 * count)
    return F.interpolate(whole, (SIZE, SIZE), mode="bilinear")[0]
