"""Rendered training faces, drawn once and cached on disk: images, their attributes, the preset each one shows."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

NUM_HELD_OUT = 1_024
"""The last ones: no training reads them."""


class Renders(NamedTuple):
    """images [n 3 h w] uint8 (a memory map), attributes [n k], labels: n preset names, "" for a free mixture."""

    images: np.ndarray
    attributes: Float[Tensor, "n k"]
    labels: list[str]

    def batch(self, indices: Int[Tensor, "b"]) -> Float[Tensor, "b 3 h w"]:
        """Images in -1..1."""
        return torch.from_numpy(self.images[indices.numpy()]).float() / 127.5 - 1

    @property
    def num_train(self) -> int:
        return len(self.attributes) - NUM_HELD_OUT

    @property
    def held_out(self) -> Int[Tensor, "b"]:
        return torch.arange(self.num_train, len(self.attributes))


def load_renders(folder: Path) -> Renders:
    """The renders that `stages.renders` drew into `folder`."""
    with safe_open(folder / "renders.safetensors", framework="pt") as file:
        labels = json.loads(file.metadata()["labels"])
    attributes = load_file(folder / "renders.safetensors")["attributes"]
    return Renders(np.load(folder / "renders.npy", mmap_mode="r"), attributes, labels)
