"""Layers of a frozen generator, prepared once: what does not depend on the face is computed here, and only here.

Gains are folded where they cost nothing. A leaky ReLU passes positive factors through, g f(x) = f(g x), so that the
output's gain goes into demodulation, noise and bias, which come before it.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...shapes import Features, FeaturesOut, Images, Styles, W
from ..ops import LRELU_GAIN, LRELU_SLOPE, fir_kernel


def exact(dtype: torch.dtype) -> torch.dtype:
    """The type of styles, demodulation and pictures where features are of `dtype`."""
    return torch.promote_types(dtype, torch.float32)


class Affine:
    """The linear layer behind a style, its gains folded in."""

    def __init__(self, layer: Any, dtype: torch.dtype, device: torch.device, gain: float = 1.0):
        gain *= layer.lr_mul
        self.weight = (layer.weight.detach() * (gain / math.sqrt(layer.weight.shape[1]))).to(device, exact(dtype))
        self.bias = (layer.bias.detach() * gain).to(device, exact(dtype))

    def __call__(self, w: W) -> Styles:
        return F.linear(w, self.weight, self.bias)


class Styling:
    """All of a styled convolution but the convolution: styles, demodulation, noise, bias, leaky ReLU, clamp.

    `weight` [o i 3 3] is equalised, so that features stay near one.
    """

    def __init__(self, layer: Any, dtype: torch.dtype, device: torch.device):
        fan_in = layer.weight[0].numel()
        self.dtype, self.up, self.limit = dtype, layer.up, None if layer.clamp is None else layer.clamp * layer.gain
        self.affine = Affine(layer.affine, dtype, device)
        self.weight = (layer.weight.detach() / math.sqrt(fan_in)).to(device, exact(dtype))
        self.energy = self.weight.square().sum(dim=(2, 3)).T.contiguous()  # [i o]
        self.gain, self.eps = LRELU_GAIN * layer.gain, 1e-8 / fan_in
        self.noise = (layer.noise_const * layer.noise_strength.detach() * self.gain).to(device, dtype)[None, None]
        self.bias = (layer.bias.detach() * self.gain).to(device, dtype)

    def demodulation(self, style: Styles) -> Styles:
        """[n i] -> [n o], the output's gain included."""
        return (style.square() @ self.energy + self.eps).rsqrt() * self.gain

    def activated(self, x: Features, out: Features | None = None) -> Features:
        """Leaky ReLU and clamp, into `out`, or in place."""
        x = torch.ops.aten.leaky_relu.out(x, LRELU_SLOPE, out=x if out is None else out)
        return x if self.limit is None else x.clamp_(-self.limit, self.limit)


class ToRGB:
    """1x1 modulated convolution to an image; its weights are so few that each sample has its own."""

    def __init__(self, layer: Any, dtype: torch.dtype, device: torch.device):
        self.affine = Affine(layer.affine, dtype, device, gain=1 / math.sqrt(layer.weight.shape[1]))
        self.weight = layer.weight.detach()[:, :, 0, 0].to(device, exact(dtype), copy=True)
        self.bias = layer.bias.detach().to(device, exact(dtype), copy=True)[:, None, None]
        self.limit = layer.clamp

    def mixer(self, w: W) -> Tensor:
        """The weights [n img_channels i] of each sample."""
        return self.weight * self.affine(w)[:, None]

    def __call__(self, x: Features, mixer: Tensor) -> Images:
        mixer = mixer.to(x.dtype)
        if len(x) == 1 and x.dtype == torch.bfloat16:  # Here a convolution takes half the time.
            drawn = F.conv2d(x, mixer[0, :, :, None, None])
        else:
            drawn = torch.bmm(mixer, x.permute(0, 2, 3, 1).flatten(1, 2).mT).unflatten(2, x.shape[2:])
        drawn = drawn.to(self.bias.dtype, memory_format=torch.contiguous_format) + self.bias
        return drawn if self.limit is None else drawn.clamp_(-self.limit, self.limit)


class Residual:
    """The residual branch of the `resnet` architecture, gains folded in."""

    def __init__(self, layer: Any, dtype: torch.dtype, device: torch.device):
        weight = layer.weight.detach() * math.sqrt(0.5 / layer.weight.shape[1])
        self.weight = weight.to(device, dtype).contiguous(memory_format=torch.channels_last)

    def __call__(self, x: Features) -> FeaturesOut:
        return doubled(F.conv2d(x, self.weight))


def doubled(x: Features) -> FeaturesOut:
    """`ops.upsample2d`: taps of 1/4 and 3/4 are those of bilinear interpolation, and zeros surround the picture."""
    return F.interpolate(F.pad(x, (1, 1, 1, 1)), scale_factor=2, mode="bilinear")[..., 2:-2, 2:-2]


class Blur:
    """The FIR filter of gain 4 on all channels, [n c h w] -> [n c h-3+2p_h w-3+2p_w]."""

    def __init__(self, channels: int, dtype: torch.dtype, device: torch.device):
        kernel = fir_kernel(torch.empty((), dtype=dtype, device=device)) * 4
        self.kernel = kernel.expand(channels, 1, 4, 4).contiguous(memory_format=torch.channels_last)

    def __call__(self, x: Features, padding: tuple[int, int], bias: Tensor | None = None) -> FeaturesOut:
        return F.conv2d(x, self.kernel, bias, padding=padding, groups=len(self.kernel))
