"""The synthesis network arranged for training its own weights on a CPU: the same function, nearly twice as fast.

`lga_core.stylegan2.FrozenSynthesis` cannot stand in: it has no gradients of weights, which is where its speed comes
from (at 128 px, one core: 41 ms an image here with gradients of all weights, 75 ms by `Generator.synthesis`; forward
alone 11 ms here, 10 ms there).

Features stay channels-last in bf16. The FIR filter after an up-sampling convolution is symmetric, so its gradient is
the same filter, which as a convolution forward is many times faster than the library's backward. Demodulation, noise,
bias, activation and the next layer's style are one element-wise function, compiled where a C++ compiler is at hand.

`tests/trainer/demo/test_stages.py` holds it to `Generator.synthesis`.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lga_core import Generator

SQRT2 = math.sqrt(2)


class Blur(torch.autograd.Function):
    """The FIR filter of gain 4 on [n c h w] -> [n c h-1 w-1]; its adjoint is itself with two pixels of padding."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return fir(x, padding=1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return fir(gradient.contiguous(memory_format=torch.channels_last), padding=2)


def fir(x: Float[Tensor, "n c h w"], padding: int) -> Float[Tensor, "n c h2 w2"]:
    taps = torch.tensor((0.25, 0.75, 0.75, 0.25), dtype=x.dtype, device=x.device)
    kernel = taps.outer(taps).expand(x.shape[1], 1, 4, 4).contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, kernel, padding=padding, groups=x.shape[1])


def activate(x: Tensor, demodulation: Tensor, shift: Tensor) -> Tensor:
    return F.leaky_relu(x * demodulation + shift, 0.2)


def activate_and_style(x: Tensor, demodulation: Tensor, shift: Tensor, style: Tensor) -> Tensor:
    return F.leaky_relu(x * demodulation + shift, 0.2) * style


def activate_both(x: Tensor, demodulation: Tensor, shift: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
    y = F.leaky_relu(x * demodulation + shift, 0.2)
    return y, y * style


class Epilogues(NamedTuple):
    """What follows a convolution: before to-RGB of the last block, before a convolution, before both."""

    last: Callable[..., Tensor] = activate
    inner: Callable[..., Tensor] = activate_and_style
    both: Callable[..., tuple[Tensor, Tensor]] = activate_both


def compiled_epilogues() -> Epilogues:
    """The epilogues compiled, or as they are where no compiler works."""
    try:
        fast = Epilogues(*[torch.compile(function, dynamic=True) for function in Epilogues()])  # pyright: ignore
        fast.last(torch.ones(1, 2, 4, 4), torch.ones(1, 2, 1, 1), torch.ones(1, 2, 4, 4))
        return fast
    except Exception as error:  # torch raises many kinds when a compiler is missing
        print(f"training runs without compiled epilogues, about a third slower: {type(error).__name__}")
        return Epilogues()


def synthesis_images(
    generator: Generator,
    ws: Float[Tensor, "n l d"],
    resolution: int | None = None,
    dtype: torch.dtype = torch.bfloat16,
    epilogues: Epilogues = Epilogues(),  # noqa: B008 (immutable)
) -> Iterator[Float[Tensor, "n 3 h w"]]:
    """The image at 4, 8, ... `resolution` px, one after the other, differentiable in ws and in every weight.

    For `skip` generators without clamp. Equal to `generator.synthesis(ws, max_resolution=...)` but for rounding.
    """
    sizes = [size for size in generator.config.block_resolutions if size <= (resolution or generator.config.resolution)]
    blocks: list[Any] = [generator.synthesis.get_submodule(f"b{size}") for size in sizes]
    layers: list[Any] = [
        block.get_submodule(name)
        for block, size in zip(blocks, sizes, strict=True)
        for name in ("conv0", "conv1")[size == 4 :]
    ]
    styles = [layer.affine(ws[:, row]) for row, layer in enumerate(layers)]  # [n i] each
    x = blocks[0].const * styles[0][:, :, None, None]
    x = x.to(dtype).contiguous(memory_format=torch.channels_last)
    image = None
    for row, layer in enumerate(layers):
        x = convolved(x, layer, dtype)
        demodulation = torch.rsqrt(styles[row].square() @ layer.weight.square().sum(dim=(2, 3)).T + 1e-8) * SQRT2
        shift = (layer.noise_const * layer.noise_strength + layer.bias[:, None, None]) * SQRT2
        shift = shift.to(dtype)[None].contiguous(memory_format=torch.channels_last)
        inputs = (x, demodulation.to(dtype)[:, :, None, None], shift)
        style = None if row + 1 == len(layers) else styles[row + 1].to(dtype)[:, :, None, None]
        if row % 2:  # conv0: no image here
            x = epilogues.inner(*inputs, style)
            continue
        features, x = (epilogues.last(*inputs), x) if style is None else epilogues.both(*inputs, style)
        drawn = to_rgb(features, blocks[row // 2].torgb, ws[:, row + 1])
        image = drawn if image is None else upsampled(image) + drawn
        yield image


def convolved(x: Float[Tensor, "n i h w"], layer: Any, dtype: torch.dtype) -> Float[Tensor, "n o h2 w2"]:
    if layer.up:
        weight = layer.weight.transpose(0, 1).to(dtype).contiguous(memory_format=torch.channels_last)
        return Blur.apply(F.conv_transpose2d(x, weight, stride=2))
    return F.conv2d(x, layer.weight.to(dtype).contiguous(memory_format=torch.channels_last), padding=1)


def to_rgb(x: Float[Tensor, "n i h w"], layer: Any, w: Float[Tensor, "n d"]) -> Float[Tensor, "n 3 h w"]:
    n, i, height, width = x.shape
    kernel = layer.weight[:, :, 0, 0] * layer.style(w)[:, None]  # [n 3 i]
    pixels = x.permute(0, 2, 3, 1).reshape(n, height * width, i)
    drawn = torch.bmm(kernel.to(x.dtype), pixels.transpose(1, 2)).float()
    return drawn.view(n, 3, height, width) + layer.bias[:, None, None]


def upsampled(image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 2*h 2*w"]:
    """Twice the size by the FIR filter: along each axis (x[m-1] + 3 x[m]) / 4, then (3 x[m] + x[m+1]) / 4."""
    n, c, h, w = image.shape
    taps = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]], device=image.device)
    kernel = torch.einsum("px,qy->pqxy", taps, taps).reshape(4, 1, 3, 3)
    phases = F.conv2d(image.reshape(n * c, 1, h, w), kernel, padding=1)
    return F.pixel_shuffle(phases, 2).reshape(n, c, 2 * h, 2 * w)


def final_image(generator: Generator, ws: Float[Tensor, "n l d"], resolution: int | None = None, **options) -> Tensor:
    """The last of `synthesis_images`."""
    *_, image = synthesis_images(generator, ws, resolution, **options)
    return image
