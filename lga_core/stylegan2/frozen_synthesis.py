"""The StyleGAN2 synthesis network with frozen weights, differentiable in ws: for training whatever produces ws.

The same function as `Generator.synthesis`. What makes it fast and small:

- Modulation scales activations instead of weights, so that one channels-last convolution serves the batch.
- A layer saves one tensor for backward, its output: only a weight gradient would need the convolution's input.
- The adjoints of convolutions and of the FIR filter are forward convolutions, the best optimised operation.
- What lies between two convolutions is one element-wise pass each way, compiled on request (`fused_ops`).
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from ..shapes import Features, FeaturesOut, Images, Styles, WPlus
from .fused_ops import Passes, Pixels, RgbWeight, compiled_passes
from .generator import Generator
from .inference.folded_layers import Affine, Blur, FoldedStyledConv, Residual, ToRGB, style_dtype, upsample2d_bilinear
from .ops import fir_kernel
from .upsampling_conv import PolyphaseUpConv2d


class FrozenSynthesis:
    """`generator.synthesis(ws)` with gradients to ws only. Weights are copied: later changes to them have no effect.

    Args:
        generator: stays unchanged; synthesis runs on its device.
        dtype: of features and convolutions, regardless of autocast. bfloat16 pays where the hardware supports it (AMX,
            AVX512-BF16, GPUs). Styles, demodulation and images stay in float32.
        recompute_from: blocks of this resolution and above save only their inputs and are recomputed in backward
            (gradient checkpointing).
        compiled: compile the element-wise passes. Without a working compiler they run uncompiled, with a warning.
    """

    def __init__(
        self,
        generator: Generator,
        dtype: torch.dtype = torch.float32,
        recompute_from: int | None = None,
        compiled: bool = False,
    ):
        self.config = generator.config
        self.recompute_from = math.inf if recompute_from is None else recompute_from
        self._check = generator.synthesis._check
        passes = compiled_passes(dtype, style_dtype(dtype), generator.w_avg.device) if compiled else Passes()
        layers: list[Any] = [generator.synthesis.get_submodule(f"b{r}") for r in self.config.block_resolutions]
        make = FrozenResidualBlock if self.config.architecture == "resnet" else FrozenBlock
        with torch.no_grad():
            self.blocks = [
                make(block, following, dtype, passes)
                for block, following in zip(layers, [*layers[1:], None], strict=True)
            ]

    def __call__(self, ws: WPlus, max_resolution: int | None = None) -> Images:
        """Synthesise: ws [n num_ws w_dim] -> images [n img_channels res res] in -1..1, float32, differentiable in ws.

        Noise is the stored, constant noise. Errors and `max_resolution` are those of `Generator.synthesis`.
        """
        self._check(ws, "const", max_resolution)
        x, image, row = None, None, 0
        with torch.autocast(ws.device.type, enabled=False):
            for block, resolution in zip(self.blocks, self.config.block_resolutions, strict=True):
                inputs = (x, image, ws[:, row : row + len(block.convs) + 1])
                recompute = resolution >= self.recompute_from and torch.is_grad_enabled()
                x, image = checkpoint(block, *inputs, use_reentrant=False) if recompute else block(*inputs)  # pyright: ignore
                row += len(block.convs)
                if resolution == max_resolution:
                    break
        assert image is not None
        return image


class FrozenBlock:
    """`generator.Block` with folded gains. `following`: the block after it.

    Features enter and leave already modulated, multiplied by the style of the convolution that takes them.
    """

    def __init__(self, block: Any, following: Any | None, dtype: torch.dtype, passes: Passes):
        self.dtype, device = dtype, block.conv1.weight.device
        self.convs = [
            FrozenConv(layer, dtype, passes) for layer in (getattr(block, "conv0", None), block.conv1) if layer
        ]
        self.const: Any = (
            block.const.detach().to(style_dtype(dtype), copy=True)[None] if hasattr(block, "const") else None
        )
        self.next_style = None if following is None else Affine(following.conv0.affine, dtype, device)
        self.rgb = RgbLayer(block.torgb, dtype, device) if hasattr(block, "torgb") else None

    def __call__(self, x: Any, image: Images | None, ws: WPlus) -> tuple[FeaturesOut | None, Images | None]:
        """Features and image so far, and this block's rows of W+ -> features (None after the last block) and image."""
        *before, last = styles = [conv.affine(ws[:, row]) for row, conv in enumerate(self.convs)]
        if self.const is not None:
            x = modulated(self.const, styles[0]).to(self.dtype)
        if before:
            x, _ = self.convs[0](x, before[0], last)
        next_style = None if self.next_style is None else self.next_style(ws[:, -1])
        rgb_weight = None if self.rgb is None else self.rgb.rgb_weight(ws[:, -1])
        x, rgb_features = self.convs[-1](x, last, next_style, rgb_weight)
        return x, image if self.rgb is None or rgb_features is None else self.rgb(rgb_features, image)


class FrozenResidualBlock(FrozenBlock):
    """A block of the `resnet` architecture. Two layers take its features, so they enter and leave unmodulated."""

    def __init__(self, block: Any, following: Any | None, dtype: torch.dtype, passes: Passes):
        super().__init__(block, following, dtype, passes)
        if hasattr(block, "skip"):
            self.skip = Residual(block.skip, dtype, block.skip.weight.device).weight

    def __call__(self, x: Any, image: Images | None, ws: WPlus) -> tuple[FeaturesOut | None, Images | None]:
        *before, last = styles = [conv.affine(ws[:, row]) for row, conv in enumerate(self.convs)]
        inner = modulated(self.const if x is None else x, styles[0]).to(self.dtype)
        if before:
            inner, _ = self.convs[0](inner, before[0], last)
        features: Any = self.convs[-1](inner, last, last.new_ones(len(ws), len(self.convs[-1].bias)))[0]
        if x is not None:
            features = features + Upsample2d.apply(F.conv2d(x, self.skip))
        if self.rgb is not None:
            rgb_features = torch.bmm(self.rgb.rgb_weight(ws[:, -1]).to(features.dtype), to_pixels(features).mT)
            image = self.rgb(rgb_features.unflatten(2, features.shape[2:]), image)
        return features, image


class RgbLayer(ToRGB):
    """The to-RGB layer, differentiable, with the sum of the skip connection."""

    def __call__(self, rgb: Images, image: Images | None) -> Images:
        """Add bias and clamp to the convolved features [n img_channels h w], then the up-sampled image so far."""
        rgb = rgb + self.bias
        rgb = rgb if self.clamp is None else rgb.clamp(-self.clamp, self.clamp)
        return rgb if image is None else Upsample2d.apply(image) + rgb  # pyright: ignore


class FrozenConv(FoldedStyledConv):
    """A styled convolution of features that are modulated already, up to the modulation for the next convolution."""

    def __init__(self, layer: Any, dtype: torch.dtype, passes: Passes):
        device = layer.weight.device
        super().__init__(layer, dtype, device, shift_dtype=style_dtype(dtype))
        self.passes, self.noise = passes, self.noise.reshape(-1, 1)  # [p 1]
        forward = self.weight.transpose(0, 1) if self.up else self.weight
        adjoint = forward if self.up else self.weight.transpose(0, 1).flip(2, 3)
        self.weight = forward.to(dtype).contiguous(memory_format=torch.channels_last)
        self.adjoint = self.weight if self.up else adjoint.to(dtype).contiguous(memory_format=torch.channels_last)
        self.up_conv = PolyphaseUpConv2d(self.weight) if self.up else None
        self.blur = Blur(len(self.bias), dtype, device)

    def __call__(
        self, x: Any, style: Styles, next_style: Styles | None, rgb_weight: RgbWeight | None = None
    ) -> tuple[FeaturesOut | None, Images | None]:
        """[n i h w] -> features modulated by `next_style` [n o], and their to-RGB convolution; each if it is given."""
        return StyledConvolution.apply(x, self.demodulation(style), next_style, rgb_weight, self)  # pyright: ignore

    def convolve(self, x: Features) -> FeaturesOut:
        x = x.contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, self.weight, padding=1) if self.up_conv is None else self.blur(self.up_conv(x), (1, 1))

    def convolve_back(self, gradient: FeaturesOut) -> Features:
        """The adjoint of `convolve`. The FIR filter is symmetric: padding 2 gives the adjoint of padding 1."""
        if self.up:
            return F.conv2d(self.blur(gradient, (2, 2)), self.adjoint, stride=2)
        return F.conv2d(gradient, self.adjoint, padding=1)


class StyledConvolution(torch.autograd.Function):
    """Convolution, demodulation, noise, bias, leaky ReLU, clamp; then the next modulation and to-RGB convolution."""

    @staticmethod
    def forward(ctx, x: Features, d: Styles, s: Styles | None, rgb_weight: RgbWeight | None, conv: FrozenConv) -> Any:
        x = conv.convolve(x)
        d, s = d.detach(), None if s is None else s.detach()  # the same to the compiler, whoever differentiates
        ctx.conv, ctx.size = conv, x.shape[2:]
        y, next_style = conv.passes.forward(to_pixels(x), d, conv.noise, conv.bias, conv.clamp, s)
        ctx.save_for_backward(y, d, s, rgb_weight)
        ctx.set_materialize_grads(False)
        rgb_features = (
            None if rgb_weight is None else torch.bmm(rgb_weight.to(y.dtype), y.mT).to(d.dtype).unflatten(2, ctx.size)
        )
        return None if next_style is None else from_pixels(next_style, ctx.size), rgb_features

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_features: Features | None, grad_rgb: Images | None) -> Any:  # pyright: ignore
        conv, (y, d, s, rgb_weight) = ctx.conv, ctx.saved_tensors
        next_style = (None, None) if grad_features is None else (to_pixels(grad_features), s)
        drawing = (None, None) if grad_rgb is None else (grad_rgb.flatten(2), rgb_weight)
        grad_x, grad_d, grad_s = conv.passes.backward(y, d, conv.noise, conv.bias, conv.clamp, *next_style, *drawing)
        grad_rgb_weight = None if grad_rgb is None else torch.bmm(grad_rgb.flatten(2).to(y.dtype), y).to(d.dtype)
        return conv.convolve_back(from_pixels(grad_x, ctx.size)), grad_d, grad_s, grad_rgb_weight, None


class Upsample2d(torch.autograd.Function):
    """`ops.upsample2d`. Its adjoint is a convolution of all channels of all samples as a batch of one channel."""

    @staticmethod
    def forward(ctx, x: Features) -> FeaturesOut:
        return upsample2d_bilinear(x)

    @staticmethod
    def backward(ctx, gradient: FeaturesOut) -> Features:  # pyright: ignore
        n, c, h, w = gradient.shape
        kernel = (fir_kernel(gradient) * 4)[None, None]
        return F.conv2d(gradient.reshape(n * c, 1, h, w), kernel, stride=2, padding=1).view(n, c, h // 2, w // 2)


def modulated(x: Features, style: Styles) -> Features:
    return x * style[:, :, None, None]


def to_pixels(x: Features) -> Pixels:
    """[n c h w] -> [n h*w c], a view of channels-last features."""
    return x.permute(0, 2, 3, 1).flatten(1, 2).contiguous()


def from_pixels(x: Pixels, size: torch.Size) -> Features:
    """[n h*w c] -> [n c h w], channels-last."""
    return x.unflatten(1, size).permute(0, 3, 1, 2)
