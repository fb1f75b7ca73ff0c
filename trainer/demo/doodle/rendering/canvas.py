"""A canvas for anti-aliased shapes.

Every shape is a signed distance (negative inside) on a canvas that runs from -1 to 1, x to the right and y down, and
is painted over what is there with the coverage of its edge pixel. Lines are at least two pixels wide at 128 px, so
that a generator can learn them.
"""

import torch
from jaxtyping import Float
from torch import Tensor

LINE = 0.016
"""Half the width of an outline."""


def axes(resolution: int) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    """y and x of the middle of every pixel."""
    axis = (torch.arange(resolution) + 0.5) / resolution * 2 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return y, x


class Canvas:
    """An image being painted: `paint` lays a colour over it where `alpha` says."""

    def __init__(self, n: int, resolution: int) -> None:
        self.y, self.x = (grid[None] for grid in axes(resolution))
        self.pixel = 2 / resolution
        self.image = torch.ones(n, 3, resolution, resolution)

    def cover(self, distance: Tensor) -> Tensor:
        return (0.5 - distance / self.pixel).clamp(0, 1)

    def paint(self, colour: Tensor | tuple[float, float, float], alpha: Tensor | float) -> None:
        colour = torch.as_tensor(colour)
        colour = colour.reshape(-1, 3, 1, 1) if colour.ndim <= 2 else colour
        alpha = torch.as_tensor(alpha)
        alpha = alpha[:, None] if alpha.ndim == 3 else alpha
        self.image = self.image + (colour - self.image) * alpha

    def fill(self, distance: Tensor, colour: Tensor | tuple[float, float, float], alpha: Tensor | float = 1.0) -> None:
        self.paint(colour, self.cover(distance) * alpha)

    def outlined(self, distance: Tensor, colour: Tensor | tuple, line: Tensor | tuple, alpha: Tensor | float = 1.0):
        self.fill(distance - 2 * LINE, line, alpha)
        self.fill(distance, colour, alpha)


def ellipse(x: Tensor, y: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
    """Signed distance to the ellipse of half axes a, b, to first order at its edge."""
    level = torch.sqrt((x / a) ** 2 + (y / b) ** 2 + 1e-8)
    slope = torch.sqrt((x / a**2) ** 2 + (y / b**2) ** 2 + 1e-8)
    return level * (level - 1) / slope


def parabola(x: Tensor, y: Tensor, half_width: Tensor | float, sag: Tensor | float) -> Tensor:
    """Distance to the arc y = sag·(x / half_width)² over |x| ≤ half_width, with round ends."""
    half_width = torch.as_tensor(half_width)
    on = torch.maximum(torch.minimum(x, half_width), -half_width)
    slope = 2 * sag * on / half_width**2
    return torch.sqrt((x - on) ** 2 + (y - sag * (on / half_width) ** 2) ** 2 / (1 + slope**2) + 1e-9)
