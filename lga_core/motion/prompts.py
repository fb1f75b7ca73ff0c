"""Prompts to motions: weighted prompts, the sentences made of them by a template, and their CLIP embeddings.

Several prompts are mixed as motions, not as embeddings: offsets in W+ add up linearly. (On the doodle domain the sum of
two motions keeps .8 of each one's rise; the mean of two embeddings loses most of the second: .09 for blonde hair beside
anger.) A negative prompt is subtracted in the same way.
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
    """How prompts become sentences in one domain, and which prompts its motion model was trained on."""

    template: str
    """Sentence around a bare prompt, with {} in its place (the method needs full sentences, Hang et al. 2023, IV-F)."""
    sentences: Mapping[str, str]
    """The prompts that the motion model was trained on: prompt -> sentence."""

    def __post_init__(self) -> None:
        if self.template.count("{}") != 1:
            raise InputError(
                f"The template {self.template!r} must contain {{}} exactly once, in the place of the prompt, as in "
                "'The person is {}.'."
            )

    def sentence(self, prompt: str) -> str:
        """The sentence for `prompt`: a trained prompt's own, the prompt if it is a sentence, else the template's.

        'smiling' -> 'The cartoon face is smiling.'; 'has red hair' -> 'The cartoon face has red hair.'; 'It is stormy'
        -> 'It is stormy.' Raises InputError for an empty text.
        """
        text = " ".join(prompt.split())
        bare = text.rstrip(".!").strip()
        if not bare:
            example = next(iter(self.sentences), "smiling")
            raise InputError(f"The text is empty. Describe the expression, for example '{example}'.")
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
        """The trained prompts with the CLIP cosine of their sentences to that of `prompt`, nearest first."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unknown words: `embed` warns of them
            known = clip.encode_text(list(self.sentences.values()))  # [k c]
            cosines = (known @ clip.encode_text([self.sentence(prompt)])[0]).tolist()
        return sorted(zip(self.sentences, cosines, strict=True), key=lambda pair: -pair[1])

    @torch.no_grad()
    def warn_if_far(self, clip: ClipModel, prompt: str) -> None:
        """Warn if `prompt` is not similar to any trained prompt.

        The threshold is halfway between the mean cosine of two trained prompts and 1: unrelated sentences have cosines
        of 0.9 in one CLIP and 0.2 in another, so that no fixed threshold works.
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
                f"{prompt!r} is far from every prompt that the motion model was trained on; its effect is uncertain. "
                f"The nearest trained prompts are {names}.",
                stacklevel=2,
            )

    def described(self) -> dict[str, Any]:
        """As JSON, for domain.json and a motion model's metadata."""
        prompts = [{"prompt": prompt, "sentence": sentence} for prompt, sentence in self.sentences.items()]
        return {"template": self.template, "prompts": prompts}

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> Wording:
        """The inverse of `described`. Raises InputError for anything else."""
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
    """Encoded prompts: the input of the motion model.

    Attributes:
        embeddings: z_t, unit CLIP embeddings of the sentences, [k c].
        weights: one per sentence, negative for negative prompts.
        sentences: the sentences.
        image_embedding: z_v of the faces' images, [n c] or [1 c]; None: the motion depends on the text alone.
        clip: the CLIP model of the embeddings.
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
        """Weighted sum of the sentences' motions, [n num_frames num_ws w_dim]; n = 1 without image embeddings.

        Raises InputError for an infinite strength or no frames, MismatchError for another CLIP's embedding size.
        """
        if not math.isfinite(strength):
            raise InputError(f"The strength is {strength}; it must be finite. 1 is the motion as trained.")
        total = None
        for index, (embedding, weight) in enumerate(zip(self.embeddings, self.weights, strict=True)):
            part = model(
                embedding[None],
                self.image_embedding,
                num_frames,
                strength * weight,
                seed,
                schedule=schedule,
                visual_strength=float(index == 0),  # the visual mapper's offset counts once
            )
            total = part if total is None else total + part
        assert total is not None
        return total


def parse_prompts(text: str) -> list[tuple[str, float]]:
    """Parse prompts with weights, one per line: 'smiling' or 'smiling: 0.7'. Empty lines are skipped.

    Raises InputError for a weight that is not a number.
    """
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _WEIGHT.match(line)
        if match is None:
            found.append((line, 1.0))
        elif not _NUMBER.match(match["weight"]):
            raise InputError(
                f"{line!r}: the weight after the colon must be a number, as in 'smiling: 0.7', but is "
                f"{match['weight']!r}. Without colon the weight is 1."
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
    """Encode prompts (`text`) and negative prompts (`negative`), one per line, see `parse_prompts`.

    Args:
        clip: the motion model's CLIP.
        wording: template and trained prompts of the domain.
        image: images of the faces, [n 3 h w] in -1..1; they make the motion depend on the face, z^(1) = z_t + z_v.
        mean_picture: mean image embedding [1 c]; replaces z_v if there is no `image` and the motion model was trained
            with images.

    Raises InputError for a text that is empty, too long or has only unknown words, regardless of the template. Warns of
    unknown words and of prompts far from all trained ones.
    """
    prompts = parse_prompts(text) or [("", 1.0)]  # fails below, as an empty prompt
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
