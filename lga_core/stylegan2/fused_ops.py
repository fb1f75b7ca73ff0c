"""Fused element-wise passes between two convolutions of a frozen synthesis network, forward and backward.

Forward, features y = clamp(f(x d + noise + bias)) with demodulation d and leaky ReLU f, then y s with the next style s,
and an image y mixer. Gradients of x, d and s need nothing but y: with u = x d + noise + bias and y = f(u), f'(u) u = y,
so that d times its gradient is the sum over pixels of of_y y - of_u (noise + bias).

The plain passes run anywhere. The compiled ones are several times faster and round to the features' precision once.
"""

import warnings
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..shapes import Styles
from .ops import LRELU_SLOPE

Pixels = Float[Tensor, "n p c"]  # channels-last features, height and width flattened
Noise = Float[Tensor, "p 1"]
Bias = Float[Tensor, "c"]
Rgb = Float[Tensor, "n rgb p"]
RgbWeight = Float[Tensor, "n rgb c"]  # each sample's to-RGB weights
PixelQuads = Float[Tensor, "n q 4 c"]  # p = 4 q
Partial = Float[Tensor, "n q c"]

Forward = Callable[[Pixels, Styles, Noise, Bias, float | None, Styles | None], tuple[Pixels, Pixels | None]]
Backward = Callable[
    [Pixels, Styles, Noise, Bias, float | None, Pixels | None, Styles | None, Rgb | None, RgbWeight | None],
    tuple[Pixels, Styles, Styles | None],
]


def forward_pass(
    x: Pixels, d: Styles, noise: Noise, bias: Bias, clamp: float | None, s: Styles | None
) -> tuple[Pixels, Pixels | None]:
    """y, written over x, and y s. `clamp` is the clamp's."""
    y = torch.addcmul((noise + bias).to(x.dtype), x, d.to(x.dtype)[:, None], out=x)
    F.leaky_relu_(y, LRELU_SLOPE)
    if clamp is not None:
        y.clamp_(-clamp, clamp)
    return y, None if s is None else y * s.to(x.dtype)[:, None]


def backward_pass(
    y: Pixels,
    d: Styles,
    noise: Noise,
    bias: Bias,
    clamp: float | None,
    grad_scaled: Pixels | None,
    s: Styles | None,
    grad_rgb: Rgb | None,
    rgb_weight: RgbWeight | None,
) -> tuple[Pixels, Styles, Styles | None]:
    """Gradients of x, d and s (None without `grad_scaled`) from those of y s and of the image; not both are None."""
    grad_y = (
        None if grad_rgb is None or rgb_weight is None else torch.bmm(grad_rgb.to(y.dtype).mT, rgb_weight.to(y.dtype))
    )
    grad_s = None
    if grad_scaled is not None and s is not None:
        grad_s = (grad_scaled * y).sum(dim=1, dtype=d.dtype)
        style = s.to(y.dtype)[:, None]
        grad_y = grad_scaled * style if grad_y is None else grad_y.addcmul_(grad_scaled, style)
    assert grad_y is not None
    if clamp is not None:
        grad_y *= y.abs() < clamp
    grad_d = (grad_y * y).sum(dim=1, dtype=d.dtype)
    grad_u = torch.ops.aten.leaky_relu_backward(grad_y, y, LRELU_SLOPE, True)
    rows = torch.cat([torch.ones_like(noise), noise], dim=1).to(y.dtype).mT.expand(len(y), -1, -1)
    total, noisy = torch.bmm(rows, grad_u).to(d.dtype).unbind(1)  # a matrix product sums over pixels fastest
    return grad_u.mul_(d.to(y.dtype)[:, None]), (grad_d - noisy - bias * total) / d, grad_s


def forward_to_compile(
    x: Pixels, d: Styles, noise: Noise, bias: Bias, clamp: float | None, s: Styles | None
) -> tuple[Pixels, Pixels | None]:
    """`forward_pass`."""
    y = F.leaky_relu(x * d[:, None] + (noise + bias), LRELU_SLOPE)
    y = y if clamp is None else y.clamp(-clamp, clamp)
    x.copy_(y)
    return x, None if s is None else (y * s[:, None]).to(x.dtype)


def backward_in_quads(
    y: PixelQuads,
    d: Styles,
    noise: Float[Tensor, "q 4 1"],
    bias: Bias,
    clamp: float | None,
    grad_scaled: PixelQuads | None,
    s: Styles | None,
    grad_rgb: Float[Tensor, "n rgb q 4"] | None,
    rgb_weight: RgbWeight | None,
) -> tuple[PixelQuads, Partial, Partial]:
    """`backward_pass` to compile. For the gradients of d (times d) and s it returns partial sums over four pixels.

    A compiled sum over all pixels would read everything again; four terms written out do not.
    """
    grad_x, grad_d, grad_s = [], torch.zeros_like(d)[:, None], torch.zeros_like(d)[:, None]
    for k in range(4):
        y_k, grad_y = y[:, :, k].to(d.dtype), torch.zeros_like(d)[:, None]
        if grad_scaled is not None and s is not None:
            given = grad_scaled[:, :, k].to(d.dtype)
            grad_y, grad_s = given * s[:, None], grad_s + given * y_k
        if grad_rgb is not None and rgb_weight is not None:
            for channel in range(rgb_weight.shape[1]):
                grad_y = grad_y + grad_rgb[:, channel, :, k, None] * rgb_weight[:, channel, None]
        grad_y = grad_y if clamp is None else torch.where(y_k.abs() < clamp, grad_y, 0)
        grad_u = torch.where(y_k > 0, grad_y, grad_y * LRELU_SLOPE)
        grad_d = grad_d + (grad_y * y_k - grad_u * (noise[:, k] + bias))
        grad_x.append((grad_u * d[:, None]).to(y.dtype))
    return torch.stack(grad_x, dim=2), grad_d, grad_s


class Passes(NamedTuple):
    forward: Forward = forward_pass
    backward: Backward = backward_pass


def sum_quads(in_quads: Callable[..., tuple[PixelQuads, Partial, Partial]]) -> Backward:
    """`backward_pass` from `backward_in_quads`."""

    def backward(
        y: Pixels,
        d: Styles,
        noise: Noise,
        bias: Bias,
        clamp: float | None,
        grad_scaled: Pixels | None,
        s: Styles | None,
        grad_rgb: Rgb | None,
        rgb_weight: RgbWeight | None,
    ) -> tuple[Pixels, Styles, Styles | None]:
        y, noise = y.unflatten(1, (-1, 4)), noise.unflatten(0, (-1, 4))
        grad_scaled = None if grad_scaled is None else grad_scaled.unflatten(1, (-1, 4))
        grad_rgb = None if grad_rgb is None else grad_rgb.unflatten(2, (-1, 4))
        grad_x, grad_d, grad_s = in_quads(y, d, noise, bias, clamp, grad_scaled, s, grad_rgb, rgb_weight)
        return grad_x.flatten(1, 2), grad_d.sum(dim=1) / d, None if grad_scaled is None else grad_s.sum(dim=1)

    return backward


@cache
def compiled_passes(dtype: torch.dtype, style_dtype: torch.dtype, device: torch.device) -> Passes:
    """Both passes compiled, or uncompiled with a warning if a trial compilation fails.

    The trial has features of `dtype` and styles of `style_dtype`.
    """
    forward = torch.compile(forward_to_compile, dynamic=True)
    style, noise = (
        torch.ones(2, 8, dtype=style_dtype, device=device),
        torch.ones(64, 1, dtype=style_dtype, device=device),
    )
    try:
        with torch.no_grad():
            forward(torch.ones(2, 64, 8, dtype=dtype, device=device), style, noise, style[0], None, style)
    except Exception as error:  # torch raises many kinds where a compiler is missing
        warnings.warn(f"Element-wise passes are not compiled, which is slower: {type(error).__name__}.", stacklevel=4)
        return Passes()
    return Passes(forward, sum_quads(torch.compile(backward_in_quads, dynamic=True)))
