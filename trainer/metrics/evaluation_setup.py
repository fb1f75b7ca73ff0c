"""What methods are compared on: faces, prompts, reference images, and the networks that score videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from lga_core import ClipModel, Images, WPlus
from lga_core.metrics import PerceptualDistance

from ..data.prompts import PromptSet
from .judges import Judge

Features = Callable[[Images], Float[Tensor, "n c"]]


@dataclass(frozen=True)
class Network:
    """A network that embeds images [n 3 h w] in [-1, 1] as features [n c], and its name in reports."""

    embed: Features
    label: str


@dataclass(frozen=True)
class Networks:
    """The networks that score videos. `missing`: metrics whose network is missing, with what to provide for them.

    identity: for ACD. features: for FID. scorer: a CLIP that was used in no training. judge: a network that no loss
    uses, which decides whether an expression appears.
    """

    identity: Network
    distance: PerceptualDistance
    features: Network | None = None
    scorer: ClipModel | None = None
    judge: Judge | None = None
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationSetup:
    """What methods are compared on. faces: (count) -> W+ codes of held-out faces.

    reference: (count) -> reference images in chunks, which reports call `reference_label`. prompts: what the methods
    are asked to show.
    """

    faces: Callable[[int], WPlus]
    reference: Callable[[int], Iterator[Images]]
    reference_label: str
    networks: Networks
    prompts: PromptSet
