"""From what a person writes to a motion: prompts with weights, the sentences they stand for, their embeddings.

Several prompts are mixed as motions, not as embeddings: W+ is linear, so that a motion of 0.7 smiling + 0.3 winking is
exactly that. (On the doodle domain the sum of two motions keeps .8 of the rise of each, the mean of two embeddings
loses most of the second: .09 for blonde hair beside anger.) A negative prompt is subtracted in the same way.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..clip.model import ClipModel
from ..errors import InputError
from ..latents import ModelId
from ..shapes import Embedding, Images, Motion
from .model import MotionModel, Schedule

_VERBS = ("is", "are", "has", "looks", "wears")
_WEIGHT = re.compile(r"^(?P<prompt>.*?)\s*:\s*(?P<weight>[^:]*)$")
_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)$")


@dataclass(frozen=True)
class Wording:
    """How prompts become sentences in one domain, and which ones its motion model was trained on."""

    template: str
    """Sentence around a bare prompt, with {} in its place (the method needs full sentences, Hang et al. 2023, IV-F)."""
    sentences: Mapping[str, str]
    """What the motion model was trained on: prompt -> sentence."""

    def __post_init__(self) -> None:
        if self.template.count("{}") != 1:
            raise InputError(
                f"The template {self.template!r} needs {{}} exactly once, where the prompt goes, as in "
                "'The person is {}.'."
            )

    def sentence(self, prompt: str) -> str:
        """The sentence that `prompt` stands for: its own when trained, itself when it is one, else the template's.

        'smiling' -> 'The cartoon face is smiling.'; 'has red hair' -> 'The cartoon face has red hair.'; 'It is stormy'
        -> 'It is stormy.' Raises InputError for a text without words.
        """
        text = " ".join(prompt.split())
        bare = text.rstrip(".!").strip()
        if not bare:
            example = next(iter(self.sentences), "smiling")
            raise InputError(f"The text is empty. Write what should happen, such as '{example}'.")
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
    def nearest(self, clip: ClipModel, prompt: str) -> list[tuple[str, float]]:
        """The trained prompts with the cosine of each one's sentence to `prompt`'s, nearest first."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unknown words, which are warned of where the prompt is used
            known = clip.encode_text(list(self.sentences.values()))  # [k c]
            cosines = (known @ clip.encode_text([self.sentence(prompt)])[0]).tolist()
        return sorted(zip(self.sentences, cosines, strict=True), key=lambda pair: -pair[1])

    @torch.no_grad()
    def warn_if_far(self, clip: ClipModel, prompt: str) -> None:
        """Warns where `prompt` resembles no trained prompt.

        Far is less than halfway from how much two trained prompts resemble each other, in the mean, to identity: unlike
        sentences have cosines of 0.9 in one CLIP and 0.2 in another, so that no fixed bound serves.
        """
        sentences = list(self.sentences.values())
        if len(sentences) < 2 or self.sentence(prompt) in sentences:
            return
        nearest = self.nearest(clip, prompt)
        embeddings = clip.encode_text(sentences)  # [n c]
        n = len(embeddings)
        unlike = ((embeddings @ embeddings.T).sum() - n) / (n * n - n)
        if nearest[0][1] < (1 + unlike) / 2:
            names = ", ".join(repr(known) for known, _ in nearest[:3])
            warnings.warn(
                f"{prompt!r} is far from every prompt that this domain was trained on, and may do little or anything. "
                f"The nearest are {names}.",
                stacklevel=2,
            )

    def described(self) -> dict[str, Any]:
        """As JSON: what domain.json and a motion model's file say of it."""
        prompts = [{"prompt": prompt, "sentence": sentence} for prompt, sentence in self.sentences.items()]
        return {"template": self.template, "prompts": prompts}

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> Wording:
        """What `described` wrote. Raises InputError where it is not that."""
        template, prompts = described.get("template"), described.get("prompts")
        if not isinstance(template, str) or not isinstance(prompts, list):
            raise InputError(
                f"a text 'template' and a list 'prompts' are needed, but they are {template!r}, {prompts!r}"
            )
        for entry in prompts:
            if not isinstance(entry, dict) or not all(
                isinstance(entry.get(key), str) for key in ("prompt", "sentence")
            ):
                raise InputError(f"a 'prompt' and a 'sentence' are needed in each of the prompts, but one is {entry!r}")
        return cls(template, {entry["prompt"]: entry["sentence"] for entry in prompts})


@dataclass(frozen=True, eq=False)
class Text:
    """What should happen, as CLIP sees it.

    embeddings: unit embeddings of the sentences, [k c]. weights: of each, negative for what should not happen.
    image_embedding: of the faces' pictures, [n c] or [1 c]; None lets the sentences alone start the motion.
    clip: the CLIP model that made the embeddings.
    """

    embeddings: Embedding
    weights: tuple[float, ...]
    sentences: tuple[str, ...]
    image_embedding: Embedding | None
    clip: ModelId

    def to(self, device: torch.device) -> Text:
        """The same on another device."""
        image = self.image_embedding
        return replace(
            self,
            embeddings=self.embeddings.to(device),
            image_embedding=None if image is None else image.to(device),
        )

    def motion(
        self,
        model: MotionModel,
        num_frames: int = 16,
        strength: float = 1.0,
        seed: int | Sequence[int] = 0,
        schedule: Schedule | None = None,
    ) -> Motion:
        """The weighted sum of the sentences' motions, [n num_frames num_ws w_dim], n = 1 without pictures.

        Raises InputError for an impossible number, MismatchError for a model made with another CLIP's size.
        """
        if not math.isfinite(strength):
            raise InputError(f"The strength is {strength}; it must be a number, 1 for the motion as it was trained.")
        total = None
        for index, (embedding, weight) in enumerate(zip(self.embeddings, self.weights, strict=True)):
            part = model(
                embedding[None],
                self.image_embedding,
                num_frames,
                strength * weight,
                seed,
                schedule=schedule,
                visual_strength=float(index == 0),  # the picture's own offset, where a model has one, counts once
            )
            total = part if total is None else total + part
        assert total is not None
        return total


def parse_prompts(text: str) -> list[tuple[str, float]]:
    """Prompts with weights, from one a line: 'smiling' or 'smiling: 0.7'. Empty lines are passed over.

    Raises InputError for a weight that is no number.
    """
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _WEIGHT.match(line)
        if match is None:
            found.append((line, 1.0))
        elif not _NUMBER.match(match["weight"]):
            raise InputError(
                f"{line!r}: what follows the colon should be the prompt's weight, a number as in 'smiling: 0.7', but "
                f"is {match['weight']!r}. Leave colon and weight out for a weight of 1."
            )
        else:
            found.append((match["prompt"], float(match["weight"])))
    return found


@torch.no_grad()
def embed(
    clip: ClipModel,
    wording: Wording,
    text: str,
    negative: str = "",
    image: Images | None = None,
    mean_picture: Embedding | None = None,
) -> Text:
    """What should happen (`text`), and what should not (`negative`), one prompt a line as `parse_prompts` reads them.

    `image` [n 3 h w] in -1..1, the pictures of the faces to move, makes the motion each face's own (z_t + z_v). Without
    it `mean_picture` [1 c] stands in for z_v where the motion model was trained with pictures.

    Raises InputError for a text that is empty, too long or made of unknown words only, whatever the template adds
    around it; warns about unknown words, and about prompts that are far from all trained ones.
    """
    prompts = parse_prompts(text) or [("", 1.0)]  # which fails below, in the words of an empty text
    prompts += [(prompt, -weight) for prompt, weight in parse_prompts(negative)]
    sentences = []
    for prompt, _ in prompts:
        sentences.append(wording.sentence(prompt))
        clip.check_text(prompt)
        wording.warn_if_far(clip, prompt)
    return Text(
        embeddings=clip.encode_text(sentences),
        weights=tuple(weight for _, weight in prompts),
        sentences=tuple(sentences),
        image_embedding=mean_picture if image is None else clip.encode_images(image),
        clip=ModelId(clip.fingerprint, clip.name),
    )
