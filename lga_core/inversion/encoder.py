"""Inversion by an encoder: image of a face -> its W+ code, in one pass. `optimization` and `pti` come closer.

The encoders are Encoder4Editing (Tov et al. 2021, "Designing an Encoder for StyleGAN Image Manipulation") and its
predecessor pSp (Richardson et al. 2021, "Encoding in Style"), with their published parameter names, and a light
variant for small domains. A residual backbone with squeeze-and-excitation gives feature maps of three sizes; a small
network per W+ row, the head, reads one of them: rows 0-2 the coarse map, rows 3-6 the middle, later rows the fine one.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import InputError
from ..metrics.ir_se import ResidualBlock
from ..shapes import Features, Images, W, WPlus
from ..stylegan2.ops import EqualLinear, initialize

Heads = Literal["conv", "dense"]

FIRST_MIDDLE_ROW, FIRST_FINE_ROW = 3, 7


@dataclass(frozen=True)
class EncoderConfig:
    """Architecture of an encoder. Raises ValueError for values outside the allowed ranges.

    The defaults are the published e4e encoder's.

    Attributes:
        num_ws, w_dim: shape of the generator's W+.
        input_size: images are resized to this square, a power of two.
        widths, units: feature maps and residual blocks of the backbone's four groups; each group halves the size.
        row0_shared: e4e: row 0 is added to all other rows, whose heads only give offsets to it. False: pSp.
        heads: `conv`, a stack of stride-2 convolutions per row (published); `dense`, one pooled vector per map size and
            a linear layer per row, a small fraction of the weights.
        dense_pool, dense_channels, dense_hidden: sizes of the `dense` heads.
    """

    num_ws: int
    w_dim: int = 512
    input_size: int = 256
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    units: tuple[int, int, int, int] = (3, 4, 14, 3)
    row0_shared: bool = True
    heads: Heads = "conv"
    dense_pool: int = 8
    dense_channels: int = 24
    dense_hidden: int = 192

    def __post_init__(self) -> None:
        limits = {"num_ws": 64, "w_dim": 8192, "dense_pool": 64, "dense_channels": 8192, "dense_hidden": 8192}
        for name, most in limits.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= most:
                raise ValueError(f"{name} is {value!r}; it must be a whole number from 1 to {most}")
        size = self.input_size
        if not isinstance(size, int) or size & (size - 1) or not 32 <= size <= 1024:
            raise ValueError(f"input_size is {size!r}; it must be a power of two from 32 to 1024")
        for name, most in (("widths", 8192), ("units", 100)):
            values = tuple(getattr(self, name))
            if len(values) != 4 or not all(isinstance(v, int) and 1 <= v <= most for v in values):
                raise ValueError(f"{name} is {values!r}; it must be four whole numbers from 1 to {most}")
            object.__setattr__(self, name, values)  # a list from a file becomes the tuple it stands for
        if not isinstance(self.row0_shared, bool):
            raise ValueError(f"row0_shared is {self.row0_shared!r}; it must be true or false")
        if self.heads not in get_args(Heads):
            raise ValueError(f"heads is {self.heads!r}; it must be one of {get_args(Heads)}")

    def level(self, row: int) -> int:
        """Which feature map a row is read from: 0 coarse, 1 middle, 2 fine."""
        return (row >= FIRST_MIDDLE_ROW) + (row >= FIRST_FINE_ROW)


class ConvHead(nn.Module):
    """Feature map [n i size size] -> one row, by stride-2 convolutions down to a single pixel."""

    def __init__(self, i: int, w_dim: int, size: int):
        super().__init__()
        layers: list[nn.Module] = []
        while size > 1:
            layers += [nn.Conv2d(i, w_dim, 3, stride=2, padding=1), nn.LeakyReLU()]
            i, size = w_dim, size // 2
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(w_dim, w_dim)

    def forward(self, x: Features) -> W:
        return self.linear(self.convs(x).flatten(1))


class DenseLevel(nn.Module):
    """Feature map [n i size size] -> the vector [n dense_hidden] that all rows of its level are read from."""

    def __init__(self, i: int, config: EncoderConfig):
        super().__init__()
        self.pool = config.dense_pool
        self.squeeze = nn.Conv2d(i, config.dense_channels, 1)
        self.hidden = nn.Linear(config.dense_channels * self.pool**2, config.dense_hidden)

    def forward(self, x: Features) -> Tensor:
        x = F.leaky_relu(self.squeeze(F.adaptive_avg_pool2d(x, self.pool)))
        return F.leaky_relu(self.hidden(x.flatten(1)))


class Encoder(nn.Module):
    """Encoder (e4e or pSp): images -> W+. `seed` draws the initial weights.

    `latent_avg` [num_ws w_dim] is the average face; the network predicts offsets from it.
    """

    latent_avg: Tensor

    def __init__(self, config: EncoderConfig, seed: int = 0):
        super().__init__()
        self.config = config
        widths, rows = config.widths, range(config.num_ws)
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.PReLU(widths[0])
        )
        self.body = nn.Sequential(*self._blocks(config))
        if config.heads == "conv":
            sizes = [config.input_size // 16, config.input_size // 8, config.input_size // 4]
            self.styles = nn.ModuleList(ConvHead(widths[3], config.w_dim, sizes[config.level(row)]) for row in rows)
        else:
            self.levels = nn.ModuleList(DenseLevel(widths[3], config) for _ in range(config.level(rows[-1]) + 1))
            self.rows = nn.ModuleList(nn.Linear(config.dense_hidden, config.w_dim) for _ in rows)
        self.latlayer1 = nn.Conv2d(widths[2], widths[3], 1)
        self.latlayer2 = nn.Conv2d(widths[1], widths[3], 1)
        self.register_buffer("latent_avg", torch.zeros(config.num_ws, config.w_dim))
        initialize(self, seed)

    @staticmethod
    def _blocks(config: EncoderConfig) -> list[ResidualBlock]:
        blocks, i = [], config.widths[0]
        for o, units in zip(config.widths, config.units, strict=True):
            blocks += [ResidualBlock(i if unit == 0 else o, o, stride=2 if unit == 0 else 1) for unit in range(units)]
            i = o
        return blocks

    def forward(self, images: Images, stage: int | None = None) -> WPlus:
        """Codes of faces: images [n 3 h w] in -1..1, of any size -> ws [n num_ws w_dim].

        `stage` (e4e's progressive training) lets rows 1 .. stage differ from row 0; None lets all.

        Raises InputError for a tensor that is not a batch of RGB images.
        """
        return self.latent_avg + self.encode_offsets(images, stage)

    def encode_offsets(self, images: Images, stage: int | None = None) -> WPlus:
        """The same without `latent_avg`: offsets from the average face, as the published encoders return them."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise InputError(f"The images have shape {list(images.shape)}; the encoder needs [n 3 h w] in -1..1.")
        size = (self.config.input_size, self.config.input_size)
        if images.shape[2:] != size:
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        num_rows = self.config.num_ws if stage is None else min(stage + 1, self.config.num_ws)
        rows = torch.stack(self._rows(self._feature_maps(images), num_rows), dim=1)  # [n num_rows w_dim]
        if not self.config.row0_shared:
            if stage is not None:
                raise ValueError("stage is for encoders whose rows share row 0")
            return rows
        row0 = rows[:, :1]
        offsets = F.pad(rows[:, 1:], (0, 0, 0, self.config.num_ws - num_rows))  # rows beyond the stage: none
        return torch.cat([row0, row0 + offsets], dim=1)

    def _feature_maps(self, images: Images) -> tuple[Features, Features, Features]:
        """Coarse, middle and fine maps: 1/16, 1/8 and 1/4 of the input size, all widths[3] deep."""
        last_blocks = [sum(self.config.units[: group + 1]) - 1 for group in range(4)]
        x, maps = self.input_layer(images), []
        for index, block in enumerate(self.body):
            x = block(x)
            if index in last_blocks[1:]:
                maps.append(x)
        fine, middle, coarse = maps
        middle = _enlarged(coarse, middle) + self.latlayer1(middle)
        return coarse, middle, _enlarged(middle, fine) + self.latlayer2(fine)

    def _rows(self, maps: tuple[Features, ...], num_rows: int) -> list[W]:
        level = self.config.level
        if self.config.heads == "conv":
            return [self.styles[row](maps[level(row)]) for row in range(num_rows)]
        vectors = [module(x) for module, x in zip(self.levels, maps, strict=False)]
        return [self.rows[row](vectors[level(row)]) for row in range(num_rows)]


@dataclass(frozen=True)
class ReconstructionScore:
    """Quality of reconstructions, one number per face.

    decibels: PSNR, in dB. explained: share of the image's squared difference from the average face that the
    reconstruction explains, 1 - error / error of the average face; 1 is a perfect reconstruction.
    """

    decibels: Float[Tensor, "n"]
    explained: Float[Tensor, "n"]


def reconstruction_score(images: Images, drawn: Images, average: Images) -> ReconstructionScore:
    """PSNR and explained share of `drawn` [n c h w] against `images` [n c h w]; `average` [1 c h w]: the average face.

    All in -1..1.
    """

    def error(a: Images, b: Images) -> Float[Tensor, "n"]:
        return ((a.clamp(-1, 1) - b.clamp(-1, 1)) / 2).square().mean(dim=(1, 2, 3)).clamp_min(1e-10)

    left = error(images, drawn)
    return ReconstructionScore(-10 * left.log10(), 1 - left / error(images, average))


def _enlarged(x: Features, like: Features) -> Features:
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)
