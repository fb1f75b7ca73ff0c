"""Pictures with faces of a domain in them, and where they are: what its detector is trained on.

As everywhere in the detector, a face is a square, and a square two complex numbers: its center, and its axis from there
to the middle of its right side, in pixels.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Complex, Float, UInt8
from torch import Tensor

from lga_core import Images

from ..embedded_domain import BuildFolder
from ..renderer import Renderer
from .backgrounds import SIZE, backgrounds

RESOLUTION = 64
NUM_DRAWINGS, NUM_GENERATED, NUM_BACKGROUNDS = 3_000, 300, 800
SIDES = (22.0, 88.0)
"""Of the squares that the proposal network is to find, in pixels; it finds larger ones on another level."""
MAX_FACES = 3
WIDE, NARROW = (0.30, 0.15, 0.21), (0.05, 0.03, 0.05)
"""Errors of the squares that the regressor is given: place in half sides, log of the size, angle in radians."""
FAR_SHARE = 0.35

Complexes = Complex[Tensor, "n"]


@dataclass(frozen=True)
class Stock:
    """drawings [m 4 r r]: faces, 0..255, with the coverage of all but their background; backgrounds [b 3 s s]."""

    drawings: UInt8[Tensor, "m 4 r r"]
    backgrounds: UInt8[Tensor, "b 3 s s"]


@dataclass(frozen=True)
class Scenes:
    """pictures [n 3 s s] in -1..1 with up to k squares each; seen: the visible share of each, 0 where there is none."""

    pictures: Images
    centers: Complex[Tensor, "n k"]
    axes: Complex[Tensor, "n k"]
    seen: Float[Tensor, "n k"]


@dataclass(frozen=True)
class Windows:
    """Pictures [n 3 s s] around squares, and the errors [n 4] of those that have a face (is_face [n])."""

    pictures: Images
    errors: Float[Tensor, "n 4"]
    is_face: Bool[Tensor, "n"]


# What is shown


def load_stock(build: BuildFolder, rng: torch.Generator) -> Stock:
    """Training renders, faces that the build's generator draws, and backgrounds."""
    space, renderer, renders = build.domain.attributes, build.domain.renderer, build.renders()
    share = min(1.0, build.effort)
    counts = [max(8, round(share * each)) for each in (NUM_DRAWINGS, NUM_GENERATED, NUM_BACKGROUNDS)]
    chosen = torch.randperm(renders.num_train, generator=rng)[: counts[0]]
    drawn = [with_coverage(renderer, renders.batch(part), renders.attributes[part]) for part in chosen.split(64)]
    generator, attribute_map = build.generator(), build.attribute_map()
    for attributes in space.sample(counts[1], rng)[0].split(25):
        with torch.no_grad():
            pictures = generator.synthesis(generator.broadcast(attribute_map.to_w(attributes))).clamp(-1, 1)
        drawn.append(with_coverage(renderer, pictures, attributes))
    drawings = torch.cat(drawn)
    return Stock(drawings, backgrounds(counts[2], drawings, rng))


def with_coverage(renderer: Renderer, pictures: Images, attributes: Float[Tensor, "n k"]) -> UInt8[Tensor, "n 4 r r"]:
    small = F.interpolate(pictures, (RESOLUTION, RESOLUTION), mode="bilinear", antialias=True)
    whole = torch.cat([small / 2 + 0.5, renderer.coverage(attributes, RESOLUTION)], dim=1)
    return (whole * 255).round().clamp(0, 255).byte()


# Where it is shown


def between(rng: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=rng)


def turned(length: Tensor, angle: Tensor) -> Tensor:
    return torch.polar(length, angle)


def sample_squares(n: int, size: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Centers, axes [n MAX_FACES] anywhere in `size` pixels, a third of them nearly upright, and which are there.

    None of them covers another's middle.
    """
    side = torch.exp(between(rng, math.log(SIDES[0]), math.log(SIDES[1]), n, MAX_FACES))
    upright = torch.rand(n, MAX_FACES, generator=rng) < 0.35
    angle = torch.where(
        upright, torch.randn(n, MAX_FACES, generator=rng) * 0.2, between(rng, -math.pi, math.pi, n, MAX_FACES)
    )
    center = torch.complex(between(rng, 0, size, n, MAX_FACES), between(rng, 0, size, n, MAX_FACES))
    count = torch.multinomial(torch.tensor([0.22, 0.36, 0.26, 0.16]), n, replacement=True, generator=rng)
    there = torch.arange(MAX_FACES)[None] < count[:, None]
    for later in range(1, MAX_FACES):
        for earlier in range(later):
            apart = (center[:, later] - center[:, earlier]).abs()
            clear = apart > 0.45 * (side[:, later] + side[:, earlier])
            there[:, later] &= clear | ~there[:, earlier]
    return center, turned(side / 2, angle), there


def sample_giants(n: int, size: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Squares [n] too large for the proposal network on this level."""
    side = between(rng, 1.6 * SIDES[1], 3.2 * SIDES[1], n)
    center = torch.complex(between(rng, 0, size, n), between(rng, 0, size, n))
    return center, turned(side / 2, between(rng, -math.pi, math.pi, n))


def sample_small_errors(n: int, rng: torch.Generator) -> Float[Tensor, "n 4"]:
    """Errors of squares that are about right."""
    wide = (torch.rand(n, 1, generator=rng) < 0.5).float()
    place, log, angle = (a * wide + b * (1 - wide) for a, b in zip(WIDE, NARROW, strict=True))
    spread = torch.cat([place, place, log, angle], dim=1)
    return spread * between(rng, -1.4, 1.4, n, 4)


def sample_large_errors(n: int, rng: torch.Generator) -> Float[Tensor, "n 4"]:
    """Errors of squares that are wrong: of another place, size or angle than the face."""
    kind = torch.randint(4, (n,), generator=rng)
    place = turned(between(rng, 0.9, 2.0, n), between(rng, -math.pi, math.pi, n)) * ((kind == 0) | (kind == 3))
    log = between(rng, 0.55, 1.2, n) * (1 - 2.0 * (torch.rand(n, generator=rng) < 0.5)) * (kind == 1)
    angle = between(rng, 1.0, 2 * math.pi - 1.0, n) * ((kind == 2) | (kind == 3))
    return torch.stack([place.real, place.imag, log, angle], dim=1)


# How it is shown


def make_scenes(stock: Stock, n: int, size: int, rng: torch.Generator) -> Scenes:
    """n scenes of `size` pixels."""
    pictures = background(stock, n, size, rng)
    giants = torch.rand(n, generator=rng) < 0.12
    pictures = place(pictures, drawings(stock, n, rng), *sample_giants(n, size, rng), giants)
    centers, axes, there = sample_squares(n, size, rng)
    for k in range(MAX_FACES):
        pictures = place(pictures, drawings(stock, n, rng), centers[:, k], axes[:, k], there[:, k])
    pictures, frame = cropped(degraded(pictures, rng), rng)
    return Scenes(pictures, centers, axes, visible(centers, axes, frame) * there)


def make_windows(stock: Stock, n: int, size: int, reach: float, rng: torch.Generator) -> Windows:
    """n windows of `size` pixels; FAR_SHARE of them hold no face where they look for one."""
    pictures = background(stock, n, size, rng)
    is_face = torch.rand(n, generator=rng) >= FAR_SHARE
    errors = torch.where(is_face[:, None], sample_small_errors(n, rng), sample_large_errors(n, rng))
    half = size / 2 / reach
    middle = complex(size / 2, size / 2)
    beside = middle + turned(half * between(rng, 1.7, 2.6, n), between(rng, -math.pi, math.pi, n))
    is_beside = torch.rand(n, generator=rng) < 0.2
    other_axes = turned(half * between(rng, 0.5, 1.3, n), between(rng, -math.pi, math.pi, n))
    pictures = place(pictures, drawings(stock, n, rng), beside, other_axes, is_beside)
    centers = middle + half * torch.complex(errors[:, 0], errors[:, 1])
    axes = half * torch.exp(torch.complex(errors[:, 2], errors[:, 3]))
    is_there = is_face | (torch.rand(n, generator=rng) < 0.6)
    pictures = place(pictures, drawings(stock, n, rng), centers, axes, is_there)
    pictures, frame = cropped(degraded(pictures, rng), rng)
    seen = visible(centers[:, None], axes[:, None], frame)[:, 0]
    return Windows(pictures, errors, is_face & (seen >= 0.5))


def background(stock: Stock, n: int, size: int, rng: torch.Generator) -> Images:
    """Cut out of the stock's backgrounds at any angle, their colours changed."""
    chosen = stock.backgrounds[torch.randint(len(stock.backgrounds), (n,), generator=rng)].float() / 127.5 - 1
    scale = between(rng, 0.6, 1.5, n) * size / SIZE
    axis = turned(scale, between(rng, -math.pi, math.pi, n))
    shift = between(rng, -0.3, 0.3, n, 2)
    theta = torch.stack([axis.real, -axis.imag, shift[:, 0], axis.imag, axis.real, shift[:, 1]], dim=1).view(n, 2, 3)
    field = F.affine_grid(theta, [n, 3, size, size], align_corners=False)
    cut = F.grid_sample(chosen, field, padding_mode="reflection", align_corners=False)
    mixing = torch.eye(3) + 0.2 * torch.randn(n, 3, 3, generator=rng)
    return torch.einsum("nij,njhw->nihw", mixing, cut).clamp(-1, 1)


def drawings(stock: Stock, n: int, rng: torch.Generator) -> Float[Tensor, "n 4 r r"]:
    """Faces in -1..1 and their outlines, 0..1: the whole square, a disc, or what was drawn alone."""
    chosen = stock.drawings[torch.randint(len(stock.drawings), (n,), generator=rng)].float() / 255
    axis = (torch.arange(RESOLUTION) + 0.5) / RESOLUTION * 2 - 1
    power, width, soft = between(rng, 2, 6, n, 1, 1), between(rng, 0.75, 1.1, n, 1, 1), between(rng, 0.02, 0.3, n, 1, 1)
    level = (axis[None, None].abs() ** power + axis[None, :, None].abs() ** power) ** (1 / power)
    disc = ((width - level) / soft).clamp(0, 1)[:, None]
    kind = torch.randint(5, (n, 1, 1, 1), generator=rng)
    alone = chosen[:, 3:] * torch.where(kind == 4, disc, 1.0)
    outline = torch.where(kind < 2, torch.ones_like(disc), torch.where(kind == 2, disc, alone))
    gain, shift = between(rng, 0.75, 1.15, n, 1, 1, 1), 0.12 * torch.randn(n, 3, 1, 1, generator=rng)
    pictures = ((chosen[:, :3] * 2 - 1) * gain + shift).clamp(-1, 1)
    return torch.cat([pictures, outline], dim=1)


def place(pictures: Images, drawn: Float[Tensor, "n 4 r r"], centers: Complexes, axes: Complexes, there: Tensor):
    """Lay the drawings (the last channel says how opaque they are) over the pictures, into these squares."""
    n, _, h, w = pictures.shape
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    local = (torch.complex(x, y)[None] - centers[:, None, None]) / axes[:, None, None]
    field = torch.stack([local.real, local.imag], dim=-1)
    opaque = drawn[:, 3:] * there.view(n, 1, 1, 1)
    laid = F.grid_sample(torch.cat([drawn[:, :3] * opaque, opaque], dim=1), field, align_corners=False)
    return pictures * (1 - laid[:, 3:]) + laid[:, :3]


def degraded(pictures: Images, rng: torch.Generator) -> Images:
    """Blurred, coarser, grainy, lighter or darker: as photographs and their smaller copies are."""
    n, size = len(pictures), pictures.shape[-1]
    kind = int(torch.randint(4, (), generator=rng))
    blurred = pictures
    if kind == 1:
        blurred = F.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False)
    if kind == 2:
        small = round(size * float(between(rng, 0.4, 0.9)))
        coarse = F.interpolate(pictures, (small, small), mode="bilinear", antialias=True)
        blurred = F.interpolate(coarse, (size, size), mode="bilinear")
    pictures = torch.where(torch.rand(n, 1, 1, 1, generator=rng) < 0.6, blurred, pictures)
    grain = torch.randn(pictures.shape, generator=rng) * between(rng, -0.1, 0.1, n, 1, 1, 1).clamp(min=0)
    gain = between(rng, 0.8, 1.15, n, 1, 1, 1)
    return (pictures * gain + between(rng, -0.15, 0.15, n, 1, 1, 1) + grain).clamp(-1, 1)


def cropped(pictures: Images, rng: torch.Generator) -> tuple[Images, Float[Tensor, "n 4"]]:
    """Some cut off, as at the border of a photograph, with grey beyond; left, top, right and bottom of what is left."""
    n, size = len(pictures), pictures.shape[-1]
    cut = (torch.rand(n, 4, generator=rng) < 0.13) * between(rng, 0, 0.4, n, 4) * size
    frame = torch.stack([cut[:, 0], cut[:, 1], size - cut[:, 2], size - cut[:, 3]], dim=1).round()
    axis = (torch.arange(size) + 0.5)[None]
    across = (axis > frame[:, :1]) & (axis < frame[:, 2:3])
    down = (axis > frame[:, 1:2]) & (axis < frame[:, 3:])
    return pictures * (down[:, None, :, None] & across[:, None, None, :]), frame


def visible(centers: Complex[Tensor, "n k"], axes: Complex[Tensor, "n k"], frame: Float[Tensor, "n 4"]) -> Tensor:
    """Share of each square's inner part that lies in the frame, 0..1."""
    steps = torch.linspace(-0.7, 0.7, 5)
    grid = torch.complex(*torch.meshgrid(steps, steps, indexing="xy")).flatten()
    points = centers[..., None] + axes[..., None] * grid
    left, top, right, bottom = (side[:, None, None] for side in frame.unbind(dim=1))
    inside = (points.real > left) & (points.real < right) & (points.imag > top) & (points.imag < bottom)
    return inside.float().mean(dim=-1)
