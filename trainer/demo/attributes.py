"""Named attributes of a domain's rendered faces: how they are sampled, and what each prompt changes.

A face is one row of an attribute tensor [n k].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

Attributes = Float[Tensor, "n k"]


@dataclass(frozen=True, eq=False)
class AttributeSpace:
    """The attributes of one domain.

    Attributes:
        names: one for each column.
        expression: those that an expression moves; all others are of the person and the scene.
        expression_prompts: prompts whose preset is an expression.
        other_prompts: prompts whose preset changes anything else, such as hair or weather.
        from_normal: standard normal numbers [n k] -> faces, the prior over seeds.
        sample: (n, rng) -> training faces with all their expressions, and the preset that each one shows ("": none).
        sample_neutral: (n, rng) -> neutral faces on which every prompt is still to happen.
        with_preset: (faces, prompt) -> the same faces with the full change that the prompt names, nothing else changed.
        bounded: faces -> attributes cut to what the renderer draws.
        named: the attributes that each prompt names.
        sides: prompts that are a difference between two attributes, such as a wink, whichever side it is on.
        preserved: the attributes that a prompt must leave as they are.
        person: attributes that tell people apart; clothes, weather and pose do not.
        restyled: attributes that hard negatives of CLIP exaggerate.
        one_sided: expression attributes that are 0 at rest and only ever rise.
        sway: pose attributes that move in rendered videos, with the width of their movement.
        lids: the attributes that close the eyes.
    """

    names: tuple[str, ...]
    expression: tuple[str, ...]
    expression_prompts: tuple[str, ...]
    other_prompts: tuple[str, ...]
    from_normal: Callable[[Attributes], Attributes]
    sample: Callable[[int, torch.Generator], tuple[Attributes, list[str]]]
    sample_neutral: Callable[[int, torch.Generator], Attributes]
    with_preset: Callable[[Attributes, str], Attributes]
    bounded: Callable[[Attributes], Attributes]
    named: Mapping[str, tuple[str, ...]]
    preserved: Mapping[str, tuple[str, ...]]
    person: tuple[str, ...]
    restyled: tuple[str, ...]
    one_sided: tuple[str, ...]
    sway: Mapping[str, float]
    lids: tuple[str, ...]
    sides: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @cached_property
    def column(self) -> Mapping[str, int]:
        return {name: column for column, name in enumerate(self.names)}

    @property
    def prompts(self) -> tuple[str, ...]:
        return (*self.expression_prompts, *self.other_prompts)

    def __len__(self) -> int:
        return len(self.names)

    def columns(self, names: Sequence[str]) -> list[int]:
        return [self.column[name] for name in names]

    def named_change(self, prompt: str, before: Attributes, after: Attributes) -> Float[Tensor, "n"]:
        """Change of the attributes that `prompt` names, each 1 for the change that the full preset makes."""
        if prompt in self.sides:
            sides = self.columns(self.sides[prompt])
            return (after[:, sides].diff(dim=1).abs() - before[:, sides].diff(dim=1).abs())[:, 0]
        start = self.sample_neutral(1, torch.Generator().manual_seed(0))
        full = (self.with_preset(start, prompt) - start)[0]
        changes = [(after - before)[:, i] / full[i] for i in self.columns(self.named[prompt])]
        return torch.stack(changes).mean(dim=0)
