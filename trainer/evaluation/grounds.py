"""On what methods are compared: faces that nobody trained on, and networks that look at what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import (
    ClipModel,
    Domain,
    Embedding,
    Images,
    InputError,
    PerceptualDistance,
    WPlus,
    draw,
    find_distance,
    find_likeness,
    load_clip,
    load_identity,
    read_domain,
)

from ..faces import find_pictures, read_pictures
from ..judges import Judge, find_judge
from ..prompts import Prompt, PromptSet

PSI = 0.7
FACES_FROM = 7_000_000
"""Seed of the first face: far from those of trainings, which count from 0."""
BATCH = 16

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
class Grounds:
    """faces: (count) -> W+ of unseen faces. reference: (count) -> real pictures in chunks, what `reference_label` says.

    prompts: what they are asked to do.
    """

    faces: Callable[[int], WPlus]
    reference: Callable[[int], Iterator[Images]]
    reference_label: str
    networks: Networks
    prompts: PromptSet


@dataclass(frozen=True)
class Brought:
    """Files that a person brings, for figures that need them."""

    reference: Path | None = None
    identity: Path | None = None
    inception: Path | None = None
    scorer: Path | None = None
    blendshapes: Path | None = None


def find_grounds(domain: Domain, brought: Brought, fingerprint: str) -> Grounds:
    """For the embedded domain its own renderer and judge; for others what they have and what is brought.

    Raises InputError or CheckpointError for a file that does not fit.
    """
    judge = find_judge(fingerprint, brought.blendshapes)
    if fingerprint == read_domain("doodle").generator.fingerprint:
        from ..demo.grounds import doodle_grounds

        return doodle_grounds(domain, judge, _scorer(brought.scorer))
    return _plain_grounds(domain, brought, judge)


def _plain_grounds(domain: Domain, brought: Brought, judge: Judge | None) -> Grounds:
    network = None if brought.identity is None else load_identity(brought.identity)
    likeness = find_likeness(domain.generator, network, domain.clip, domain.encoder)
    features = None if brought.inception is None else inception(brought.inception)
    found = Networks(
        Network(likeness.embed, likeness.label),
        find_distance(domain.clip, domain.generator.config.resolution),
        features,
        _scorer(brought.scorer),
        judge,
        _missing(features, brought, judge),
    )
    prompts = tuple(Prompt(prompt, sentence) for prompt, sentence in domain.wording.sentences.items())
    reference, label = _reference(domain, brought.reference)
    return Grounds(
        lambda count: unseen_faces(domain, count),
        reference,
        label,
        found,
        PromptSet(domain.name, domain.wording.template, prompts),
    )


def _missing(features: Network | None, brought: Brought, judge: Judge | None) -> dict[str, str]:
    missing = {}
    if features is None:
        missing["fid"] = "bring torch-fidelity's InceptionV3 (--inception FILE) and pip install torch-fidelity"
    if brought.scorer is None:
        missing["clip_top1"] = "bring a CLIP that the motion was not trained against (--scorer FILE)"
    if judge is None:
        missing["judge_rise"] = "nobody knows this domain's expressions; for people, bring --blendshapes FILE"
    return missing


def _scorer(path: Path | None) -> ClipModel | None:
    return None if path is None else load_clip(str(path))


def inception(path: Path) -> Network:
    """InceptionV3 from torch-fidelity's file, 2048 numbers a picture. Raises InputError where it cannot be had."""
    if not path.is_file():
        raise InputError(f"There is no file {path}. Give --inception the path of torch-fidelity's Inception weights.")
    try:
        from torchmetrics.image.fid import NoTrainInceptionV3

        network = NoTrainInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path))
    except ImportError as err:
        raise InputError("Frechet distances on Inception need torch-fidelity: pip install torch-fidelity.") from err
    return Network(lambda images: network(((images.clamp(-1, 1) + 1) * 127.5).round().byte()), "InceptionV3")


def unseen_faces(domain: Domain, count: int) -> WPlus:
    return domain.generator.sample(range(FACES_FROM, FACES_FROM + count), PSI)


def _reference(domain: Domain, folder: Path | None) -> tuple[Callable[[int], Iterator[Images]], str]:
    if folder is not None:
        return lambda count: _pictures(folder, domain.generator.config.resolution, count), f"pictures of {folder.name}"
    return lambda count: _own_faces(domain, count), "the generator's own random faces (psi 1): bring --reference DIR"


def _pictures(folder: Path, size: int, count: int) -> Iterator[Images]:
    good, _, read = read_pictures(find_pictures(folder), size)
    for indices in torch.arange(min(count, len(good))).split(BATCH):
        yield torch.cat([read(int(index)) for index in indices])


def _own_faces(domain: Domain, count: int) -> Iterator[Images]:
    for seeds in torch.arange(FACES_FROM + 100_000, FACES_FROM + 100_000 + count).split(BATCH):
        yield draw(domain.generator, domain.generator.sample(seeds.tolist(), 1.0))


def in_batches(look: Features, images: Images) -> Embedding:
    """`look` at many pictures, a few at a time."""
    return torch.cat([look(part) for part in images.split(BATCH)])
