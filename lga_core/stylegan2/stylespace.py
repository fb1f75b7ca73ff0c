"""StyleSpace: the styles of all convolutions, whose single channels control single attributes (Wu et al. 2021).

A style is affine in its row of W+, s = A w + b. To edit s with the tools for W+, a `StyleSpace` has a generator with
wider rows: w' = [w, d] and A' = [A, 1] give the style s + d. Row k of W+ belongs to convolution k; the to-RGB layer of
the same row has zeros instead of 1: styles of to-RGB layers are not edited, as published. An edit is then an offset
to d, and a sequence of edits is a motion like any other: scaled, masked, looped, chained, synthesised by the engine, or
added to a motion in W+ that was widened.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import MismatchError
from ..shapes import Labels, Motion, W, WPlus, Z
from .generator import Generator, Mapping, StyledConv

StyleVectors = Float[Tensor, "n s"]  # styles of all convolutions, in the order in which they draw


class StyleSpace:
    """The StyleSpace of a generator, and a generator with wider rows that synthesises edits of styles.

    Attributes:
        generator: the plain generator, unchanged; its weights are shared.
        wide: takes `widened` faces and motions, whose rows hold w, then an offset for each channel of a style.
        widths: number of channels of each convolution's style.
    """

    def __init__(self, generator: Generator):
        self.generator = generator
        self.convs = convolutions(generator)
        self.widths = [conv.weight.shape[1] for conv in self.convs]
        self.wide = _widened_generator(generator, max(self.widths))

    @property
    def num_channels(self) -> int:
        return sum(self.widths)

    def styles(self, ws: WPlus) -> StyleVectors:
        """Styles [n num_channels] of faces ws [n num_ws w_dim] of the plain generator."""
        return torch.cat([conv.affine(ws[:, row]) for row, conv in enumerate(self.convs)], dim=1)

    def widened(self, latents: WPlus | Motion) -> WPlus | Motion:
        """Faces or a motion of the plain generator, [... num_ws w_dim], for the wide generator, without style offsets.

        Raises MismatchError for those of another generator.
        """
        rows = (self.generator.num_ws, self.generator.config.w_dim)
        if tuple(latents.shape[-2:]) != rows:
            raise MismatchError(
                f"A face or a motion of {latents.shape[-2]} rows of width {latents.shape[-1]} was given, but this "
                f"generator has {rows[0]} of width {rows[1]}. Take both from one domain."
            )
        return F.pad(latents, (0, max(self.widths)))

    def offsets(self, styles: StyleVectors) -> WPlus:
        """Offsets [n num_channels] to styles as offsets [n num_ws w_dim + channels] to the wide generator's faces."""
        rows = [F.pad(part, (0, max(self.widths) - part.shape[1])) for part in styles.split(self.widths, dim=1)]
        rows += [torch.zeros_like(rows[0])] * (self.generator.num_ws - len(rows))  # the last to-RGB's row
        return F.pad(torch.stack(rows, dim=1), (self.generator.config.w_dim, 0))


def is_stylespace_motion(generator: Generator, motion: Motion) -> bool:
    """Whether a motion [n t num_ws width] edits styles: its rows are as wide as those of `StyleSpace.wide`."""
    further = max(conv.weight.shape[1] for conv in convolutions(generator))
    return motion.shape[-1] == generator.config.w_dim + further


def generator_for_motion(generator: Generator, ws: WPlus, motion: Motion) -> tuple[Generator, WPlus]:
    """The generator for the faces `ws` [n num_ws w_dim] under a motion, and the faces in its format.

    Those given, or for a motion of styles `StyleSpace.wide` and the widened faces.
    """
    if not is_stylespace_motion(generator, motion):
        return generator, ws
    space = StyleSpace(generator)
    return space.wide, space.widened(ws)


def convolutions(generator: Generator) -> list[StyledConv]:
    """The styled convolutions in order: convolution k uses row k of W+."""
    return [layer for layer in generator.synthesis.modules() if isinstance(layer, StyledConv)]


def _widened_generator(generator: Generator, channels: int) -> Generator:
    """The same generator with rows of width w_dim + channels; its convolutions share their weights."""
    with torch.device("meta"):
        wide = Generator(replace(generator.config, w_dim=generator.config.w_dim + channels))
    state = generator.synthesis.state_dict()
    for name, layer in generator.synthesis.named_modules():
        if hasattr(layer, "affine"):
            edited = isinstance(layer, StyledConv)
            state[f"{name}.affine.weight"] = _widened_affine(layer.affine.weight.detach(), channels, edited)  # pyright: ignore
    wide.synthesis.load_state_dict(state, assign=True)
    wide.synthesis.requires_grad_(False)
    wide.mapping = ZeroPaddedMapping(generator.mapping, channels)
    return wide.eval()


def _widened_affine(weight: Float[Tensor, "i w_dim"], channels: int, edited: bool) -> Float[Tensor, "i w_dim+channels"]:
    """[A, 1] (or [A, 0]) as a layer stores it, without the gain 1 / sqrt(fan_in) that is applied at run time."""
    i, w_dim = weight.shape
    further = torch.eye(i, channels, dtype=weight.dtype, device=weight.device) * edited
    return torch.cat([weight / math.sqrt(w_dim), further], dim=1) * math.sqrt(w_dim + channels)


class ZeroPaddedMapping(Mapping):
    """The plain generator's mapping network, with zeros appended to w."""

    def __init__(self, plain: Mapping, channels: int):
        nn.Module.__init__(self)
        self.config, self.plain, self.channels = plain.config, plain, channels
        self.register_buffer("w_avg", F.pad(plain.w_avg, (0, channels)))

    def forward(self, z: Z, c: Labels | None = None) -> W:
        return F.pad(self.plain(z, c), (0, self.channels))
