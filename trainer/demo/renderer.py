"""What stages and checks ask of a domain's renderer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from lga_core import Images

from .attributes import Attributes

Point = tuple[float, float]


@dataclass(frozen=True)
class Renderer:
    """Draws faces from attributes, and knows where on the picture they are.

    Attributes:
        render: (attributes [n k], resolution) -> faces [n 3 h w] in -1..1.
        coverage: (attributes [n k], resolution) -> where the person is, 0..1; the rest is background.
        face_weight: (resolution, attributes [n k] or None) -> weight of each pixel in the generator's loss, for each
            face or (m = 1) for any.
        outside_face: resolution -> 1 where no face reaches, else 0.
        points_at_rest: two eyes, nose and the two corners of the mouth of the mean face that looks straight ahead; its
            square runs from -1 to 1.
    """

    render: Callable[[Attributes, int], Images]
    coverage: Callable[[Attributes, int], Float[Tensor, "n 1 h w"]]
    face_weight: Callable[[int, Attributes | None], Float[Tensor, "m 1 h w"]]
    outside_face: Callable[[int], Float[Tensor, "h w"]]
    points_at_rest: tuple[Point, ...]
