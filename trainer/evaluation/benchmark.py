"""On what methods are compared: faces that nobody trained on, and networks that look at what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from lga_core import ClipModel, Domain, Images, InputError, WPlus, load_clip
from lga_core.metrics import find_identity_similarity, find_perceptual_distance, load_identity
from lga_core.rendering import draw
from lga_core.shapes import Embedding

from ..data.faces import find_pictures, read_pictures
from ..data.prompts import Prompt, PromptSet
from ..domain_plugin import find_judge, plugin_for
from ..metrics.evaluation_setup import EvaluationSetup, Features, Network, Networks
from ..metrics.judges import Judge

PSI = 0.7
FACES_FROM = 7_000_000
"""Seed of the first face: far from those of trainings, which count from 0."""
BATCH = 16


@dataclass(frozen=True)
class UserFiles:
    """Files that a person brings, for figures that need them."""

    reference: Path | None = None
    identity: Path | None = None
    inception: Path | None = None
    scorer: Path | None = None
    blendshapes: Path | None = None


def find_evaluation_setup(domain: Domain, files: UserFiles, fingerprint: str) -> EvaluationSetup:
    """The domain's own, where its plugin brings one; else what the generator and the files allow.

    Raises InputError or CheckpointError for a file that does not fit.
    """
    judge = find_judge(fingerprint, files.blendshapes)
    if (evaluation := plugin_for(fingerprint).evaluation) is not None:
        return evaluation(domain, judge, _scorer(files.scorer))
    return _plain_setup(domain, files, judge)


def _plain_setup(domain: Domain, files: UserFiles, judge: Judge | None) -> EvaluationSetup:
    network = None if files.identity is None else load_identity(files.identity)
    likeness = find_identity_similarity(domain.generator, network, domain.clip, domain.encoder)
    features = None if files.inception is None else inception(files.inception)
    found = Networks(
        Network(likeness.embed, likeness.label),
        find_perceptual_distance(domain.clip, domain.generator.config.resolution),
        features,
        _scorer(files.scorer),
        judge,
        _missing(features, files, judge),
    )
    prompts = tuple(Prompt(prompt, sentence) for prompt, sentence in domain.wording.sentences.items())
    reference, label = _reference(domain, files.reference)
    return EvaluationSetup(
        lambda count: unseen_faces(domain, count),
        reference,
        label,
        found,
        PromptSet(domain.name, domain.wording.template, prompts),
    )


def _missing(features: Network | None, files: UserFiles, judge: Judge | None) -> dict[str, str]:
    missing = {}
    if features is None:
        missing["fid"] = "bring torch-fidelity's InceptionV3 (--inception FILE) and pip install torch-fidelity"
    if files.scorer is None:
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
