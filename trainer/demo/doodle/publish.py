"""Put a finished build into the repository: weights, the judge, the example faces and the README's pictures.

python -m lga_trainer.demo.doodle.publish BUILD_FOLDER REPOSITORY
"""

import shutil
import sys
import warnings
from pathlib import Path

import torch
from PIL import Image

from lga_core import frames, load_domain, load_image, write_clip

from ...reports.contact_sheets import sheet
from .rendering.attributes import sample_neutral
from .rendering.renderer import render

EXAMPLES_SEED, NUM_EXAMPLES, EXAMPLE_SIZE = 50_501, 6, 256
README_PROMPTS = ("smiling", "happy", "sad", "surprised", "crying", "winking", "disgusted", "has blonde hair")


def publish(build: Path, repository: Path) -> None:
    demo, assets = repository / "lga_core" / "demo", repository / "trainer" / "demo" / "doodle" / "assets"
    for folder in (demo, assets, repository / "faces", repository / "docs"):
        folder.mkdir(parents=True, exist_ok=True)
    for path in (build / "domain").iterdir():
        shutil.copyfile(path, demo / path.name)
    for name in ("judge.safetensors", "attribute_map.safetensors"):
        shutil.copyfile(build / name, assets / name)
    write_examples(repository / "faces")
    write_readme_pictures(repository, demo)


def write_examples(folder: Path) -> None:
    """Neutral faces from a seed of their own, drawn by the renderer: no network has seen them."""
    pictures = render(sample_neutral(NUM_EXAMPLES, torch.Generator().manual_seed(EXAMPLES_SEED)), EXAMPLE_SIZE)
    pixels = ((pictures + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    for number, picture in enumerate(pixels, start=1):
        Image.fromarray(picture).save(folder / f"face{number}.png", optimize=True)


def write_readme_pictures(repository: Path, demo: Path) -> None:
    """docs/smile.gif, and docs/contact_sheet.png: each prompt on one of the example faces, four frames of it."""
    domain = load_domain(demo)
    faces = [domain.invert(load_image(repository / "faces" / f"face{n}.png")) for n in range(1, NUM_EXAMPLES + 1)]
    rows = []
    for index, prompt in enumerate(README_PROMPTS):
        ws = faces[index % len(faces)]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            motion = domain.motion_for(prompt, ws, num_frames=16)
        with torch.no_grad():
            rows.append(domain.generator.synthesis(ws + motion[0, [0, 3, 6, 9, 12, 15]]))
    sheet(rows, README_PROMPTS, repository / "docs" / "contact_sheet.png")
    write_clip(repository / "docs" / "smile.gif", smile(domain, faces[0]), fps=15)


def smile(domain, ws):
    """There and back again, held a moment at both ends."""
    motion = domain.motion_for("smiling", ws, num_frames=16)
    order = [0] * 6 + list(range(16)) + [15] * 10 + list(range(15, -1, -1))
    yield from frames(domain.generator, ws, motion[:, order])


if __name__ == "__main__":
    publish(Path(sys.argv[1]), Path(sys.argv[2]))
