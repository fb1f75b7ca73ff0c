"""StyleCLIP's global directions: from a text to an edit in StyleSpace that is the same for every face.

Patashnik et al. 2021, section 6. Each channel changes in proportion to the cosine between its effect on images and the
difference of two texts; channels below the threshold beta do not change.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ...clip.model import ClipModel
from ...errors import InputError, MismatchError
from ...shapes import Motion
from ...stylegan2.stylespace import StyleSpace
from .channel_relevance import ChannelRelevance
from .interpolation import linear_motion

BETAS = [step / 100 for step in range(29, 9, -1)]
"""Thresholds of the automatic choice, the strictest first (as published)."""
MIN_CHANNELS = 20
"""The automatic threshold keeps more channels than this (published for human faces; 100 for other domains)."""


@dataclass(frozen=True, eq=False)
class StyleDirection:
    """A global direction in StyleSpace.

    styles: offsets [s] to every face's styles for alpha = 1. beta: the threshold that was used. asked: the requested
    threshold, None for the automatic one.
    """

    styles: Float[Tensor, "s"]
    beta: float
    asked: float | None

    @property
    def num_channels(self) -> int:
        """Number of channels that change."""
        return int(self.styles.count_nonzero())

    @property
    def lowered(self) -> bool:
        """Whether beta was lowered because no channel reached it."""
        return self.asked is not None and self.beta < self.asked

    def motion(self, space: StyleSpace, alpha: float = 3.0, num_frames: int = 16) -> Motion:
        """Linear motion to styles + alpha times the direction, [1 num_frames num_ws w_dim+channels], for `space.wide`.

        Raises InputError for fewer than one frame or an infinite alpha, MismatchError for another generator.
        """
        if not math.isfinite(alpha):
            raise InputError(f"alpha is {alpha}; it must be finite, for example 3, or negative for the opposite edit.")
        if len(self.styles) != space.num_channels:
            raise MismatchError(
                f"The direction has {len(self.styles)} style channels, but this generator has {space.num_channels}. "
                "Compute the direction for this generator."
            )
        return linear_motion(space.offsets(alpha * self.styles[None]), num_frames)


def imagenet_sentences(text: str) -> list[str]:
    """`text` in the 80 ImageNet templates of CLIP's authors, such as "a photo of a big smile."."""
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    return [template(text) for template in OPENAI_IMAGENET_TEMPLATES]


@torch.no_grad()
def text_direction(clip: ClipModel, target: Sequence[str], neutral: Sequence[str]) -> Float[Tensor, "c"]:
    """Text direction: unit vector [c] from the `neutral` to the `target` sentences in CLIP's embedding space.

    Each side is the normalised mean of the embeddings of its sentences, one or more.
    Raises InputError for invalid texts and for two texts with the same embedding. Warns once of unknown words.
    """
    sentences = [*target, *neutral]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # once for all sentences, below
        means = [F.normalize(clip.encode_text(texts).mean(dim=0), dim=0) for texts in (target, neutral)]
    if unknown := list(dict.fromkeys(word for text in sentences for word in clip.unknown_words(text))):
        warnings.warn(f"CLIP '{clip.name}' does not know {', '.join(unknown)} and ignores it.", stacklevel=3)
    difference = means[0] - means[1]
    if difference.norm() < 1e-6:
        raise InputError(f"CLIP '{clip.name}' has one embedding for '{target[0]}' and '{neutral[0]}'. Change one.")
    return F.normalize(difference, dim=0)


def style_direction(
    found: ChannelRelevance, towards: Float[Tensor, "c"], beta: float | None = None, min_channels: int = MIN_CHANNELS
) -> StyleDirection:
    """The global direction in StyleSpace for a text direction (Patashnik et al. 2021, section 6).

    With r_c the cosine between channel c's effect and `towards`, channel c changes by its standard deviation times
    r_c / max |r|, and not at all if |r_c| < beta.

    Args:
        found: channel relevance of the generator, with the CLIP model of `towards`.
        towards: a `text_direction`, [c].
        beta: threshold on |r_c|, 0.08 to 0.4 as published; a lower one changes more channels and entangles more. None:
            the largest of 0.29 .. 0.10 that keeps more than `min_channels` channels, or else 0.10. If no channel
            passes, the best `min_channels` channels are kept instead, with a warning if beta was given: the published
            code divides by zero there and its images are black.
        min_channels: see `beta`.

    Raises InputError for a beta outside 0..1 or no effective channel, MismatchError for another CLIP's `towards`.
    """
    if beta is not None and not 0 <= beta <= 1:
        raise InputError(f"beta is {beta}; it must be from 0 (all channels) to 1. Published: 0.08 to 0.4.")
    if towards.shape != found.directions.shape[1:]:
        raise MismatchError(
            f"The text direction has shape {list(towards.shape)}, but the channel relevance was computed by a CLIP of "
            f"size {found.directions.shape[1]}. Use one CLIP model for both."
        )
    agreement = found.directions @ towards.to(found.directions)  # [s]
    most = agreement.abs().max()
    if not most > 0:
        raise InputError("No style channel of the generator agrees with the text direction. Use other texts.")
    used = _lowered_beta(agreement, automatic_beta(agreement, min_channels) if beta is None else beta, min_channels)
    if beta is not None and used < beta:
        warnings.warn(
            f"No style channel reaches beta = {beta:g} (the best has {most:.3f}): beta is lowered to {used:.3f}.",
            stacklevel=2,
        )
    kept = torch.where(agreement.abs() >= used, agreement, 0)
    return StyleDirection(kept / most * found.deviation, used, beta)


def automatic_beta(agreement: Float[Tensor, "s"], min_channels: int = MIN_CHANNELS) -> float:
    """The largest of `BETAS` that keeps more than `min_channels` channels; the smallest if none does."""
    enough = (beta for beta in BETAS if int((agreement.abs() >= beta).sum()) > min_channels)
    return next(enough, BETAS[-1])


def _lowered_beta(agreement: Float[Tensor, "s"], beta: float, min_channels: int) -> float:
    """`beta`, or if it keeps no channel, the threshold that keeps the best `min_channels`."""
    best = agreement.abs().sort(descending=True).values
    return beta if float(best[0]) >= beta else float(best[min(max(min_channels, 1), len(best)) - 1])
