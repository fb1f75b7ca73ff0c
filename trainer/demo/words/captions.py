"""Captions for a batch of faces: one true sentence a face, and which other faces it is true of."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .lexicon import Lexicon

JOINTS = (" and ", ", ", " with ")


def all_phrases(lexicon: Lexicon) -> list[str]:
    """Every single-concept caption there can be; with JOINTS it spans the vocabulary."""
    phrases = [
        template.format(word)
        for concept in lexicon.concepts.values()
        for word in concept.words + concept.held_out
        for template in lexicon.templates[concept.kind]
    ]
    return [*phrases, *lexicon.neutral_phrases, "and , with"]


class Captioner:
    """Draws captions for faces whose concepts are known.

    is_true, is_clear: [faces concepts], from `Lexicon.truth`. Rare concepts are spoken of more often than they occur.
    """

    def __init__(
        self, lexicon: Lexicon, is_true: Bool[Tensor, "n c"], is_clear: Bool[Tensor, "n c"], labels: list[str]
    ) -> None:
        self.lexicon, self.is_true, self.is_clear, self.labels = lexicon, is_true, is_clear, labels
        frequency = is_true.float().mean(dim=0).clamp(min=0.02)
        weight = torch.tensor([concept.weight for concept in lexicon.concepts.values()])
        self.weight: Float[Tensor, "c"] = weight / frequency.sqrt()
        self.plain = ~is_true[:, : len(lexicon.attributes.expression_prompts)].any(dim=1)

    def draw(self, faces: Tensor, rng: torch.Generator) -> tuple[list[str], Bool[Tensor, "b b"], Bool[Tensor, "b b"]]:
        """Captions of `faces` [b]; truth [image caption] and where it is clear (the rest is left out of the loss)."""
        sentences, positive, clear = [], [], []
        names_of_all, neutral = self.lexicon.names, self.lexicon.neutral_phrases
        speakable = (self.is_true & self.is_clear)[faces] * self.weight + 1e-9
        chosen = torch.multinomial(speakable, 2, generator=rng).tolist()
        dice = torch.rand(len(faces), 3, generator=rng).tolist()
        for face, (first, second), (kind, exact, phrase) in zip(faces.tolist(), chosen, dice, strict=True):
            label = self.labels[face]
            if self.plain[face] and kind < 0.15:
                sentences.append(neutral[int(phrase * len(neutral))])
                positive.append(self.plain[faces])
                clear.append(torch.ones(len(faces), dtype=torch.bool))
                continue
            if label in self.lexicon.concepts and exact < 0.6:
                first = names_of_all.index(label)
            names = [first, second] if kind > 0.8 and self.is_true[face, second] and first != second else [first]
            parts = [self._spoken(names_of_all[name], rng) for name in names]
            sentences.append(JOINTS[int(phrase * len(JOINTS))].join(parts))
            positive.append(self.is_true[faces][:, names].all(dim=1))
            clear.append(self.is_clear[faces][:, names].all(dim=1))
        return sentences, torch.stack(positive, dim=1), torch.stack(clear, dim=1)

    def _spoken(self, name: str, rng: torch.Generator) -> str:
        """A random phrase of the concept; its prompt sentence one time in three."""
        concept = self.lexicon.concepts[name]
        words, templates = concept.words + concept.held_out, self.lexicon.templates[concept.kind]
        word, template, plain = torch.rand(3, generator=rng).tolist()
        if plain < 0.33:
            return templates[0].format(concept.words[0])
        return templates[int(template * len(templates))].format(words[int(word * len(words))])
