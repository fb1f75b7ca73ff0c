"""StyleCLIP's global directions: from words to an edit of StyleSpace that is the same for every face.

Patashnik et al. 2021, section 6. Each channel is moved by how much its effect on pictures agrees with the difference of
two texts; channels that agree less than beta stay as they are.
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
"""Thresholds that the automatic choice tries, the strictest first (published)."""
MIN_CHANNELS = 20
"""Channels of which more should move: published for faces of people. For other domains it is 100."""


@dataclass(frozen=True, eq=False)
class StyleDirection:
    """An edit of StyleSpace.

    styles: offsets [s] to every face's styles for alpha = 1. beta: the threshold that was used. asked: the one that was
    asked for, None for the automatic one.
    """

    styles: Float[Tensor, "s"]
    beta: float
    asked: float | None

    @property
    def num_channels(self) -> int:
        """How many channels move."""
        return int(self.styles.count_nonzero())

    @property
    def lowered(self) -> bool:
        """Whether beta was lowered, because nothing would have moved."""
        return self.asked is not None and self.beta < self.asked

    def motion(self, space: StyleSpace, alpha: float = 3.0, num_frames: int = 16) -> Motion:
        """The straight way to styles + alpha times this, [1 num_frames num_ws w_dim + channels], for `space.wide`.

        Raises InputError for fewer than one frame or an alpha that is no number, MismatchError for another generator.
        """
        if not math.isfinite(alpha):
            raise InputError(f"alpha is {alpha}; it must be a number, such as 3, or a negative one for the contrary.")
        if len(self.styles) != space.num_channels:
            raise MismatchError(
                f"The direction is of a generator with {len(self.styles)} style channels, but this one has "
                f"{space.num_channels}. Find it for this generator."
            )
        return linear_motion(space.offsets(alpha * self.styles[None]), num_frames)


def imagenet_sentences(text: str) -> list[str]:
    """`text` in the sentences that CLIP's authors describe ImageNet with, such as "a photo of a big smile."."""
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    return [template(text) for template in OPENAI_IMAGENET_TEMPLATES]


@torch.no_grad()
def text_direction(clip: ClipModel, target: Sequence[str], neutral: Sequence[str]) -> Float[Tensor, "c"]:
    """Unit vector from the `neutral` sentences to the `target` ones in CLIP's space.

    Each is the unit mean of unit embeddings of several wordings; one of each will do, in the template of a domain.
    Raises InputError for texts that cannot be read, and for two that mean the same. Warns of unknown words, once.
    """
    sentences = [*target, *neutral]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of each sentence by itself
        means = [F.normalize(clip.encode_text(texts).mean(dim=0), dim=0) for texts in (target, neutral)]
    if unknown := list(dict.fromkeys(word for text in sentences for word in clip.unknown_words(text))):
        warnings.warn(
            f"CLIP '{clip.name}' was never trained on {', '.join(unknown)}, and passes over it.", stacklevel=3
        )
    difference = means[0] - means[1]
    if difference.norm() < 1e-6:
        raise InputError(f"'{target[0]}' and '{neutral[0]}' mean the same to CLIP '{clip.name}'. Change one of them.")
    return F.normalize(difference, dim=0)


def style_direction(
    found: ChannelRelevance, towards: Float[Tensor, "c"], beta: float | None = None, min_channels: int = MIN_CHANNELS
) -> StyleDirection:
    """The edit of StyleSpace that goes where the texts go.

    With r_c the cosine of channel c's effect and `towards` (a `text_direction`), channel c moves by its standard
    deviation times r_c / max |r|, and not at all where |r_c| < beta.

    Args:
        found: of the generator and of the CLIP model that gave `towards`.
        towards: unit vector.
        beta: threshold on |r_c|, 0.08 to 0.4 as published; a lower one changes more channels and entangles more. None:
            the largest of 0.29 .. 0.10 that keeps more than `min_channels` channels, or else 0.10. If no channel
            passes, the best `min_channels` channels are kept instead, with a warning if beta was given: the published
            code divides by zero there and its images are black.
        min_channels: see `beta`.

    Raises InputError for a beta outside 0..1 and where no channel matters, MismatchError for another CLIP's `towards`.
    """
    if beta is not None and not 0 <= beta <= 1:
        raise InputError(f"beta is {beta}; it must be from 0 (all channels) to 1. Published: 0.08 to 0.4.")
    if towards.shape != found.directions.shape[1:]:
        raise MismatchError(
            f"A text direction of shape {list(towards.shape)} was given, but the channels were looked at by a CLIP "
            f"whose embeddings have {found.directions.shape[1]} numbers. Use one CLIP model for both."
        )
    agreement = found.directions @ towards.to(found.directions)  # [s]
    most = agreement.abs().max()
    if not most > 0:
        raise InputError("No channel of the generator does anything that the texts speak of. Use other texts.")
    used = _lowered_beta(agreement, automatic_beta(agreement, min_channels) if beta is None else beta, min_channels)
    if beta is not None and used < beta:
        warnings.warn(
            f"No channel agrees with the texts by beta = {beta:g} (the best by {most:.3f}): lowered to {used:.3f}.",
            stacklevel=2,
        )
    kept = torch.where(agreement.abs() >= used, agreement, 0)
    return StyleDirection(kept / most * found.deviation, used, beta)


def automatic_beta(agreement: Float[Tensor, "s"], min_channels: int = MIN_CHANNELS) -> float:
    """The largest beta of `BETAS` that leaves more than `min_channels` channels; the least of them where none does."""
    enough = (beta for beta in BETAS if int((agreement.abs() >= beta).sum()) > min_channels)
    return next(enough, BETAS[-1])


def _lowered_beta(agreement: Float[Tensor, "s"], beta: float, min_channels: int) -> float:
    """`beta`, or where it would leave no channel the one that leaves the best `min_channels`."""
    best = agreement.abs().sort(descending=True).values
    return beta if float(best[0]) >= beta else float(best[min(max(min_channels, 1), len(best)) - 1])
