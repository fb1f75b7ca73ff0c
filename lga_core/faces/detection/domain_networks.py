"""The two networks of a domain's face detector: proposals, and regression of their exact position.

A face is a square of the picture at any angle, written as two complex numbers: its `center`, and its `axis` from there
to the middle of its right side. A point p of the square, -1..1, lies at centre + axis * p in the picture, y down.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

Squares = Complex[Tensor, "k"]  # centres or axes, in pixels
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class DetectorConfig:
    """Architecture of the face detector, and the faces it is for.

    points: eye, eye, nose, mouth corner, mouth corner of a face at rest in its square, -1..1. side: of the squares
    that the proposal network is made for, in pixels. window: side of the regressor's input, in pixels; reach: the
    same as a multiple of the square's.
    """

    points: Points
    spotter_widths: tuple[int, ...] = (16, 32, 48)
    spotter_dilations: tuple[int, ...] = (1, 2, 3)
    measurer_widths: tuple[int, ...] = (16, 32, 48, 48)
    squeezed: int = 24
    hidden: int = 48
    side: float = 45.0
    window: int = 80
    reach: float = 1.5

    def __post_init__(self) -> None:
        if len(self.points) != 5 or any(len(point) != 2 for point in self.points):
            raise ValueError(f"five points of two coordinates are needed, not {self.points!r}")
        sizes = (*self.spotter_widths, *self.spotter_dilations, *self.measurer_widths, self.squeezed, self.hidden)
        if any(type(size) is not int or size < 1 for size in (*sizes, self.window)):
            raise ValueError(f"widths and dilations must be whole numbers above 0, not {sizes!r}")
        numbers = (*(coordinate for point in self.points for coordinate in point), self.side, self.reach)
        if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
            raise ValueError(f"points, side and reach must be numbers, not {numbers!r}")
        if self.side <= 0 or self.reach <= 0:
            raise ValueError(f"side and reach must be above 0, not {self.side!r} and {self.reach!r}")
        if self.window % 2 ** len(self.measurer_widths):
            raise ValueError(f"a window of {self.window} px cannot be halved {len(self.measurer_widths)} times")


def convolution(i: int, o: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(i, o, 3, stride, dilation, dilation, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True)
    )


class ProposalNetwork(nn.Module):
    """Pictures [n 3 h w] in -1..1 -> [n 6 h/8 w/8]: for each cell whether a face's centre is there, and its square.

    Channels: logit; the centre's place from the middle of its cell, in cells; log of the side, relative to
    `config.side`; cosine and sine of the angle, up to a factor.
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        widths = (3, *config.spotter_widths)
        self.stem = nn.Sequential(*(convolution(i, o, stride=2) for i, o in zip(widths, widths[1:], strict=False)))
        self.body = nn.ModuleList(convolution(widths[-1], widths[-1], 1, each) for each in config.spotter_dilations)
        self.head = nn.Conv2d(widths[-1], 6, 1)
        nn.init.constant_(self.head.bias[:1], -4.0)  # pyright: ignore[reportOptionalSubscript]
        self.stride = 2 ** len(config.spotter_widths)

    def forward(self, pictures: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 6 h2 w2"]:
        x = self.stem(pictures)
        for layer in self.body:
            x = x + layer(x)
        return self.head(x)


class LandmarkRegressor(nn.Module):
    """Windows [n 3 s s] around squares that are about right -> [n 5]: logit of being a face, and what is amiss.

    That is the true centre in the square's own coordinates (x, y), and log and angle (in radians) of the true axis over
    the square's.
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        widths = (3, *config.measurer_widths)
        self.body = nn.Sequential(*(convolution(i, o, stride=2) for i, o in zip(widths, widths[1:], strict=False)))
        cells = config.window // 2 ** len(config.measurer_widths)
        self.squeeze = nn.Sequential(nn.Conv2d(widths[-1], config.squeezed, 1), nn.ReLU(inplace=True))
        self.hidden = nn.Sequential(nn.Linear(config.squeezed * cells**2, config.hidden), nn.ReLU(inplace=True))
        self.head = nn.Linear(config.hidden, 5)

    def forward(self, windows: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n 5"]:
        return self.head(self.hidden(self.squeeze(self.body(windows)).flatten(1)))


def corrected(centers: Squares, axes: Squares, error: Float[Tensor, "k 4"]) -> tuple[Squares, Squares]:
    """Squares corrected by the regressor's errors [k 4], see `LandmarkRegressor`."""
    error = error.float()
    change = torch.complex(error[:, 2], error[:, 3])
    return centers + axes * torch.complex(error[:, 0], error[:, 1]), axes * torch.exp(change)


def squares_of(cells: Float[Tensor, "k 6"], rows: Tensor, columns: Tensor, stride: int, side: float):
    """Decode proposals: cells [k 6] at these rows and columns -> centres and axes of squares, in pixels."""
    x, y = (columns + 0.5 + cells[:, 1]) * stride, (rows + 0.5 + cells[:, 2]) * stride
    direction = torch.complex(cells[:, 4], cells[:, 5])
    direction = direction / direction.abs().clamp(min=1e-6)
    return torch.complex(x, y), direction * (side / 2) * torch.exp(cells[:, 3])
