"""What lies between two convolutions of a frozen synthesis network, and its gradients: one element-wise pass each way.

Forward, features y = clamp(f(x d + noise + bias)) with demodulation d and leaky ReLU f, then y s with the next style s,
and an image y mixer. Gradients of x, d and s need nothing but y: with u = x d + noise + bias and y = f(u), f'(u) u = y,
so that d times its gradient is the sum over pixels of of_y y - of_u (noise + bias).

The plain passes run anywhere. Those to compile are several times faster, and round to the features' precision once.
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

Pixels = Float[Tensor, "n p c"]  # channels-last features with their rows strung together
Noise = Float[Tensor, "p 1"]
Bias = Float[Tensor, "c"]
Drawn = Float[Tensor, "n rgb p"]
Mixer = Float[Tensor, "n rgb c"]  # each sample's to-RGB weights
Fours = Float[Tensor, "n q 4 c"]  # p = 4 q
Partial = Float[Tensor, "n q c"]

Forward = Callable[[Pixels, Styles, Noise, Bias, float | None, Styles | None], tuple[Pixels, Pixels | None]]
Backward = Callable[
    [Pixels, Styles, Noise, Bias, float | None, Pixels | None, Styles | None, Drawn | None, Mixer | None],
    tuple[Pixels, Styles, Styles | None],
]


def forward_pass(
    x: Pixels, d: Styles, noise: Noise, bias: Bias, limit: float | None, s: Styles | None
) -> tuple[Pixels, Pixels | None]:
    """y, written over x, and y s. `limit` is the clamp's."""
    y = torch.addcmul((noise + bias).to(x.dtype), x, d.to(x.dtype)[:, None], out=x)
    F.leaky_relu_(y, LRELU_SLOPE)
    if limit is not None:
        y.clamp_(-limit, limit)
    return y, None if s is None else y * s.to(x.dtype)[:, None]


def backward_pass(
    y: Pixels,
    d: Styles,
    noise: Noise,
    bias: Bias,
    limit: float | None,
    of_scaled: Pixels | None,
    s: Styles | None,
    of_drawn: Drawn | None,
    mixer: Mixer | None,
) -> tuple[Pixels, Styles, Styles | None]:
    """Gradients of x, d and s (None without `of_scaled`) from those of y s and of the image; not both are None."""
    of_y = None if of_drawn is None or mixer is None else torch.bmm(of_drawn.to(y.dtype).mT, mixer.to(y.dtype))
    of_s = None
    if of_scaled is not None and s is not None:
        of_s = (of_scaled * y).sum(dim=1, dtype=d.dtype)
        style = s.to(y.dtype)[:, None]
        of_y = of_scaled * style if of_y is None else of_y.addcmul_(of_scaled, style)
    assert of_y is not None
    if limit is not None:
        of_y *= y.abs() < limit
    of_d = (of_y * y).sum(dim=1, dtype=d.dtype)
    of_u = torch.ops.aten.leaky_relu_backward(of_y, y, LRELU_SLOPE, True)
    rows = torch.cat([torch.ones_like(noise), noise], dim=1).to(y.dtype).mT.expand(len(y), -1, -1)
    total, noisy = torch.bmm(rows, of_u).to(d.dtype).unbind(1)  # a matrix product sums over pixels fastest
    return of_u.mul_(d.to(y.dtype)[:, None]), (of_d - noisy - bias * total) / d, of_s


def forward_to_compile(
    x: Pixels, d: Styles, noise: Noise, bias: Bias, limit: float | None, s: Styles | None
) -> tuple[Pixels, Pixels | None]:
    """`forward_pass`."""
    y = F.leaky_relu(x * d[:, None] + (noise + bias), LRELU_SLOPE)
    y = y if limit is None else y.clamp(-limit, limit)
    x.copy_(y)
    return x, None if s is None else (y * s[:, None]).to(x.dtype)


def backward_by_fours(
    y: Fours,
    d: Styles,
    noise: Float[Tensor, "q 4 1"],
    bias: Bias,
    limit: float | None,
    of_scaled: Fours | None,
    s: Styles | None,
    of_drawn: Float[Tensor, "n rgb q 4"] | None,
    mixer: Mixer | None,
) -> tuple[Fours, Partial, Partial]:
    """`backward_pass` to compile. For gradients of d (times d) and s it gives what their sums over pixels are of.

    The compiler would read everything again to sum over all pixels, but not for four terms that are written out.
    """
    of_x, of_d, of_s = [], torch.zeros_like(d)[:, None], torch.zeros_like(d)[:, None]
    for k in range(4):
        y_k, of_y = y[:, :, k].to(d.dtype), torch.zeros_like(d)[:, None]
        if of_scaled is not None and s is not None:
            given = of_scaled[:, :, k].to(d.dtype)
            of_y, of_s = given * s[:, None], of_s + given * y_k
        if of_drawn is not None and mixer is not None:
            for channel in range(mixer.shape[1]):
                of_y = of_y + of_drawn[:, channel, :, k, None] * mixer[:, channel, None]
        of_y = of_y if limit is None else torch.where(y_k.abs() < limit, of_y, 0)
        of_u = torch.where(y_k > 0, of_y, of_y * LRELU_SLOPE)
        of_d = of_d + (of_y * y_k - of_u * (noise[:, k] + bias))
        of_x.append((of_u * d[:, None]).to(y.dtype))
    return torch.stack(of_x, dim=2), of_d, of_s


class Passes(NamedTuple):
    forward: Forward = forward_pass
    backward: Backward = backward_pass


def summed(by_fours: Callable[..., tuple[Fours, Partial, Partial]]) -> Backward:
    """`backward_pass` by way of `backward_by_fours`."""

    def backward(
        y: Pixels,
        d: Styles,
        noise: Noise,
        bias: Bias,
        limit: float | None,
        of_scaled: Pixels | None,
        s: Styles | None,
        of_drawn: Drawn | None,
        mixer: Mixer | None,
    ) -> tuple[Pixels, Styles, Styles | None]:
        y, noise = y.unflatten(1, (-1, 4)), noise.unflatten(0, (-1, 4))
        of_scaled = None if of_scaled is None else of_scaled.unflatten(1, (-1, 4))
        of_drawn = None if of_drawn is None else of_drawn.unflatten(2, (-1, 4))
        of_x, of_d, of_s = by_fours(y, d, noise, bias, limit, of_scaled, s, of_drawn, mixer)
        return of_x.flatten(1, 2), of_d.sum(dim=1) / d, None if of_scaled is None else of_s.sum(dim=1)

    return backward


@cache
def compiled_passes(dtype: torch.dtype, exact: torch.dtype, device: torch.device) -> Passes:
    """Both passes compiled, or as they are where no compiler works, as a trial shows.

    The trial is of features of `dtype` and styles of `exact`.
    """
    forward = torch.compile(forward_to_compile, dynamic=True)
    style, noise = torch.ones(2, 8, dtype=exact, device=device), torch.ones(64, 1, dtype=exact, device=device)
    try:
        with torch.no_grad():
            forward(torch.ones(2, 64, 8, dtype=dtype, device=device), style, noise, style[0], None, style)
    except Exception as error:  # torch raises many kinds where a compiler is missing
        warnings.warn(f"Element-wise passes are not compiled, which is slower: {type(error).__name__}.", stacklevel=4)
        return Passes()
    return Passes(forward, summed(torch.compile(backward_by_fours, dynamic=True)))
