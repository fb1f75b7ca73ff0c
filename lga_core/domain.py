"""A domain: everything that one kind of face needs to be animated with words, in one folder.

The folder holds domain.json and four model files:

    {
      "name": "doodle",
      "template": "The cartoon face is {}.",
      "prompts": [{"prompt": "smiling", "sentence": "The cartoon face is smiling."}, ...],
      "files": {"generator": "generator.safetensors", "encoder": ..., "clip": ..., "motion": ...},
      "fingerprint": the generator's
    }

and, where its pictures are not framed as FFHQ's, or its faces are not found by common detectors:

      "framing": {"down": ..., "eyes": ..., "mouth": ...}        see faces/alignment.py
      "files": {..., "finder": "finder.safetensors"}              see faces/detection/domain_detector.py
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from .checkpoints.models import load_encoder, load_generator, load_motion
from .clip.loading import load_clip
from .clip.model import ClipModel
from .demo import DEFAULT_DOMAIN, EMBEDDED
from .errors import CheckpointError, InputError, MismatchError
from .faces.alignment import FFHQ, Framing
from .faces.detection.domain_detector import DomainDetector, load_detector
from .formats.fingerprints import check_fingerprint
from .formats.header import read_metadata
from .imaging.images import fit_square
from .inversion.encoder import Encoder
from .inversion.optimization import refine
from .latents import ModelId
from .motion.model import MotionModel
from .motion.prompts import Wording
from .rendering import draw
from .shapes import Embedding, Images, Motion, WPlus
from .stylegan2.generator import Generator

PARTS = ("generator", "encoder", "clip", "motion")
REFINE_STEPS = 20
PAPER_TEMPLATE = "The person is {}."


@dataclass(frozen=True)
class DomainCard:
    """What a domain's domain.json says, with the paths of its files."""

    path: Path
    """Of domain.json itself."""
    name: str
    wording: Wording
    files: Mapping[str, Path]
    """Model file of each of `PARTS`."""
    generator: ModelId
    framing: Framing = FFHQ
    detector: Path | None = None
    """The file of the domain's own face detector, where it has one."""

    @property
    def motion(self) -> MotionCard:
        """What the motion model says of itself, with the words of domain.json. Raises CheckpointError."""
        return replace(read_motion_card(self.files["motion"]), wording=self.wording, generator=self.generator)


@dataclass(frozen=True)
class MotionCard:
    """What a motion model says it was made with; None where it does not say."""

    wording: Wording
    generator: ModelId | None
    clip: ModelId | None
    mean_picture: Embedding | None = field(default=None, compare=False)
    """Mean CLIP embedding [1 c], of unit length, of the pictures it was trained with. It stands in where no picture is
    given: such a model overshoots without any (on the doodle domain "surprised" sheds tears)."""


@dataclass(frozen=True)
class Domain:
    """Generator, encoder, CLIP and motion model that were made for each other, and the words they know."""

    name: str
    generator: Generator
    encoder: Encoder
    clip: ClipModel
    motion: MotionModel
    wording: Wording
    framing: Framing = FFHQ
    """Where in its pictures the faces are: `align` gives the squares that `invert` expects."""
    detector: DomainDetector | None = None
    """Finds this domain's faces, where other finders do not."""

    @property
    def prompts(self) -> tuple[str, ...]:
        """The trained prompts, such as 'smiling'."""
        return tuple(self.wording.sentences)

    @torch.no_grad()
    def invert(self, images: Images, refine_steps: int = REFINE_STEPS) -> WPlus:
        """Faces [n num_ws w_dim] that look like the pictures [n 3 h w] in -1..1, cropped to their central square.

        The encoder's codes, brought closer by `refine_steps` of optimisation (0: the encoder's alone).
        """
        square = fit_square(images.to(self.encoder.latent_avg), self.generator.config.resolution)
        return refine(self.generator, self.encoder(square), square, refine_steps)

    @torch.no_grad()
    def embed(self, prompt: str) -> Embedding:
        """Unit embedding [1 c] of the sentence that `prompt` stands for.

        Raises InputError for a text that is empty, too long or made of unknown words only, whatever the template adds
        around it; warns about unknown words in others.
        """
        sentence = self.wording.sentence(prompt)
        self.clip.check_text(prompt)
        return self.clip.encode_text([sentence])

    @torch.no_grad()
    def motion_for(self, prompt: str, ws: WPlus, num_frames: int = 16, strength: float = 1.0, seed: int = 0) -> Motion:
        """The motion [n num_frames num_ws w_dim] that makes the faces `ws` [n num_ws w_dim] do what `prompt` says.

        Raises InputError for a text or a number that cannot be used.
        """
        if not math.isfinite(strength):
            raise InputError(f"The strength is {strength}; it must be a number, 1 for the motion as it was trained.")
        picture = self.clip.encode_images(draw(self.generator, ws))
        return self.motion(self.embed(prompt), picture, num_frames, strength, seed)


def load_domain(name_or_path: str | PathLike[str] = DEFAULT_DOMAIN, device: str | torch.device = "cpu") -> Domain:
    """The domain embedded under this name, or in this folder.

    Raises InputError when there is no such domain, CheckpointError when a file of it is missing or damaged, and
    MismatchError when its files were not made for each other.
    """
    card = read_domain(name_or_path)
    domain = Domain(
        name=card.name,
        generator=load_generator(card.files["generator"]).to(device),
        encoder=load_encoder(card.files["encoder"]).to(device),
        clip=load_clip(card.files["clip"], device=device),
        motion=load_motion(card.files["motion"]).to(device),
        wording=card.wording,
        framing=card.framing,
        detector=None if card.detector is None else load_detector(card.detector).to(device),
    )
    _check_parts(domain, card)
    return domain


def read_domain(name_or_path: str | PathLike[str]) -> DomainCard:
    """What the domain embedded under this name, or in this folder, consists of, without reading its models.

    Raises InputError when there is no such domain, CheckpointError when a file of it is missing or domain.json is
    damaged.
    """
    folder = EMBEDDED.get(str(name_or_path), Path(name_or_path))
    if folder.name == "domain.json":
        folder = folder.parent
    if not folder.is_dir() and folder not in EMBEDDED.values():
        names = ", ".join(f"'{name}'" for name in EMBEDDED)
        raise InputError(f"There is no domain '{name_or_path}'. Embedded: {names}. Else give the path of its folder.")
    card = _read_card(folder / "domain.json")
    return DomainCard(
        path=folder / "domain.json",
        name=card["name"],
        wording=Wording(card["template"], {entry["prompt"]: entry["sentence"] for entry in card["prompts"]}),
        files={part: _find(folder, part, card["files"][part]) for part in PARTS},
        generator=ModelId(card["fingerprint"], card["name"]),
        framing=Framing(**card["framing"]) if "framing" in card else FFHQ,
        detector=_find(folder, "finder", card["files"]["finder"]) if "finder" in card["files"] else None,
    )


def read_motion_card(path: str | PathLike[str]) -> MotionCard:
    """What a motion model's file says of its words, its generator and its CLIP model.

    A file that says nothing of its words gets the paper's template, "The person is {}.". Raises CheckpointError.
    """
    said = read_metadata(path, "animator")

    try:
        wording = Wording.read(said) if "template" in said else Wording(PAPER_TEMPLATE, {})
    except InputError as err:
        raise CheckpointError(f"{path}: its template and prompts are invalid: {err}. Make the file again.") from err
    made_for, trained_with = (ModelId.in_metadata(said, part) for part in ("generator", "clip"))
    return MotionCard(wording, made_for, trained_with, _mean_picture(path, said))


def _mean_picture(path: str | PathLike[str], said: Mapping[str, Any]) -> Embedding | None:
    numbers, width = said.get("mean_picture"), said["architecture"].get("code_dim")
    if numbers is None:
        return None
    if not isinstance(numbers, list) or len(numbers) != width or not all(isinstance(x, (int, float)) for x in numbers):
        raise CheckpointError(f"{path}: its mean_picture needs to be a list of {width} numbers. Make the file again.")
    return torch.tensor([numbers], dtype=torch.float32)


def _read_card(path: Path) -> dict[str, Any]:
    if not path.is_file():
        remedy = (
            "This installation came without the embedded domain: install it again, or make it with `lga demo build`."
            if path.parent in EMBEDDED.values()
            else "Give the folder of a domain, which holds domain.json beside its model files."
        )
        raise CheckpointError(f"There is no {path}. {remedy}")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise CheckpointError(f"{path} cannot be read as JSON ({err}). Fetch or make the domain again.") from err
    wrong = _first_fault(card)
    if wrong:
        raise CheckpointError(f"{path} {wrong}. Fetch or make the domain again.")
    return card


def _first_fault(card: Any) -> str | None:
    """What is wrong with the content of a domain.json, in words that follow its name; None if nothing is."""
    if not isinstance(card, dict):
        return "does not hold a JSON object"
    for key in ("name", "template", "fingerprint"):
        if not isinstance(card.get(key), str):
            return f"needs a text '{key}', but has {card.get(key)!r}"
    if card["template"].count("{}") != 1:
        return f"needs a template with one {{}} for the prompt, but has {card['template']!r}"
    files, prompts = card.get("files"), card.get("prompts")
    if not isinstance(files, dict) or not all(isinstance(files.get(part), str) for part in PARTS):
        return f"needs a file name for each of {', '.join(PARTS)} under 'files', but has {files!r}"
    if not isinstance(files.get("finder", ""), str):
        return f"needs the face detector's file name as 'finder' under 'files', but has {files['finder']!r}"
    if "framing" in card and not _is_framing(card["framing"]):
        needed = "numbers 'down', 'eyes' and 'mouth', the last two above 0,"
        return f"needs {needed} as its 'framing', but has {card['framing']!r}"
    if not isinstance(prompts, list) or not prompts:
        return "needs a list of 'prompts', the ones that the motion model was trained on"
    for entry in prompts:
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("prompt", "sentence")):
            return f"needs a 'prompt' and a 'sentence' in each of its prompts, but has {entry!r}"
    return None


def _is_framing(said: Any) -> bool:
    if not isinstance(said, dict) or said.keys() != {"down", "eyes", "mouth"}:
        return False
    are_numbers = all(type(number) in (int, float) and math.isfinite(number) for number in said.values())
    return are_numbers and said["eyes"] > 0 and said["mouth"] > 0


def _find(folder: Path, part: str, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise CheckpointError(f"The domain in {folder} has no {part}: {path} is missing. Fetch or make it again.")
    return path


def _check_parts(domain: Domain, card: DomainCard) -> None:
    files = card.files
    rows = (domain.generator.num_ws, domain.generator.config.w_dim)
    for part, config in (("encoder", domain.encoder.config), ("motion", domain.motion.config)):
        if (config.num_ws, config.w_dim) != rows:
            raise MismatchError(
                f"{files[part]} is for {config.num_ws} style vectors of width {config.w_dim}, but the generator beside "
                f"it draws from {rows[0]} of width {rows[1]}. Take all files from one domain."
            )
    if domain.motion.config.code_dim != domain.clip.embed_dim:
        raise MismatchError(
            f"{files['motion']} needs CLIP embeddings of size {domain.motion.config.code_dim}, but {files['clip']} "
            f"makes them of size {domain.clip.embed_dim}. Take all files from one domain."
        )
    check_fingerprint(card.generator.fingerprint, domain.generator, f"The domain.json beside {files['generator']}")
    for part in ("encoder", "motion"):
        made_for = read_metadata(files[part]).get("generator_fingerprint")
        if made_for is not None:
            check_fingerprint(made_for, domain.generator, str(files[part]))
    if card.motion.clip is not None:
        found = ModelId(domain.clip.fingerprint, domain.clip.name)
        card.motion.clip.check(found, f"{files['motion']} was trained with the CLIP model", f"{files['clip']} is")
