"""Put a finished build into the repository: weights, example faces and the README's pictures.

python -m lga_trainer.demo.publish DOMAIN BUILD_FOLDER REPOSITORY
"""

import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image

import lga_core
from lga_core import Domain, Images, WPlus, frames, load_domain, load_image, write_clip
from lga_core.demo import EMBEDDED

from ..reports.contact_sheets import sheet
from .embedded_domain import BuildFolder, EmbeddedDomain, embedded_domain


def publish(build: BuildFolder, repository: Path) -> None:
    shipped = copy_weights(build, repository)
    for folder in ("faces", "docs"):
        (repository / folder).mkdir(parents=True, exist_ok=True)
    write_examples(build.domain, repository / "faces")
    write_readme_pictures(build.domain, repository, load_domain(shipped))


def copy_weights(build: BuildFolder, repository: Path) -> Path:
    """The domain, and what only training and reports need, each to its place; the domain's folder."""
    core, package = Path(lga_core.__file__).parent, Path(__file__).parents[1]
    shipped = repository / "lga_core" / EMBEDDED[build.domain.name].relative_to(core)
    assets = repository / "trainer" / build.domain.assets.relative_to(package)
    for folder in (shipped, assets):
        folder.mkdir(parents=True, exist_ok=True)
    for path in (build.path / "domain").iterdir():
        shutil.copyfile(path, shipped / path.name)
    for name in ("judge", "attribute_map", *build.domain.scorers):
        shutil.copyfile(build.file(name), assets / f"{name}.safetensors")
    return shipped


def write_examples(described: EmbeddedDomain, folder: Path) -> None:
    """Neutral faces from a seed of their own, drawn by the renderer: no network has seen them."""
    showcase = described.showcase
    faces = described.attributes.sample_neutral(showcase.num_faces, torch.Generator().manual_seed(showcase.seed))
    pictures = described.renderer.render(faces, showcase.face_size)
    pixels = ((pictures + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    for number, picture in enumerate(pixels, start=1):
        Image.fromarray(picture).save(folder / showcase.face.format(number), optimize=True)


def write_readme_pictures(described: EmbeddedDomain, repository: Path, domain: Domain) -> None:
    """A video of one prompt, and a sheet: each prompt on one of the example faces, six frames of it."""
    showcase, docs = described.showcase, repository / "docs"
    names = [showcase.face.format(number) for number in range(1, showcase.num_faces + 1)]
    faces = [domain.invert(load_image(repository / "faces" / name)) for name in names]
    rows = []
    for index, prompt in enumerate(showcase.prompts):
        ws = faces[index % len(faces)]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            motion = domain.motion_for(prompt, ws, num_frames=16)
        with torch.no_grad():
            rows.append(domain.generator.synthesis(ws + motion[0, [0, 3, 6, 9, 12, 15]]))
    sheet(rows, showcase.prompts, docs / showcase.sheet)
    write_clip(docs / showcase.video, there_and_back(domain, faces[0], showcase.video_prompt), fps=15)


def there_and_back(domain: Domain, ws: WPlus, prompt: str) -> Iterator[Images]:
    """The prompt's motion and its reverse, held a moment at both ends."""
    motion = domain.motion_for(prompt, ws, num_frames=16)
    order = [0] * 6 + list(range(16)) + [15] * 10 + list(range(15, -1, -1))
    yield from frames(domain.generator, ws, motion[:, order])


if __name__ == "__main__":
    publish(BuildFolder(embedded_domain(sys.argv[1]), Path(sys.argv[2])), Path(sys.argv[3]))
