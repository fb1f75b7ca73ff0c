"""A block that processes one frame in strips, so that intermediate features stay in the CPU's cache.

Styles and demodulation are folded into the weights, which are few at high resolutions. Strips overlap by the reach of
their convolutions (halos), so that the result does not depend on their height.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...shapes import Features, FeaturesOut, Images, Kernel, W, WPlus
from .folded_layers import Blur, FoldedStyledConv, Residual, ToRGB, upsample2d_bilinear


class TiledBlock:
    """`generator.Block` above 4 px with folded gains.

    `rows`: height of a strip, even. `first`: the block before it is not a `TiledBlock`. `last`: its features are not
    needed. Between tiled blocks, features have a row of zeros above and one below, for the next convolution.
    """

    def __init__(self, block: Any, dtype: torch.dtype, device: torch.device, rows: int, first: bool, last: bool):
        self.up, self.flat = PerFrameConv(block.conv0, dtype, device), PerFrameConv(block.conv1, dtype, device)
        self.blur = Blur(len(self.up.bias), dtype, device)
        self.skip = Residual(block.skip, dtype, device) if hasattr(block, "skip") else None
        self.rgb = ToRGB(block.torgb, dtype, device) if hasattr(block, "torgb") else None
        self.shape = (len(self.flat.bias), *self.flat.noise.shape[2:])
        self.rows, self.first, self.last = min(rows, self.shape[1]), first, last

    def __call__(self, x: Features, image: Images | None, ws: WPlus) -> tuple[FeaturesOut | None, Images | None]:
        """Features and image of one frame, and this block's rows of W+ -> features and image.

        The last block returns no features, unless they hold the residual sum.
        """
        rgb_weight = None if self.rgb is None else self.rgb.rgb_weight(ws[:, -1])
        x = F.pad(x, (0, 0, 1, 1)) if self.first else x
        kept = None if self.last and self.skip is None else self.empty_features(x)
        features = None if kept is None else kept[:, :, 1:-1]
        if self.skip is not None and features is not None:
            features.copy_(self.skip(x[:, :, 1:-1]))
        if rgb_weight is not None:
            blank = (1, rgb_weight.shape[1], *self.shape[1:])
            image = rgb_weight.new_zeros(blank) if image is None else upsample2d_bilinear(image).contiguous()
        for top, strip in self.strips(x, ws):
            here = slice(top, top + strip.shape[2])
            if self.skip is not None and features is not None:
                strip = strip.add_(features[:, :, here])
            if not self.last and features is not None:
                features[:, :, here] = strip
            if self.rgb is not None and rgb_weight is not None and image is not None:
                image[:, :, here] += self.rgb(strip, rgb_weight)
        return kept, image

    def empty_features(self, x: Features) -> FeaturesOut:
        """Memory for the features of one frame, with the rows of zeros."""
        channels, height, width = self.shape
        kept = empty_like(x, (channels, height + 2, width))
        kept[:, :, 0] = kept[:, :, -1] = 0
        return kept

    def strips(self, x: Features, ws: WPlus) -> Iterator[tuple[int, Features]]:
        """The features strip by strip, each with its first row; `x` includes its rows of zeros.

        The second convolution needs one row more below than the first one has computed: it ends one row earlier, and
        the last two rows of the first one are kept for the next strip.
        """
        first, second, rows, size = (
            self.up.folded_weight(ws[:, 0]),
            self.flat.folded_weight(ws[:, 1]),
            self.rows,
            self.shape[1],
        )
        inner = empty_like(x, (self.shape[0], rows + 3, size))
        inner[:, :, 1] = 0
        for top in range(0, size, rows):
            bottom = top + rows
            self.upsampled_strip(x[:, :, top // 2 : bottom // 2 + 2], first, top, inner[:, :, 2 : rows + 2])
            if bottom == size:
                inner[:, :, rows + 2] = 0
            # The first strip has no row above the zeros, the last one has a row of zeros below.
            seen = inner[:, :, int(top == 0) : rows + 2 + int(bottom == size)]
            begin = max(0, top - 1)
            strip = self.flat.add_noise(F.conv2d(seen, second, self.flat.bias, padding=(0, 1)), begin)
            yield begin, self.flat.activated(strip)
            inner[:, :, :2] = inner[:, :, rows : rows + 2].clone()

    def upsampled_strip(self, x: Features, weight: Kernel, top: int, out: Features) -> None:
        """Up-sampling convolution of `x`, half a strip with one row above and below, into `out`."""
        # The outermost rows are incomplete; padding drops them, and the blur does not need them.
        x = self.blur(F.conv_transpose2d(x, weight, stride=2, padding=(1, 0)), (0, 1), self.up.bias)
        self.up.activated(self.up.add_noise(x, top), out)


class PerFrameConv(FoldedStyledConv):
    """`generator.StyledConv` of one frame, with style and demodulation folded into the weight."""

    def __init__(self, layer: Any, dtype: torch.dtype, device: torch.device):
        super().__init__(layer, dtype, device)
        weight = self.weight.transpose(0, 1) if self.up else self.weight
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.ones = torch.ones(1, len(self.bias), dtype=dtype, device=device)

    def add_noise(self, x: Features, top: int) -> Features:
        """Add noise in place to `x`, the rows of one frame from `top` on."""
        x, noise = x.contiguous(memory_format=torch.channels_last), self.noise[:, :, top : top + x.shape[2]]
        if self.dtype != torch.bfloat16:
            return x.add_(noise)
        # As an outer product: in bfloat16 it takes half the time of a broadcast sum.
        x.permute(0, 2, 3, 1).view(-1, x.shape[1]).addmm_(noise.reshape(-1, 1), self.ones)
        return x

    def folded_weight(self, w: W) -> Tensor:
        """The modulated, demodulated weight: [1 w_dim] -> [o i 3 3], or [i o 3 3] for an up-sampling layer."""
        style = self.affine(w)
        demodulation = self.demodulation(style)
        by_input, by_output = (style.T, demodulation) if self.up else (style, demodulation.T)
        return (self.weight * by_input[..., None, None] * by_output[..., None, None]).to(self.dtype)


def empty_like(x: Features, shape: tuple[int, ...]) -> Features:
    """Memory for features of one frame, channels-last, with the dtype of `x`."""
    return torch.empty((1, *shape), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
