"""Layers with folded gains, shared by inference and frozen synthesis: whatever does not depend on ws is computed once.

A leaky ReLU f commutes with a positive gain, g f(x) = f(g x), so that the output's gain is folded into what comes
before it: g f(x d + b) = f(x g d + g b) with demodulation d and bias b (and noise).
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...shapes import Features, FeaturesOut, Images, Styles, W
from ..ops import LRELU_GAIN, LRELU_SLOPE, fir_kernel


def style_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype of styles, demodulation and images where features have `dtype`: float32 at least."""
    return torch.promote_types(dtype, torch.float32)


class Affine:
    """The affine layer that maps a row of W+ to a style, gains folded in."""

    def __init__(self, layer: Any, dtype: torch.dtype, device: torch.device, gain: float = 1.0):
        gain *= layer.lr_mul
        self.weight = (layer.weight.detach() * (gain / math.sqrt(layer.weight.shape[1]))).to(device, style_dtype(dtype))
        self.bias = (layer.bias.detach() * gain).to(device, style_dtype(dtype))

    def __call__(self, w: W) -> Styles:
        return F.linear(w.to(self.weight.dtype), self.weight, self.bias)


class FoldedStyledConv:
    """`generator.StyledConv` without its convolution: style, demodulation, noise, bias, leaky ReLU, clamp.

    `weight` [o i 3 3] is equalised, so that features stay near one. `shift_dtype` of noise and bias: by default the
    features' `dtype`.
    """

    def __init__(self, layer: Any, dtype: torch.dtype, device: torch.device, shift_dtype: torch.dtype | None = None):
        shift_dtype = shift_dtype or dtype
        fan_in = layer.weight[0].numel()
        self.dtype, self.up, self.clamp = dtype, layer.up, None if layer.clamp is None else layer.clamp * layer.gain
        self.affine = Affine(layer.affine, dtype, device)
        self.weight = (layer.weight.detach() / math.sqrt(fan_in)).to(device, style_dtype(dtype))
        self.energy = self.weight.square().sum(dim=(2, 3)).T.contiguous()  # [i o]
        self.gain, self.eps = LRELU_GAIN * layer.gain, 1e-8 / fan_in
        self.noise = (layer.noise_const * layer.noise_strength.detach() * self.gain).to(device, shift_dtype)[None, None]
        self.bias = (layer.bias.detach() * self.gain).to(device, shift_dtype)

    def demodulation(self, style: Styles) -> Styles:
        """Demodulation (Eq. 3 of Karras et al. 2020) times the output's gain: styles [n i] -> [n o]."""
        return (style.square() @ self.energy + self.eps).rsqrt() * self.gain

    def activated(self, x: Features, out: Features | None = None) -> Features:
        """Leaky ReLU and clamp, into `out`, or in place."""
        x = torch.ops.aten.leaky_relu.out(x, LRELU_SLOPE, out=x if out is None else out)
        return x if self.clamp is None else x.clamp_(-self.clamp, self.clamp)


class ToRGB:
    """1x1 modulated convolution to an image. Its few weights are modulated per sample."""

    def __init__(self, layer: Any, dtype: torch.dtype, device: torch.device):
        self.affine = Affine(layer.affine, dtype, device, gain=1 / math.sqrt(layer.weight.shape[1]))
        self.weight = layer.weight.detach()[:, :, 0, 0].to(device, style_dtype(dtype), copy=True)
        self.bias = layer.bias.detach().to(device, style_dtype(dtype), copy=True)[:, None, None]
        self.clamp = layer.clamp

    def rgb_weight(self, w: W) -> Tensor:
        """Modulated weights [n img_channels i], from the row of W+ [n w_dim]."""
        return self.weight * self.affine(w)[:, None]

    def __call__(self, x: Features, rgb_weight: Tensor) -> Images:
        rgb_weight = rgb_weight.to(x.dtype)
        if len(x) == 1 and x.dtype == torch.bfloat16:  # Here a convolution takes half the time.
            drawn = F.conv2d(x, rgb_weight[0, :, :, None, None])
        else:
            drawn = torch.bmm(rgb_weight, x.permute(0, 2, 3, 1).flatten(1, 2).mT).unflatten(2, x.shape[2:])
        drawn = drawn.to(self.bias.dtype, memory_format=torch.contiguous_format) + self.bias
        return drawn if self.clamp is None else drawn.clamp_(-self.clamp, self.clamp)


class Residual:
    """The residual branch (`generator.SkipConv`) of the `resnet` architecture, gains folded in."""

    def __init__(self, layer: Any, dtype: torch.dtype, device: torch.device):
        weight = layer.weight.detach() * math.sqrt(0.5 / layer.weight.shape[1])
        self.weight = weight.to(device, dtype).contiguous(memory_format=torch.channels_last)

    def __call__(self, x: Features) -> FeaturesOut:
        return upsample2d_bilinear(F.conv2d(x, self.weight))


def upsample2d_bilinear(x: Features) -> FeaturesOut:
    """`ops.upsample2d` as bilinear interpolation, which has the same taps 1/4 and 3/4; zeros surround the image."""
    return F.interpolate(F.pad(x, (1, 1, 1, 1)), scale_factor=2, mode="bilinear")[..., 2:-2, 2:-2]


class Blur:
    """The FIR filter of gain 4 on all channels, [n c h w] -> [n c h-3+2p_h w-3+2p_w]."""

    def __init__(self, channels: int, dtype: torch.dtype, device: torch.device):
        kernel = fir_kernel(torch.empty((), dtype=dtype, device=device)) * 4
        self.kernel = kernel.expand(channels, 1, 4, 4).contiguous(memory_format=torch.channels_last)

    def __call__(self, x: Features, padding: tuple[int, int], bias: Tensor | None = None) -> FeaturesOut:
        return F.conv2d(x, self.kernel, bias, padding=padding, groups=len(self.kernel))
