"""A block that processes all frames at once: modulation scales activations, so that all frames share the weights.

It pays at low resolutions (64 px and below) on a CPU, and at every resolution on a GPU.
"""

from typing import Any

import torch
import torch.nn.functional as F

from ...shapes import Features, FeaturesOut, Images, Styles, W, WPlus
from ..fused_ops import compiled_passes
from ..upsampling_conv import PolyphaseUpConv2d
from .folded_layers import Blur, FoldedStyledConv, Residual, ToRGB, style_dtype, upsample2d_bilinear


class BatchedBlock:
    """`generator.Block` with folded gains."""

    def __init__(self, block: Any, dtype: torch.dtype, device: torch.device, compiled: bool = False):
        layers = [block.conv0, block.conv1] if hasattr(block, "conv0") else [block.conv1]
        self.convs = [BatchedConv(layer, dtype, device, compiled) for layer in layers]
        self.const = block.const.detach().to(device, dtype)[None] if hasattr(block, "const") else None
        self.skip = Residual(block.skip, dtype, device) if hasattr(block, "skip") else None
        self.rgb = ToRGB(block.torgb, dtype, device) if hasattr(block, "torgb") else None

    def __call__(self, x: Any, image: Images | None, ws: WPlus) -> tuple[FeaturesOut, Images | None]:
        """Features and image so far, of one frame or all, and this block's rows of W+ -> features and image."""
        features: Any = self.const if x is None else x
        for row, conv in enumerate(self.convs):
            features = conv(features, ws[:, row])
        if self.skip is not None and x is not None:
            features = features.add_(self.skip(x))
        if self.rgb is not None:
            drawn = self.rgb(features, self.rgb.rgb_weight(ws[:, -1]))
            image = drawn if image is None else drawn.add_(upsample2d_bilinear(image))
        return features, image


class BatchedConv(FoldedStyledConv):
    """`generator.StyledConv` for all frames at once."""

    def __init__(self, layer: Any, dtype: torch.dtype, device: torch.device, compiled: bool):
        super().__init__(layer, dtype, device)
        self.weight = self.weight.to(dtype).contiguous(memory_format=torch.channels_last)
        self.up_conv = PolyphaseUpConv2d(self.weight.transpose(0, 1)) if self.up else None
        self.blur = Blur(len(self.bias), dtype, device) if self.up else None
        self.passes = compiled_passes(dtype, style_dtype(dtype), device) if compiled else None
        shift = self.noise + self.bias[:, None, None]
        # Precomputed on a CPU, where these blocks are small; a GPU adds fast and has better uses for the memory.
        self.shift = shift.contiguous(memory_format=torch.channels_last) if device.type == "cpu" else None

    def __call__(self, x: Features, w: W) -> FeaturesOut:
        style = self.affine(w)
        demodulation = self.demodulation(style)
        if self.dtype == torch.float16:  # It overflows early: scale the style down, the demodulation up.
            peak = style.abs().amax(dim=1, keepdim=True).clamp_min(1e-8)
            style, demodulation = style / peak, demodulation * peak
        return self.demodulated(self.convolve(x * broadcast_style(style, x)), demodulation)

    def convolve(self, x: Features) -> FeaturesOut:
        x = x.contiguous(memory_format=torch.channels_last)
        if self.up_conv is None or self.blur is None:
            return F.conv2d(x, self.weight, padding=1)
        return self.blur(self.up_conv(x), padding=(1, 1))

    def demodulated(self, x: Features, demodulation: Styles) -> Features:
        if self.passes is not None:
            rows, noise, bias = (
                x.permute(0, 2, 3, 1),
                self.noise.view(-1, 1).to(demodulation),
                self.bias.to(demodulation),
            )
            y, _ = self.passes.forward(rows.flatten(1, 2).contiguous(), demodulation, noise, bias, self.clamp, None)
            return y.unflatten(1, rows.shape[1:3]).permute(0, 3, 1, 2)
        shift = self.noise + self.bias[:, None, None] if self.shift is None else self.shift
        return self.activated(torch.addcmul(shift, x, broadcast_style(demodulation, x), out=x))


def broadcast_style(values: Styles, x: Features) -> Features:
    """[n i] -> [n i 1 1] with the dtype of `x`."""
    return values.to(x.dtype)[:, :, None, None]
