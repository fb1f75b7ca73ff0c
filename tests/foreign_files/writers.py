"""Files in other people's layouts, written from our models with random weights, for the tests of what reads them.

The tables that translate our names and axes live here and in the modules that this one gathers, apart from the
reader's own, so that a round trip proves both. Every writer takes a model of any size and returns the path it wrote.
"""

from typing import Any

import torch
from foreign_files.writers_identity import arcface_tensors, facenet_shapes, facenet_tensors
from foreign_files.writers_nvidia import (
    CONVERTED_KEYS,
    TOP_KEYS,
    EasyDict,
    nvidia_module,
    nvidia_tensors,
    write_nvidia,
    write_pti,
    write_stylegan3,
)
from foreign_files.writers_pickle import randomised, save_torch, write_pickle
from foreign_files.writers_tensorflow import Network, tensorflow_variables, write_stylegan1, write_tensorflow
from foreign_files.writers_torch import (
    encoder_tensors,
    lga_tensors,
    rosinality_tensors,
    state_dict,
    write_clip,
    write_diffusion,
    write_e4e,
    write_latents,
    write_lga,
    write_optimizer_only,
    write_pivot,
    write_psp,
    write_rosinality,
    write_state_dict,
    write_stylegan1_torch,
    write_torchscript,
)

from lga_core import Encoder, Generator, GeneratorConfig, MotionConfig, MotionModel
from lga_core.inversion.encoder import EncoderConfig

__all__ = [
    "CONVERTED_KEYS",
    "TOP_KEYS",
    "EasyDict",
    "Network",
    "arcface_tensors",
    "encoder_tensors",
    "facenet_shapes",
    "facenet_tensors",
    "lga_tensors",
    "nvidia_module",
    "nvidia_tensors",
    "random_encoder",
    "random_generator",
    "random_motion",
    "rosinality_tensors",
    "save_torch",
    "state_dict",
    "tensorflow_variables",
    "tiny_clip",
    "write_clip",
    "write_diffusion",
    "write_e4e",
    "write_latents",
    "write_lga",
    "write_nvidia",
    "write_optimizer_only",
    "write_pickle",
    "write_pivot",
    "write_psp",
    "write_pti",
    "write_rosinality",
    "write_state_dict",
    "write_stylegan1",
    "write_stylegan1_torch",
    "write_stylegan3",
    "write_tensorflow",
    "write_torchscript",
]


def random_generator(config: GeneratorConfig, seed: int = 0) -> Generator:
    """A generator with no tensor left at a constant: biases, noise strengths and the average face are random too."""
    return randomised(Generator(config, seed), seed + 1)


def random_encoder(config: EncoderConfig, seed: int = 0) -> Encoder:
    """An encoder with random batch statistics and a random average face, the same in every row as published ones."""
    encoder = randomised(Encoder(config, seed), seed + 1)
    encoder.latent_avg.copy_(encoder.latent_avg[:1].expand_as(encoder.latent_avg))
    return encoder


def random_motion(config: MotionConfig, seed: int = 0) -> MotionModel:
    return randomised(MotionModel(config, seed), seed + 1)


CLIP_CONFIG: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
"""A CLIP of RN50's shape, small."""


def tiny_clip(config: dict[str, Any] = CLIP_CONFIG, seed: int = 0) -> Any:
    """An open_clip model of this configuration, a ModifiedResNet with QuickGELU, random throughout."""
    import open_clip

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return randomised(open_clip.CLIP(**config, quick_gelu=True), seed + 1)
