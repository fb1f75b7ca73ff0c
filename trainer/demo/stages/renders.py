"""Draw the training faces, once."""

import json

import numpy as np
import torch
from safetensors.torch import save_file
from tqdm import tqdm

from ...reports.contact_sheets import grid, sheet
from ..embedded_domain import BuildFolder
from ..render_dataset import NUM_HELD_OUT

PICTURE_SEED = 7


def draw_renders(build: BuildFolder, count: int, seed: int = 11) -> None:
    """Draw `count` faces from `seed` (of 49 kB each at 128 px), the held-out ones among them whatever the effort."""
    domain, folder = build.domain, build.path
    resolution = domain.generator.resolution
    count = NUM_HELD_OUT + build.scaled(count - NUM_HELD_OUT)
    attributes, labels = domain.attributes.sample(count, torch.Generator().manual_seed(seed))
    part = folder / "renders.npy.part"
    images = np.lib.format.open_memmap(part, "w+", np.uint8, (count, 3, resolution, resolution))
    for start in tqdm(range(0, count, 50), desc="renders"):
        drawn = domain.renderer.render(attributes[start : start + 50], resolution)
        images[start : start + 50] = ((drawn + 1) * 127.5).round().byte().numpy()
    images.flush()
    save_file({"attributes": attributes}, folder / "renders.safetensors", metadata={"labels": json.dumps(labels)})
    part.replace(folder / "renders.npy")


def show_presets(build: BuildFolder) -> None:
    """Every preset beside its name: the one check that no network can make."""
    domain, space = build.domain, build.domain.attributes
    faces = space.sample_neutral(4, torch.Generator().manual_seed(PICTURE_SEED))
    rows = [domain.render(space.with_preset(faces, prompt)) for prompt in space.prompts]
    sheet(rows, space.prompts, build.path / "renders_presets.png")
    grid(domain.render(space.sample(64, torch.Generator().manual_seed(PICTURE_SEED))[0]), 8, build.path / "renders.png")
