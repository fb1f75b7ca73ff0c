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
    """Something that turns pictures [n c h w] in -1..1 into vectors, and its name for reports."""

    look: Features
    label: str


@dataclass(frozen=True)
class Networks:
    """What looks at clips. Where one is missing, `missing` says of its figures what to bring.

    identity: who a face is. features: what Frechet distances are taken of. scorer: a CLIP that nothing here was trained
    against. judge: a network that knows whether the words came true.
    """

    identity: Network
    distance: PerceptualDistance
    features: Network | None = None
    scorer: ClipModel | None = None
    judge: Judge | None = None
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationSetup:
    """faces: (count) -> W+ of unseen faces. reference: (count) -> real pictures in chunks, what `reference_label` says.

    prompts: what they are asked to do.
    """

    faces: Callable[[int], WPlus]
    reference: Callable[[int], Iterator[Images]]
    reference_label: str
    networks: Networks
    prompts: PromptSet
