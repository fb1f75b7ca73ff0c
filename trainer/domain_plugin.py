"""What a domain may bring to training and evaluation beside its generator and CLIP, and the registry of those that do.

A generator from elsewhere brings nothing: faces and their covariance are sampled from its mapping network, and one CLIP
scores. An embedded domain knows more, from the renderer it was made with. A new one is a folder in demo/ and a line in
`PLUGINS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name

from jaxtyping import Float
from torch import Tensor

from lga_core import CheckpointError, ClipModel, Domain, Generator
from lga_core.domain import read_domain
from lga_core.formats import fingerprint

from .data.videos import Videos
from .metrics.evaluation_setup import EvaluationSetup
from .metrics.judges import BlendshapeJudge, Judge

PLUGINS: Mapping[str, str] = {"doodle": "lga_trainer.demo.doodle.plugin:plugin"}
"""Embedded domain -> "module:function" of its plugin, imported when its generator's fingerprint is met."""
DEFAULT_PROMPTS = "person"


@dataclass(frozen=True)
class DomainPlugin:
    """What a domain brings; by default nothing.

    scorers: further CLIPs that score, as `--score-clips` names them. prompts: the name of a prompt set.
    faces: (count, seed) -> W of faces to train on [count w_dim]; None samples the mapping network.
    w_samples: seed -> W of many faces with all their expressions [n w_dim], whose covariance is W's; None likewise.
    judge: a classifier of expressions that no loss sees.
    videos: (count, num_frames, time_step, size, seed) -> rendered videos for MoCoGAN-HD.
    evaluation: (domain, judge, scorer) -> faces, reference images and networks to evaluate with.
    skips_are_images: the generator's RGB output after each block is a picture at that resolution.
    """

    scorers: tuple[str, ...] = ()
    prompts: str = DEFAULT_PROMPTS
    faces: Callable[[int, int], Float[Tensor, "n w_dim"]] | None = None
    w_samples: Callable[[int], Float[Tensor, "n w_dim"]] | None = None
    judge: Callable[[], Judge] | None = None
    videos: Callable[[int, int, int, int, int], Videos] | None = None
    evaluation: Callable[[Domain, Judge | None, ClipModel | None], EvaluationSetup] | None = None
    skips_are_images: bool = False


def plugin_of(generator: Generator) -> DomainPlugin:
    """The plugin of this generator's domain; an empty one for a generator from elsewhere."""
    return plugin_for(fingerprint(generator))


def plugin_for(generator_fingerprint: str) -> DomainPlugin:
    """As `plugin_of`, by the generator's fingerprint."""
    for name, place in PLUGINS.items():
        try:
            owner = read_domain(name).generator
        except CheckpointError:  # an installation without the embedded domain
            continue
        if owner.fingerprint == generator_fingerprint:
            return resolve_name(place)()
    return DomainPlugin()


def find_judge(generator_fingerprint: str, blendshapes: Path | None = None) -> Judge | None:
    """The judge for a generator's faces: MediaPipe's blendshapes if their file is given, else the domain's own.

    None where there is none: then CLIP's figures stand alone, and only a person can tell whether it was fooled. Raises
    InputError where the file, or MediaPipe, is missing.
    """
    if blendshapes is not None:
        return BlendshapeJudge(blendshapes)
    make = plugin_for(generator_fingerprint).judge
    return None if make is None else make()
