"""A domain: everything that one kind of face needs to be animated with words, in one folder.

The folder holds domain.json and four model files:

    {
      "name": "doodle",
      "template": "The cartoon face is {}.",
      "prompts": [{"prompt": "smiling", "sentence": "The cartoon face is smiling."}, ...],
      "files": {"generator": "generator.safetensors", "encoder": ..., "clip": ..., "motion": ...},
      "fingerprint": the generator's
    }
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from .checkpoints import check_fingerprint, load_encoder, load_generator, load_motion, read_metadata
from .clip import ClipModel, load_clip
from .errors import CheckpointError, InputError, MismatchError
from .images import fit_square
from .inversion import Encoder, refine
from .motion import MotionModel
from .shapes import Embedding, Images, Motion, WPlus
from .stylegan2 import Generator

EMBEDDED = {"doodle": Path(__file__).parent / "demo"}
"""Domains that come with this library, by name."""
PARTS = ("generator", "encoder", "clip", "motion")
REFINE_STEPS = 20
_VERBS = ("is", "are", "has", "looks", "wears")


@dataclass(frozen=True)
class Domain:
    """Generator, encoder, CLIP and motion model that were made for each other, and the words they know."""

    name: str
    generator: Generator
    encoder: Encoder
    clip: ClipModel
    motion: MotionModel
    template: str
    """Sentence around a bare prompt, with {} in its place (the method needs full sentences, Hang et al. 2023, IV-F)."""
    sentences: Mapping[str, str]
    """What the motion model was trained on: prompt -> sentence."""

    @property
    def prompts(self) -> tuple[str, ...]:
        """The trained prompts, such as 'smiling'."""
        return tuple(self.sentences)

    @torch.no_grad()
    def invert(self, images: Images, refine_steps: int = REFINE_STEPS) -> WPlus:
        """Faces [n num_ws w_dim] that look like the pictures [n 3 h w] in -1..1, cropped to their central square.

        The encoder's codes, brought closer by `refine_steps` of optimisation (0: the encoder's alone).
        """
        square = fit_square(images.to(self.encoder.latent_avg), self.generator.config.resolution)
        return refine(self.generator, self.encoder(square), square, refine_steps)

    def sentence(self, prompt: str) -> str:
        """The sentence that `prompt` stands for: its own when trained, itself when it is one, else the template's.

        'smiling' -> 'The cartoon face is smiling.'; 'has red hair' -> 'The cartoon face has red hair.'; 'It is stormy'
        -> 'It is stormy.' Raises InputError for a text without words.
        """
        text = " ".join(prompt.split())
        bare = text.rstrip(".!").strip()
        if not bare:
            raise InputError(f"The text is empty. Write what should happen, such as '{self.prompts[0]}'.")
        for known, sentence in self.sentences.items():
            if bare.lower() == known.lower():
                return sentence
        words = bare.lower().split()
        subject, is_template, _ = self.template.partition(" is {}")
        if words[0] in _VERBS and is_template:
            return f"{subject} {bare}."
        if any(verb in words[1:] for verb in _VERBS) or (text.endswith(".") and len(words) > 2):
            return text if text != bare else f"{text}."
        return self.template.replace("{}", bare)

    @torch.no_grad()
    def embed(self, prompt: str) -> Embedding:
        """Unit embedding [1 c] of the sentence that `prompt` stands for.

        Raises InputError for a text that is empty, too long or made of unknown words only, whatever the template adds
        around it; warns about unknown words in others.
        """
        sentence = self.sentence(prompt)
        self.clip.check_text(prompt)
        return self.clip.encode_text([sentence])

    @torch.no_grad()
    def nearest(self, prompt: str) -> list[tuple[str, float]]:
        """The trained prompts with the cosine of each one's sentence to `prompt`'s, nearest first."""
        known = self.clip.encode_text(list(self.sentences.values()))  # [k c]
        cosines = (known @ self.embed(prompt)[0]).tolist()
        return sorted(zip(self.prompts, cosines, strict=True), key=lambda pair: -pair[1])

    @torch.no_grad()
    def motion_for(self, prompt: str, ws: WPlus, num_frames: int = 16, strength: float = 1.0, seed: int = 0) -> Motion:
        """The motion [n num_frames num_ws w_dim] that makes the faces `ws` [n num_ws w_dim] do what `prompt` says.

        Raises InputError for a text or a number that cannot be used.
        """
        if not math.isfinite(strength):
            raise InputError(f"The strength is {strength}; it must be a number, 1 for the motion as it was trained.")
        picture = self.clip.encode_images(self.generator.synthesis(ws))
        return self.motion(self.embed(prompt), picture, num_frames, strength, seed)


def load_domain(name_or_path: str | PathLike[str] = "doodle", device: str | torch.device = "cpu") -> Domain:
    """The domain embedded under this name, or in this folder.

    Raises InputError when there is no such domain, CheckpointError when a file of it is missing or damaged, and
    MismatchError when its files were not made for each other.
    """
    folder = EMBEDDED.get(str(name_or_path), Path(name_or_path))
    if folder.name == "domain.json":
        folder = folder.parent
    if not folder.is_dir() and folder not in EMBEDDED.values():
        names = ", ".join(f"'{name}'" for name in EMBEDDED)
        raise InputError(f"There is no domain '{name_or_path}'. Embedded: {names}. Else give the path of its folder.")
    card = _read_card(folder / "domain.json")
    files = {part: _find(folder, part, card["files"][part]) for part in PARTS}
    domain = Domain(
        name=card["name"],
        generator=load_generator(files["generator"]).to(device),
        encoder=load_encoder(files["encoder"]).to(device),
        clip=load_clip(files["clip"], device=device),
        motion=load_motion(files["motion"]).to(device),
        template=card["template"],
        sentences={entry["prompt"]: entry["sentence"] for entry in card["prompts"]},
    )
    _check_parts(domain, card, files)
    return domain


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
    if not isinstance(prompts, list) or not prompts:
        return "needs a list of 'prompts', the ones that the motion model was trained on"
    for entry in prompts:
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("prompt", "sentence")):
            return f"needs a 'prompt' and a 'sentence' in each of its prompts, but has {entry!r}"
    return None


def _find(folder: Path, part: str, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise CheckpointError(f"The domain in {folder} has no {part}: {path} is missing. Fetch or make it again.")
    return path


def _check_parts(domain: Domain, card: dict[str, Any], files: Mapping[str, Path]) -> None:
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
    check_fingerprint(card["fingerprint"], domain.generator, f"The domain.json beside {files['generator']}")
    for part in ("encoder", "motion"):
        made_for = read_metadata(files[part]).get("generator_fingerprint")
        if made_for is not None:
            check_fingerprint(made_for, domain.generator, str(files[part]))
