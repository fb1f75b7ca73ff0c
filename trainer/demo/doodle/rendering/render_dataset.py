"""Rendered training faces, drawn once and kept on disk: images, the attributes that made them, the preset worn."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from .attributes import sample
from .renderer import render

NUM_RENDERS = 28_000
NUM_HELD_OUT = 1_024  # the last ones: no training reads them
RESOLUTION = 128


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


def build_renders(folder: Path, num_renders: int = NUM_RENDERS, seed: int = 11) -> None:
    """Draw `num_renders` faces from `seed` into `folder` (1.4 GB at the default number)."""
    generator = torch.Generator().manual_seed(seed)
    images = np.lib.format.open_memmap(
        folder / "renders.npy.part", "w+", np.uint8, (num_renders, 3, RESOLUTION, RESOLUTION)
    )
    attributes, labels = sample(num_renders, generator)
    for start in tqdm(range(0, num_renders, 50), desc="renders"):
        drawn = render(attributes[start : start + 50], RESOLUTION)
        images[start : start + 50] = ((drawn + 1) * 127.5).round().byte().numpy()
    images.flush()
    save_file({"attributes": attributes}, folder / "renders.safetensors", metadata={"labels": json.dumps(labels)})
    (folder / "renders.npy.part").replace(folder / "renders.npy")


def load_renders(folder: Path) -> Renders:
    from safetensors import safe_open

    with safe_open(folder / "renders.safetensors", framework="pt") as file:
        labels = json.loads(file.metadata()["labels"])
    attributes = load_file(folder / "renders.safetensors")["attributes"]
    return Renders(np.load(folder / "renders.npy", mmap_mode="r"), attributes, labels)
