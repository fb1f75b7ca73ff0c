"""The synthesis network with frozen weights, arranged for training what makes its ws.

Same function as `Generator.synthesis`; gradients flow to ws and nowhere else. What makes it fast and small:

- One convolution with shared weights serves the batch (activations are scaled, not weights), channels-last.
- A layer keeps one tensor for backward, its output: only a weight's gradient would need the convolution's input.
- The adjoints of convolutions and of the FIR filter are convolutions forward, which libraries do best.
- What lies between two convolutions is one element-wise pass each way, compiled on request (epilogue.py).
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from ..shapes import Features, FeaturesOut, Images, Styles, W, WPlus
from .fused_ops import Mixer, Passes, Pixels, compiled_passes
from .generator import Generator
from .ops import LRELU_GAIN, fir_kernel
from .upsampling_conv import PolyphaseUpConv2d


class FrozenSynthesis:
    """`generator.synthesis(ws)` for training what makes ws. Weights are copied: later changes of them do not show.

    Args:
        generator: drawn on its device, left as it is.
        dtype: of features and convolutions, whatever autocast says. bfloat16 pays where the processor has it (AMX,
            AVX512-BF16, GPUs). Styles, demodulation and pictures stay in float32.
        recompute_from: blocks of this resolution and above keep their inputs only and are drawn again in backward.
        compiled: compile the element-wise passes. Where no compiler works they run as they are, with a warning.
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
        exact = torch.promote_types(dtype, torch.float32)
        passes = compiled_passes(dtype, exact, generator.w_avg.device) if compiled else Passes()
        layers: list[Any] = [generator.synthesis.get_submodule(f"b{r}") for r in self.config.block_resolutions]
        make = ResidualBlock if self.config.architecture == "resnet" else Block
        with torch.no_grad():
            self.blocks = [
                make(block, following, dtype, passes)
                for block, following in zip(layers, [*layers[1:], None], strict=True)
            ]

    def __call__(self, ws: WPlus, max_resolution: int | None = None) -> Images:
        """Draw faces: ws [n num_ws w_dim] -> [n img_channels res res], float32, differentiable in ws.

        Noise maps are the stored ones. Errors and `max_resolution` are those of `Generator.synthesis`.
        """
        self._check(ws, "const", max_resolution)
        x, image, row = None, None, 0
        with torch.autocast(ws.device.type, enabled=False):
            for block, resolution in zip(self.blocks, self.config.block_resolutions, strict=True):
                inputs = (x, image, ws[:, row : row + len(block.convs) + 1])
                again = resolution >= self.recompute_from and torch.is_grad_enabled()
                x, image = checkpoint(block, *inputs, use_reentrant=False) if again else block(*inputs)  # pyright: ignore
                row += len(block.convs)
                if resolution == max_resolution:
                    break
        assert image is not None
        return image


class Block:
    """`generator.Block` prepared. `following`: the block after it.

    Features come and go multiplied by the style of the convolution that takes them.
    """

    def __init__(self, block: Any, following: Any | None, dtype: torch.dtype, passes: Passes):
        self.dtype, exact = dtype, torch.promote_types(dtype, torch.float32)
        self.convs = [Conv(layer, dtype, passes) for layer in (getattr(block, "conv0", None), block.conv1) if layer]
        self.const: Any = block.const.detach().to(exact, copy=True)[None] if hasattr(block, "const") else None
        self.onward = None if following is None else Affine(following.conv0.affine, exact)
        self.rgb = ToRGB(block.torgb, exact) if hasattr(block, "torgb") else None

    def __call__(self, x: Any, image: Images | None, ws: WPlus) -> tuple[FeaturesOut | None, Images | None]:
        """Features and image so far, and this block's rows of W+ -> features (None after the last) and image."""
        *before, last = styles = [conv.affine(ws[:, row]) for row, conv in enumerate(self.convs)]
        if self.const is not None:
            x = scaled(self.const, styles[0]).to(self.dtype)
        if before:
            x, _ = self.convs[0](x, before[0], last)
        onward = None if self.onward is None else self.onward(ws[:, -1])
        mixer = None if self.rgb is None else self.rgb.mixer(ws[:, -1])
        x, drawn = self.convs[-1](x, last, onward, mixer)
        return x, image if self.rgb is None or drawn is None else self.rgb(drawn, image)


class ResidualBlock(Block):
    """A block of the `resnet` architecture. Two layers take its features: they come and go as they are."""

    def __init__(self, block: Any, following: Any | None, dtype: torch.dtype, passes: Passes):
        super().__init__(block, following, dtype, passes)
        if hasattr(block, "skip"):
            gain = math.sqrt(0.5 / block.skip.weight.shape[1])
            self.skip = (block.skip.weight * gain).to(dtype, memory_format=torch.channels_last)

    def __call__(self, x: Any, image: Images | None, ws: WPlus) -> tuple[FeaturesOut | None, Images | None]:
        *before, last = styles = [conv.affine(ws[:, row]) for row, conv in enumerate(self.convs)]
        inner = scaled(self.const if x is None else x, styles[0]).to(self.dtype)
        if before:
            inner, _ = self.convs[0](inner, before[0], last)
        features: Any = self.convs[-1](inner, last, last.new_ones(len(ws), len(self.convs[-1].bias)))[0]
        if x is not None:
            features = features + Double.apply(F.conv2d(x, self.skip))
        if self.rgb is not None:
            drawn = torch.bmm(self.rgb.mixer(ws[:, -1]).to(features.dtype), flat(features).mT)
            image = self.rgb(drawn.unflatten(2, features.shape[2:]), image)
        return features, image


class Affine:
    """The linear layer behind a style, its gains folded in."""

    def __init__(self, layer: Any, dtype: torch.dtype, gain: float = 1.0):
        self.weight = (layer.weight * (gain * layer.lr_mul / math.sqrt(layer.weight.shape[1]))).to(dtype)
        self.bias = (layer.bias * (gain * layer.lr_mul)).to(dtype)

    def __call__(self, w: W) -> Styles:
        return F.linear(w.to(self.weight.dtype), self.weight, self.bias)


class ToRGB:
    """1x1 modulated convolution to an image; its weights are so few that each sample has its own."""

    def __init__(self, layer: Any, dtype: torch.dtype):
        self.affine = Affine(layer.affine, dtype, gain=1 / math.sqrt(layer.weight.shape[1]))
        self.weight = layer.weight.detach()[:, :, 0, 0].to(dtype, copy=True)
        self.bias = layer.bias.detach().to(dtype, copy=True)[:, None, None]
        self.clamp = layer.clamp

    def mixer(self, w: W) -> Mixer:
        return self.weight * self.affine(w)[:, None]

    def __call__(self, drawn: Images, image: Images | None) -> Images:
        drawn = drawn + self.bias
        drawn = drawn if self.clamp is None else drawn.clamp(-self.clamp, self.clamp)
        return drawn if image is None else Double.apply(image) + drawn  # pyright: ignore


class Conv:
    """A 3x3 convolution of features that are scaled already, and all that follows it up to the next convolution.

    The gain that equalises is in the weight, so that features stay near one; the output's gain is in demodulation,
    noise and bias: g f(x d + b) = f(x g d + g b).
    """

    def __init__(self, layer: Any, dtype: torch.dtype, passes: Passes):
        exact = torch.promote_types(dtype, torch.float32)
        equalised = 1 / math.sqrt(layer.weight[0].numel())
        weight = layer.weight * equalised
        self.up, self.passes = layer.up, passes
        self.affine = Affine(layer.affine, exact)
        self.gain, self.eps = LRELU_GAIN * layer.gain, 1e-8 * equalised**2
        self.energy = weight.square().sum(dim=(2, 3)).to(exact)  # [o i]
        forward = weight.transpose(0, 1) if self.up else weight
        adjoint = forward if self.up else weight.transpose(0, 1).flip(2, 3)
        self.weight = forward.to(dtype).contiguous(memory_format=torch.channels_last)
        self.adjoint = self.weight if self.up else adjoint.to(dtype).contiguous(memory_format=torch.channels_last)
        self.doubling = PolyphaseUpConv2d(self.weight) if self.up else None
        self.noise = (layer.noise_const * layer.noise_strength * self.gain).to(exact).reshape(-1, 1)  # [p 1]
        self.bias = (layer.bias * self.gain).to(exact)
        self.limit = None if layer.clamp is None else layer.clamp * layer.gain

    def __call__(
        self, x: Any, style: Styles, onward: Styles | None, mixer: Mixer | None = None
    ) -> tuple[FeaturesOut | None, Images | None]:
        """[n i h w] -> features times the style `onward` [n o], and features times `mixer`, each as far as given."""
        demodulation = (style.square() @ self.energy.T + self.eps).rsqrt() * self.gain
        return StyledConvolution.apply(x, demodulation, onward, mixer, self)  # pyright: ignore

    def convolve(self, x: Features) -> FeaturesOut:
        x = x.contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, self.weight, padding=1) if self.doubling is None else fir(self.doubling(x), padding=1)

    def convolve_back(self, gradient: FeaturesOut) -> Features:
        if self.up:
            return F.conv2d(fir(gradient, padding=2), self.adjoint, stride=2)
        return F.conv2d(gradient, self.adjoint, padding=1)


class StyledConvolution(torch.autograd.Function):
    """Convolution, demodulation, noise, bias, leaky ReLU, clamp; then the next layers' scaling and to-RGB."""

    @staticmethod
    def forward(ctx, x: Features, d: Styles, s: Styles | None, mixer: Mixer | None, conv: Conv) -> Any:
        x = conv.convolve(x)
        d, s = d.detach(), None if s is None else s.detach()  # the same to the compiler, whoever differentiates
        ctx.conv, ctx.size = conv, x.shape[2:]
        y, onward = conv.passes.forward(flat(x), d, conv.noise, conv.bias, conv.limit, s)
        ctx.save_for_backward(y, d, s, mixer)
        ctx.set_materialize_grads(False)
        drawn = None if mixer is None else torch.bmm(mixer.to(y.dtype), y.mT).to(d.dtype).unflatten(2, ctx.size)
        return None if onward is None else image_like(onward, ctx.size), drawn

    @staticmethod
    @once_differentiable
    def backward(ctx, of_onward: Features | None, of_drawn: Images | None) -> Any:  # pyright: ignore
        conv, (y, d, s, mixer) = ctx.conv, ctx.saved_tensors
        onward = (None, None) if of_onward is None else (flat(of_onward), s)
        drawing = (None, None) if of_drawn is None else (of_drawn.flatten(2), mixer)
        of_x, of_d, of_s = conv.passes.backward(y, d, conv.noise, conv.bias, conv.limit, *onward, *drawing)
        of_mixer = None if of_drawn is None else torch.bmm(of_drawn.flatten(2).to(y.dtype), y).to(d.dtype)
        return conv.convolve_back(image_like(of_x, ctx.size)), of_d, of_s, of_mixer, None


class Double(torch.autograd.Function):
    """`ops.upsample2d`, with all channels of all samples as a batch of one channel."""

    @staticmethod
    def forward(ctx, x: Features) -> FeaturesOut:
        n, c, h, w = x.shape
        kernel = (fir_kernel(x) * 4)[None, None]
        return F.conv_transpose2d(x.reshape(n * c, 1, h, w), kernel, stride=2, padding=1).view(n, c, 2 * h, 2 * w)

    @staticmethod
    def backward(ctx, gradient: FeaturesOut) -> Features:  # pyright: ignore
        n, c, h, w = gradient.shape
        kernel = (fir_kernel(gradient) * 4)[None, None]
        return F.conv2d(gradient.reshape(n * c, 1, h, w), kernel, stride=2, padding=1).view(n, c, h // 2, w // 2)


def fir(x: Features, padding: int) -> FeaturesOut:
    """The FIR filter of gain 4, [n c h w] -> [n c h+2p-3 w+2p-3]. It is symmetric: padding 2 is padding 1's adjoint."""
    channels = x.shape[1]
    kernel = (fir_kernel(x) * 4).expand(channels, 1, 4, 4).contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, kernel, padding=padding, groups=channels)


def scaled(x: Features, style: Styles) -> Features:
    return x * style[:, :, None, None]


def flat(x: Features) -> Pixels:
    """[n c h w] -> [n h*w c], a view of channels-last features."""
    return x.permute(0, 2, 3, 1).flatten(1, 2).contiguous()


def image_like(x: Pixels, size: torch.Size) -> Features:
    """[n h*w c] -> [n c h w], channels-last."""
    return x.unflatten(1, size).permute(0, 3, 1, 2)
