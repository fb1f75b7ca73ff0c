"""What describes an embedded domain, the folder that a build of it fills, and the stages that fill it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name

import torch

from lga_core import ClipModel, Generator, GeneratorConfig, Images, InputError, load_clip, load_generator
from lga_core.domain import read_domain

from ..domain_plugin import PLUGINS
from .attribute_map import AttributeMap
from .attributes import Attributes, AttributeSpace
from .render_dataset import Renders, load_renders
from .renderer import Renderer
from .words.lexicon import Lexicon


@dataclass(frozen=True)
class Stage:
    """A step of a build. `product` is the file in the build folder that says the stage is done."""

    product: str
    make: Callable[[BuildFolder], object]
    show: Callable[[BuildFolder], None] | None = None


@dataclass(frozen=True)
class Bar:
    """A figure of the report, and what is asked of it in words and numbers. `most`, `least`: still good enough."""

    name: str
    figure: Callable[[dict], float]
    needed: str = ""
    least: float = float("-inf")
    most: float = float("inf")

    def is_met(self, figures: dict) -> bool:
        return self.least <= self.figure(figures) <= self.most


@dataclass(frozen=True)
class Showcase:
    """Example faces and the pictures of the README: which seeds, prompts and files.

    Attributes:
        face: name of an example face in faces/, with {} for its number.
        sheet, video: names of the pictures in docs/.
    """

    prompts: tuple[str, ...]
    seed: int
    video_prompt: str
    face: str
    sheet: str
    video: str
    num_faces: int = 6
    face_size: int = 256


@dataclass(frozen=True, eq=False)
class EmbeddedDomain:
    """All that is a domain's own.

    Attributes:
        assets: folder of the weights that only training and reports need: judge, attribute map, scorers.
        generator: the size of its networks.
        prompts: name of the prompt set that its motion is trained on.
        scorers: names of the CLIPs in `assets` that score motions during training.
        stages: how it is made, in order.
        part_bars: what the report asks of generator, judge, CLIP and encoder.
        bars: what it asks of the motion.
    """

    name: str
    assets: Path
    attributes: AttributeSpace
    renderer: Renderer
    lexicon: Lexicon
    generator: GeneratorConfig
    prompts: str
    scorers: tuple[str, ...]
    stages: Mapping[str, Stage]
    part_bars: Sequence[Bar]
    bars: Sequence[Bar]
    showcase: Showcase

    def attribute_map(self) -> AttributeMap:
        """The shipped one."""
        return AttributeMap.load(self.assets / "attribute_map.safetensors")

    def render(self, attributes: Attributes) -> Images:
        """Faces at the generator's resolution, 32 at a time."""

        chunks = attributes.split(32)
        return torch.cat([self.renderer.render(chunk, self.generator.resolution) for chunk in chunks])


@dataclass(frozen=True)
class BuildFolder:
    """What a build of `domain` has made so far. `effort` scales every number of steps and of pictures."""

    domain: EmbeddedDomain
    path: Path
    effort: float = 1.0

    def file(self, name: str) -> Path:
        return self.path / f"{name}.safetensors"

    def scaled(self, number: int) -> int:
        return max(1, round(number * self.effort))

    def renders(self) -> Renders:
        return load_renders(self.path)

    def attribute_map(self) -> AttributeMap:
        return AttributeMap.load(self.file("attribute_map"))

    def generator(self) -> Generator:
        return load_generator(self.file("generator"))

    def clip(self) -> ClipModel:
        return load_clip(self.file("clip"))


def embedded_domain(name: str) -> EmbeddedDomain:
    """The description of the embedded domain `name`. Raises InputError for an unknown one."""
    if name not in PLUGINS:
        raise InputError(f"There is no embedded domain {name!r}. Choose {' or '.join(PLUGINS)}.")
    return resolve_name(f"{__package__}.{name}.domain:DOMAIN")


def embedded_domain_of(name_or_folder: str) -> EmbeddedDomain:
    """The embedded domain that a name or a domain's folder belongs to: by its name, or by its generator.

    Raises InputError for a domain of another kind, and as `read_domain` does.
    """
    card = read_domain(name_or_folder)
    if card.name in PLUGINS:
        return embedded_domain(card.name)
    for name in PLUGINS:
        if read_domain(name).generator.fingerprint == card.generator.fingerprint:
            return embedded_domain(name)
    raise InputError(
        f"The domain {card.name!r} has no renderer to measure it with. Choose {' or '.join(PLUGINS)}, or the folder of "
        "a domain that was built from one of them."
    )
