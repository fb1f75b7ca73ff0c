"""The convolution that doubles the resolution, arranged for speed: transposed, of stride 2, without the FIR filter."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..shapes import Features, FeaturesOut

PHASES_FROM = 512
"""Input channels from which the polyphase form is faster on a CPU (measured: 1.2 to 2 times)."""


class PolyphaseUpConv2d:
    """A transposed 3x3 convolution of stride 2, [n i h w] -> [n o 2h+1 2w+1], channels-last; `weight` is [i o 3 3]."""

    def __init__(self, weight: Float[Tensor, "i o 3 3"]):
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        by_phases = len(weight) >= PHASES_FROM and weight.device.type == "cpu"
        self.phases = phase_kernels(weight) if by_phases else None

    def __call__(self, x: Features) -> FeaturesOut:
        if self.phases is None:
            return F.conv_transpose2d(x, self.weight, stride=2)
        n, _, h, w = x.shape
        out = x.new_empty(n, 2 * h + 1, 2 * w + 1, self.weight.shape[1]).permute(0, 3, 1, 2)
        for (row, column), kernel in self.phases.items():
            out[:, :, row::2, column::2] = F.conv2d(x, kernel, padding=(1 - row, 1 - column))
        return out


def phase_kernels(weight: Float[Tensor, "i o 3 3"]) -> dict[tuple[int, int], Float[Tensor, "o i k l"]]:
    """Polyphase form of a transposed convolution of stride 2: a kernel for even and odd output rows and columns.

    Along an axis, even output 2m is x[m-1] w[2] + x[m] w[0], and odd output 2m+1 is x[m] w[1].
    """
    taps = {0: [2, 0], 1: [1]}
    kernels = {(row, column): weight[:, :, taps[row]][..., taps[column]] for row in taps for column in taps}
    return {
        phase: kernel.transpose(0, 1).contiguous(memory_format=torch.channels_last) for phase, kernel in kernels.items()
    }
