"""Encoders of three sizes, and how a fresh one begins."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lga_core import Encoder, GeneratorConfig
from lga_core.inversion import EncoderConfig

from .config import Size


def size_for(size: Size, generator: GeneratorConfig) -> Size:
    """What "auto" stands for."""
    if size != "auto":
        return size
    return "small" if generator.resolution <= 128 else "light" if generator.resolution <= 256 else "full"


def encoder_config(size: Size, generator: GeneratorConfig) -> EncoderConfig:
    """An encoder of this size: IR-SE50 sees the picture at up to 256 px, the small one half as large."""
    input_size = min(max(generator.resolution, 32), 256)
    full = EncoderConfig(generator.num_ws, generator.w_dim, input_size)
    if (size := size_for(size, generator)) == "full":
        return full
    light = replace(full, heads="dense", dense_channels=64, dense_hidden=512)
    if size == "light":
        return light
    sizes = {"widths": (32, 64, 96, 160), "units": (1, 2, 2, 1), "dense_channels": 24, "dense_hidden": 128}
    return replace(light, input_size=max(input_size // 2, 32), **sizes)


def fresh_encoder(config: EncoderConfig, average: Float[Tensor, "w_dim"], seed: int = 0) -> Encoder:
    """An encoder that begins near the average face: heads of rows 1 and up give nothing yet, so all rows are row 0."""
    encoder = Encoder(config, seed)
    heads = [head.linear for head in encoder.styles] if config.heads == "conv" else list(encoder.rows)  # pyright: ignore
    with torch.no_grad():
        for head in heads[1:] if config.row0_shared else ():
            nn.init.zeros_(head.weight)  # pyright: ignore
            nn.init.zeros_(head.bias)  # pyright: ignore
    encoder.latent_avg.copy_(average.expand_as(encoder.latent_avg))
    return encoder.to(average.device).to(memory_format=torch.channels_last)
