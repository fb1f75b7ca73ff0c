"""The few operations StyleGAN2 is made of, in plain PyTorch (Karras et al. 2020, "Analyzing and Improving the Image
Quality of StyleGAN").

Weights are stored raw, as drawn from N(0, 1); the gains that equalise learning rates are applied here, at run time.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..shapes import Features, FeaturesOut, Kernel, Styles

LRELU_SLOPE = 0.2
LRELU_GAIN = math.sqrt(2)  # keeps the variance of a leaky ReLU's output near its input's


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, scaled by sqrt(2)."""
    return F.leaky_relu(x, LRELU_SLOPE) * LRELU_GAIN


def normalize_second_moment(x: Float[Tensor, "n c"], eps: float = 1e-8) -> Float[Tensor, "n c"]:
    """Pixel norm: scale each row to a mean square of one. A row of zeros stays zero."""
    return x * (x.square().mean(dim=1, keepdim=True) + eps).rsqrt()


class EqualLinear(nn.Module):
    """Linear layer with an equalised learning rate: x W^T lr_mul / sqrt(fan_in) + b lr_mul.

    The raw weight is drawn from N(0, 1) / lr_mul, so that `lr_mul` changes the speed of learning and not the output.
    """

    def __init__(self, in_features: int, out_features: int, *, lr_mul: float = 1.0, bias_init: float = 0.0):
        super().__init__()
        self.lr_mul = lr_mul
        self.bias_init = bias_init
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features))

    def draw(self, rng: torch.Generator) -> None:
        nn.init.normal_(self.weight, std=1 / self.lr_mul, generator=rng)
        nn.init.constant_(self.bias, self.bias_init / self.lr_mul)

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        gain = self.lr_mul / math.sqrt(self.weight.shape[1])
        return F.linear(x, self.weight * gain, self.bias * self.lr_mul)


def initialize(module: nn.Module, seed: int) -> None:
    """Draw all parameters of `module` from `seed`: by a layer's own `draw(rng)`, or as PyTorch initialises them."""
    if all(parameter.is_meta for parameter in module.parameters()):
        return  # on the meta device: a file fills them
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in module.modules():
            draw = getattr(layer, "draw", None)
            if draw is not None:
                draw(rng)
            elif isinstance(layer, nn.Linear | nn.Conv2d):
                bound = 1 / math.sqrt(layer.weight[0].numel())
                for parameter in layer.parameters(recurse=False):
                    nn.init.uniform_(parameter, -bound, bound, generator=rng)


def fir_kernel(like: Tensor) -> Float[Tensor, "4 4"]:
    """The FIR filter outer([1, 3, 3, 1]), normalised to sum one, with the dtype and device of `like`."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=like.dtype, device=like.device) / 8
    return taps.outer(taps)


def upsample2d(x: Features) -> FeaturesOut:
    """Up-sample by 2, [n i h w] -> [n i 2h 2w]: insert zeros, then apply the FIR filter with gain 4."""
    channels = x.shape[1]
    kernel = (fir_kernel(x) * 4).expand(channels, 1, 4, 4)
    return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)


def blur2d(x: Features, gain: float = 1.0) -> FeaturesOut:
    """The FIR filter with one pixel of padding: [n i h w] -> [n i h-1 w-1]."""
    channels = x.shape[1]
    kernel = (fir_kernel(x) * gain).expand(channels, 1, 4, 4)
    return F.conv2d(x, kernel, padding=1, groups=channels)


def modulated_conv2d(x: Features, weight: Kernel, style: Styles, *, demodulate: bool, up: bool = False) -> FeaturesOut:
    """Modulated convolution with demodulation (Karras et al. 2020, Eq. 1-3): `weight` scaled by each sample's `style`.

    Modulation scales the activations instead of the weights, so that one convolution serves the batch:
    conv(x, w s) = conv(x s, w). Demodulation divides output channel o by sqrt(sum over i, k of (w s)^2 + 1e-8).

    Args:
        x: [n i h w].
        weight: [o i k k], raw. With demodulation its overall gain does not matter.
        style: [n i].
        demodulate: divide by the expected standard deviation of the output; False for to-RGB layers.
        up: double the resolution: transposed convolution of stride 2 (kernel as stored, not flipped), then FIR filter.
    """
    x = x * style[:, :, None, None]
    if up:
        x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)  # [n o 2h+1 2w+1]
        x = blur2d(x, gain=4)
    else:
        x = F.conv2d(x, weight, padding=weight.shape[2] // 2)
    if demodulate:
        energy = style.square() @ weight.square().sum(dim=(2, 3)).T  # [n o]
        x = x * (energy + 1e-8).rsqrt()[:, :, None, None]
    return x
