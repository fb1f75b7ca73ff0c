"""Words and what they are true of: each concept is a margin on attributes, and the phrases people say it with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..attributes import Attributes, AttributeSpace

Rule = Callable[[Callable[[str], Tensor]], list[Tensor]]
"""(attribute's name -> its values [n]) -> margins [n]."""


@dataclass(frozen=True)
class Concept:
    """`rule` lists margins (attribute minus threshold, or the reverse); the concept is true where all are positive.

    `words` fill the templates of `kind`. `held_out` words mean the same: CLIP learns them, no motion is trained on
    them. `weight` is how readily captions speak of the concept.
    """

    kind: str
    rule: Rule
    words: tuple[str, ...]
    held_out: tuple[str, ...] = ()
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Lexicon:
    """What can be said of a domain's faces.

    Attributes:
        concepts: by name; the prompts come first, in the order of `attributes.prompts`.
        templates: sentences around the words of each kind of concept; the first one makes the prompt's own sentence.
        template: the sentence around a prompt that an artist types.
        subject: what most sentences begin with; contact sheets leave it out.
        neutral_phrases: captions of faces without an expression.
    """

    attributes: AttributeSpace
    concepts: Mapping[str, Concept]
    templates: Mapping[str, tuple[str, ...]]
    template: str
    subject: str
    neutral_phrases: tuple[str, ...]
    sentences: Mapping[str, str]
    """The sentence of each prompt."""

    def __post_init__(self) -> None:
        prompts = self.attributes.prompts
        if self.names[: len(prompts)] != prompts:
            raise ValueError("the first concepts must be the prompts, in their order")

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(self.concepts)

    def margins(self, faces: Attributes) -> Float[Tensor, "n concepts"]:
        """Signed margin of every concept; positive where it is true, near zero where a person would hesitate."""

        def values(name: str) -> Tensor:
            return faces[:, self.attributes.column[name]]

        return torch.stack([torch.stack(c.rule(values)).amin(dim=0) for c in self.concepts.values()], dim=1)

    def truth(
        self, faces: Attributes, doubt: float = 0.1
    ) -> tuple[Bool[Tensor, "n concepts"], Bool[Tensor, "n concepts"]]:
        """Which concepts hold, and where that is beyond doubt."""
        margin = self.margins(faces)
        return margin > 0, margin.abs() > doubt

    def held_out_sentences(self) -> dict[str, str]:
        """Sentence with a word that no motion was trained on -> the prompt it means."""
        return {
            self.templates[self.concepts[prompt].kind][0].format(word): prompt
            for prompt in self.attributes.prompts
            for word in self.concepts[prompt].held_out
        }
