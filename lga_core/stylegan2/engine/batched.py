"""A block that draws all frames at once: activations are scaled by the styles, and one weight serves every frame.

It pays where features are small (64 px and below on a processor), and on a card at every resolution.
"""

from typing import Any

import torch
import torch.nn.functional as F

from ...shapes import Features, FeaturesOut, Images, Styles, W, WPlus
from .prepared import Blur, Residual, Styling, ToRGB, doubled


class BatchedBlock:
    """`generator.Block`, prepared."""

    def __init__(self, block: Any, dtype: torch.dtype, device: torch.device):
        layers = [block.conv0, block.conv1] if hasattr(block, "conv0") else [block.conv1]
        self.convs = [BatchedConv(layer, dtype, device) for layer in layers]
        self.const = block.const.detach().to(device, dtype)[None] if hasattr(block, "const") else None
        self.skip = Residual(block.skip, dtype, device) if hasattr(block, "skip") else None
        self.rgb = ToRGB(block.torgb, dtype, device) if hasattr(block, "torgb") else None

    def __call__(self, x: Any, image: Images | None, ws: WPlus) -> tuple[FeaturesOut, Images | None]:
        """Features and image so far, of one frame or of all, and the block's rows of W+ -> those at its resolution."""
        features: Any = self.const if x is None else x
        for row, conv in enumerate(self.convs):
            features = conv(features, ws[:, row])
        if self.skip is not None:
            features = features.add_(self.skip(x))
        if self.rgb is not None:
            drawn = self.rgb(features, self.rgb.mixer(ws[:, -1]))
            image = drawn if image is None else drawn.add_(doubled(image))
        return features, image


class BatchedConv(Styling):
    """`generator.StyledConv` for all frames at once."""

    def __init__(self, layer: Any, dtype: torch.dtype, device: torch.device):
        super().__init__(layer, dtype, device)
        weight = self.weight.transpose(0, 1) if self.up else self.weight
        self.weight = weight.to(dtype).contiguous(memory_format=torch.channels_last)
        self.blur = Blur(len(self.bias), dtype, device) if self.up else None
        self.shift = (self.noise + self.bias[:, None, None]).contiguous(memory_format=torch.channels_last)

    def __call__(self, x: Features, w: W) -> FeaturesOut:
        style = self.affine(w)
        demodulation = self.demodulation(style)
        if self.dtype == torch.float16:  # Its range is small. What the style loses here, demodulation gives back.
            peak = style.abs().amax(dim=1, keepdim=True).clamp_min(1e-8)
            style, demodulation = style / peak, demodulation * peak
        return self.finished(self.convolved(x * spread(style, x)), demodulation)

    def convolved(self, x: Features) -> FeaturesOut:
        x = x.contiguous(memory_format=torch.channels_last)
        if self.blur is None:
            return F.conv2d(x, self.weight, padding=1)
        return self.blur(F.conv_transpose2d(x, self.weight, stride=2), padding=(1, 1))

    def finished(self, x: Features, demodulation: Styles) -> Features:
        return self.activated(torch.addcmul(self.shift, x, spread(demodulation, x)))


def spread(values: Styles, x: Features) -> Features:
    """[n i] -> [n i 1 1] of the type of `x`."""
    return values.to(x.dtype)[:, :, None, None]
