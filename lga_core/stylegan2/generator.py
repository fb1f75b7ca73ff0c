"""The StyleGAN2 generator: mapping network Z -> W and synthesis network W+ -> image (Karras et al. 2020).

Parameter names are NVIDIA's, so that a converted file needs no translation table: `mapping.fc0.weight`,
`synthesis.b8.conv0.affine.bias`, ... The only buffers are `mapping.w_avg` and each layer's `noise_const`.

Rows of W+: the 4x4 block uses row 0 (convolution) and row 1 (to-RGB). Each later block uses the next two rows for its
convolutions and the row after them for its to-RGB; that row is shared with the next block's first convolution.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..shapes import Features, FeaturesOut, Images, Labels, MeanW, Styles, W, WPlus, Z
from .ops import EqualLinear, initialize, leaky_relu, modulated_conv2d, normalize_second_moment, upsample2d

Architecture = Literal["skip", "resnet", "orig"]
Noise = Literal["const", "none"]

MAX_RESOLUTION = 2048


@dataclass(frozen=True)
class GeneratorConfig:
    """Architecture of a StyleGAN2 generator. Raises ValueError for values outside the allowed ranges.

    The defaults are "config F". `architecture`: how the image is formed; `skip` sums the to-RGB of every block,
    `resnet` has residual connections and, like `orig`, a to-RGB in the last block only.
    `conv_clamp` clamps every layer's output to +-conv_clamp (None: no clamp); networks trained in fp16 have 256.
    """

    resolution: int
    z_dim: int = 512
    w_dim: int = 512
    c_dim: int = 0
    img_channels: int = 3
    channel_base: int = 32768
    channel_max: int = 512
    mapping_layers: int = 8
    mapping_lr_mul: float = 0.01
    conv_clamp: float | None = None
    architecture: Architecture = "skip"

    def __post_init__(self) -> None:
        res = self.resolution
        if not isinstance(res, int) or res & (res - 1) or not 4 <= res <= MAX_RESOLUTION:
            raise ValueError(f"resolution is {res!r}; it must be a power of two from 4 to {MAX_RESOLUTION}")
        limits = {"z_dim": 8192, "w_dim": 8192, "img_channels": 64, "channel_max": 8192, "mapping_layers": 64}
        for name, most in limits.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= most:
                raise ValueError(f"{name} is {value!r}; it must be a whole number from 1 to {most}")
        if not isinstance(self.c_dim, int) or not 0 <= self.c_dim <= 8192:
            raise ValueError(f"c_dim is {self.c_dim!r}; it must be a whole number from 0 (no labels) to 8192")
        if not isinstance(self.channel_base, int) or self.channel_base < res:
            raise ValueError(f"channel_base is {self.channel_base!r}; at {res} px it must be a whole number >= {res}")
        if not 0 < self.mapping_lr_mul < math.inf:
            raise ValueError(f"mapping_lr_mul is {self.mapping_lr_mul!r}; it must be a positive number")
        if self.conv_clamp is not None and not 0 < self.conv_clamp < math.inf:
            raise ValueError(f"conv_clamp is {self.conv_clamp!r}; it must be a positive number or None")
        if self.architecture not in get_args(Architecture):
            raise ValueError(f"architecture is {self.architecture!r}; it must be one of {get_args(Architecture)}")

    @property
    def num_ws(self) -> int:
        """Rows of W+: 2 log2(resolution) - 2, for example 18 at 1024 px."""
        return 2 * int(math.log2(self.resolution)) - 2

    @property
    def block_resolutions(self) -> list[int]:
        """4, 8, ..., resolution."""
        return [2**i for i in range(2, int(math.log2(self.resolution)) + 1)]

    def channels(self, resolution: int) -> int:
        """Feature maps of the block that works at `resolution`."""
        return min(self.channel_base // resolution, self.channel_max)


def truncate(ws: WPlus, w_avg: MeanW, psi: float, cutoff: int | None = None) -> WPlus:
    """Truncation trick: interpolate W+ codes [n num_ws w_dim] toward the average face, w_avg + psi (ws - w_avg).

    cutoff: number of first rows to truncate; None: all. psi = 1 returns ws and psi = 0 the average face, both exactly.
    (Karras et al. 2019, "A Style-Based Generator Architecture", B.)
    """
    if psi == 1:
        return ws
    cutoff = ws.shape[1] if cutoff is None else cutoff
    pulled = torch.lerp(w_avg.to(ws.dtype).expand_as(ws), ws, psi)
    return torch.cat([pulled[:, :cutoff], ws[:, cutoff:]], dim=1)


class Mapping(nn.Module):
    """Mapping network: Z (and a class label, in a conditional generator) -> W. `w_avg` is the mean of W."""

    w_avg: Tensor

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        width = config.z_dim
        if config.c_dim:
            self.embed = EqualLinear(config.c_dim, config.w_dim)
            width += config.w_dim
        for i in range(config.mapping_layers):
            self.add_module(f"fc{i}", EqualLinear(width, config.w_dim, lr_mul=config.mapping_lr_mul))
            width = config.w_dim
        self.register_buffer("w_avg", torch.zeros(config.w_dim))

    def forward(self, z: Z, c: Labels | None = None) -> W:
        """z [n z_dim], and labels c [n c_dim] in a class-conditional generator -> w [n w_dim].

        Raises InputError if a conditional generator gets no labels, or another one gets some.
        """
        if (c is not None) != bool(self.config.c_dim):
            need = f"labels c of shape [n {self.config.c_dim}]" if self.config.c_dim else "no labels"
            got = "none were given" if c is None else f"c of shape {list(c.shape)} was given"
            raise InputError(f"This generator takes {need}, but {got}.")
        x = normalize_second_moment(z)
        if c is not None:
            x = torch.cat([x, normalize_second_moment(self.embed(c))], dim=1)
        for i in range(self.config.mapping_layers):
            x = leaky_relu(self.get_submodule(f"fc{i}")(x))
        return x


def _clamp(x: Features, limit: float | None) -> Features:
    return x if limit is None else x.clamp(-limit, limit)


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, demodulation, noise, bias, leaky ReLU. `gain` scales the output and the clamp."""

    noise_const: Tensor

    def __init__(
        self, i: int, o: int, w_dim: int, resolution: int, *, up: bool, gain: float = 1.0, clamp: float | None = None
    ):
        super().__init__()
        self.up = up
        self.gain = gain
        self.clamp = clamp
        self.affine = EqualLinear(w_dim, i, bias_init=1)
        self.weight = nn.Parameter(torch.empty(o, i, 3, 3))
        self.bias = nn.Parameter(torch.empty(o))
        self.noise_strength = nn.Parameter(torch.empty(()))
        self.register_buffer("noise_const", torch.empty(resolution, resolution))

    def draw(self, rng: torch.Generator) -> None:
        nn.init.normal_(self.weight, generator=rng)
        nn.init.zeros_(self.bias)
        nn.init.zeros_(self.noise_strength)
        nn.init.normal_(self.noise_const, generator=rng)

    def forward(self, x: Features, w: W, noise: Noise) -> FeaturesOut:
        x = modulated_conv2d(x, self.weight, self.affine(w), demodulate=True, up=self.up)
        if noise == "const":
            x = x + self.noise_const * self.noise_strength
        x = leaky_relu(x + self.bias[:, None, None]) * self.gain
        return _clamp(x, None if self.clamp is None else self.clamp * self.gain)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to an image, without demodulation; its style carries the equalising gain instead."""

    def __init__(self, i: int, img_channels: int, w_dim: int, *, clamp: float | None = None):
        super().__init__()
        self.clamp = clamp
        self.affine = EqualLinear(w_dim, i, bias_init=1)
        self.weight = nn.Parameter(torch.empty(img_channels, i, 1, 1))
        self.bias = nn.Parameter(torch.empty(img_channels))

    def draw(self, rng: torch.Generator) -> None:
        nn.init.normal_(self.weight, generator=rng)
        nn.init.zeros_(self.bias)

    def style(self, w: W) -> Styles:
        return self.affine(w) / math.sqrt(self.weight.shape[1])

    def forward(self, x: Features, w: W) -> Images:
        x = modulated_conv2d(x, self.weight, self.style(w), demodulate=False)
        return _clamp(x + self.bias[:, None, None], self.clamp)


class SkipConv(nn.Module):
    """Residual branch of the `resnet` architecture: 1x1 convolution without bias, FIR upsampling, gain sqrt(1/2)."""

    def __init__(self, i: int, o: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(o, i, 1, 1))

    def draw(self, rng: torch.Generator) -> None:
        nn.init.normal_(self.weight, generator=rng)

    def forward(self, x: Features) -> FeaturesOut:
        x = nn.functional.conv2d(x, self.weight / math.sqrt(self.weight.shape[1]))
        return upsample2d(x) * math.sqrt(0.5)


class Block(nn.Module):
    """All layers of one resolution. The 4x4 block starts from a learned constant and has no `conv0`."""

    def __init__(self, config: GeneratorConfig, resolution: int):
        super().__init__()
        o, w_dim, clamp = config.channels(resolution), config.w_dim, config.conv_clamp
        residual = config.architecture == "resnet" and resolution > 4
        if resolution == 4:
            self.const = nn.Parameter(torch.empty(o, 4, 4))
        else:
            i = config.channels(resolution // 2)
            self.conv0 = StyledConv(i, o, w_dim, resolution, up=True, clamp=clamp)
            if residual:
                self.skip = SkipConv(i, o)
        gain = math.sqrt(0.5) if residual else 1.0
        self.conv1 = StyledConv(o, o, w_dim, resolution, up=False, gain=gain, clamp=clamp)
        if config.architecture == "skip" or resolution == config.resolution:
            self.torgb = ToRGB(o, config.img_channels, w_dim, clamp=clamp)

    def draw(self, rng: torch.Generator) -> None:
        if hasattr(self, "const"):
            nn.init.normal_(self.const, generator=rng)

    def forward(
        self, x: Features | None, image: Images | None, ws: WPlus, noise: Noise
    ) -> tuple[FeaturesOut, Images | None]:
        """Features and image so far -> features and image at this resolution.

        x: [n i h w], None for the 4x4 block. ws: this block's rows, one per convolution, then one for to-RGB.
        """
        if x is None:
            features = self.conv1(self.const.expand(ws.shape[0], -1, -1, -1), ws[:, 0], noise)
        else:
            features = self.conv1(self.conv0(x, ws[:, 0], noise), ws[:, 1], noise)
            if hasattr(self, "skip"):
                features = features + self.skip(x)
        if hasattr(self, "torgb"):
            rgb = self.torgb(features, ws[:, -1])
            image = rgb if image is None else upsample2d(image) + rgb
        return features, image


class Synthesis(nn.Module):
    """Synthesis network: W+ -> image."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        for resolution in config.block_resolutions:
            self.add_module(f"b{resolution}", Block(config, resolution))

    def forward(self, ws: WPlus, noise: Noise = "const", max_resolution: int | None = None) -> Images:
        """Synthesise images of faces.

        Args:
            ws: W+ codes, [n num_ws w_dim].
            noise: `const` adds the stored noise, equal for all images and frames (no flicker); `none` adds no noise.
            max_resolution: stop at the image of this resolution, as a fast preview. Only the `skip` architecture has
                images before the last block.

        Returns:
            [n img_channels res res], nominally in -1..1, not clamped.

        Raises InputError for codes of another shape, ValueError for another `noise` or `max_resolution`.
        """
        self._check(ws, noise, max_resolution)
        x, image, row = None, None, 0
        for resolution in self.config.block_resolutions:
            convs = 1 if resolution == 4 else 2
            x, image = self.get_submodule(f"b{resolution}")(x, image, ws[:, row : row + convs + 1], noise)
            row += convs
            if resolution == max_resolution:
                break
        assert image is not None
        return image

    def _check(self, ws: WPlus, noise: Noise, max_resolution: int | None) -> None:
        need = (self.config.num_ws, self.config.w_dim)
        if ws.ndim != 3 or tuple(ws.shape[1:]) != need:
            raise InputError(
                f"The face has shape {list(ws.shape)}, but this {self.config.resolution} px generator needs "
                f"[n {need[0]} {need[1]}]. Use a face made for this generator."
            )
        if noise not in get_args(Noise):
            raise ValueError(f"noise is {noise!r}; it must be one of {get_args(Noise)}")
        if max_resolution is None or max_resolution == self.config.resolution:
            return
        if self.config.architecture != "skip" or max_resolution not in self.config.block_resolutions:
            raise ValueError(
                f"max_resolution is {max_resolution!r}; a generator of architecture {self.config.architecture!r} draws "
                f"{self.config.block_resolutions if self.config.architecture == 'skip' else self.config.resolution} px"
            )


class Generator(nn.Module):
    """A StyleGAN2 generator: mapping and synthesis network. `seed` draws the initial weights (NVIDIA's initialisation).

    Usage: ws = generator.truncate(generator.broadcast(generator.mapping(z)), psi=0.7); generator.synthesis(ws)
    """

    def __init__(self, config: GeneratorConfig, seed: int = 0):
        super().__init__()
        self.config = config
        self.mapping = Mapping(config)
        self.synthesis = Synthesis(config)
        initialize(self, seed)

    @property
    def num_ws(self) -> int:
        return self.config.num_ws

    @property
    def w_avg(self) -> MeanW:
        """The average face: mean of W, [w_dim]."""
        return self.mapping.w_avg

    def broadcast(self, w: W) -> WPlus:
        """W to W+, the same w for every layer: [n w_dim] -> [n num_ws w_dim]."""
        return w[:, None].expand(-1, self.num_ws, -1)

    def truncate(self, ws: WPlus, psi: float, cutoff: int | None = None) -> WPlus:
        """Truncation trick with this generator's average face, see `truncate`."""
        return truncate(ws, self.w_avg, psi, cutoff)

    @torch.no_grad()
    def sample(self, seeds: Iterable[int], psi: float = 1.0) -> WPlus:
        """Random faces, one per seed, truncated by `psi`: ws [n num_ws w_dim], equal on every device.

        Raises InputError for a class-conditional generator.
        """
        draws = [torch.randn(1, self.config.z_dim, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        w = self.mapping(torch.cat(draws).to(self.w_avg))
        return self.truncate(self.broadcast(w), psi)

    def forward(
        self, z: Z, c: Labels | None = None, psi: float = 1.0, cutoff: int | None = None, noise: Noise = "const"
    ) -> Images:
        """Random faces: z [n z_dim] -> images [n img_channels res res]."""
        ws = self.truncate(self.broadcast(self.mapping(z, c)), psi, cutoff)
        return self.synthesis(ws, noise=noise)
