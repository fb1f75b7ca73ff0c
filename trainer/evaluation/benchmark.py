"""The evaluation setup of a domain: held-out faces, prompts, reference images, and the networks that score videos."""

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
FACES_SEED = 7_000_000
"""Seed of the first face: far from those of trainings, which count from 0."""
REFERENCE_SEED = FACES_SEED + 100_000
BATCH = 16


@dataclass(frozen=True)
class UserFiles:
    """Files that the user provides for metrics that need them."""

    reference: Path | None = None
    identity: Path | None = None
    inception: Path | None = None
    scorer: Path | None = None
    blendshapes: Path | None = None


def find_evaluation_setup(domain: Domain, files: UserFiles, fingerprint: str) -> EvaluationSetup:
    """The setup of the domain's plugin, if it has one; else what the generator and the files allow.

    Raises InputError or CheckpointError for a file that does not fit.
    """
    judge = find_judge(fingerprint, files.blendshapes)
    scorer = None if files.scorer is None else load_clip(str(files.scorer))
    if (evaluation := plugin_for(fingerprint).evaluation) is not None:
        return evaluation(domain, judge, scorer)
    return _generic_setup(domain, files, judge, scorer)


def _generic_setup(domain: Domain, files: UserFiles, judge: Judge | None, scorer: ClipModel | None) -> EvaluationSetup:
    arcface = None if files.identity is None else load_identity(files.identity)
    identity = find_identity_similarity(domain.generator, arcface, domain.clip, domain.encoder)
    features = None if files.inception is None else inception(files.inception)
    networks = Networks(
        Network(identity.embed, identity.label),
        find_perceptual_distance(domain.clip, domain.generator.config.resolution),
        features,
        scorer,
        judge,
        _missing(features, scorer, judge),
    )
    prompts = tuple(Prompt(prompt, sentence) for prompt, sentence in domain.wording.sentences.items())
    reference, label = _reference(domain, files.reference)
    return EvaluationSetup(
        lambda count: held_out_faces(domain, count),
        reference,
        label,
        networks,
        PromptSet(domain.name, domain.wording.template, prompts),
    )


def _missing(features: Network | None, scorer: ClipModel | None, judge: Judge | None) -> dict[str, str]:
    """Missing metrics, each with what to provide for it."""
    missing = {}
    if features is None:
        missing["fid"] = "give torch-fidelity's InceptionV3 (--inception FILE) and pip install torch-fidelity"
    if scorer is None:
        missing["clip_top1"] = "give a CLIP that the motion was not trained with (--scorer FILE)"
    if judge is None:
        missing["judge_rise"] = "no judge knows this domain's expressions; for human faces, give --blendshapes FILE"
    return missing


def inception(path: Path) -> Network:
    """InceptionV3 from torch-fidelity's file, 2048 features per image. Raises InputError if it is not available."""
    if not path.is_file():
        raise InputError(f"There is no file {path}. Give --inception the path of torch-fidelity's Inception weights.")
    try:
        from torchmetrics.image.fid import NoTrainInceptionV3

        network = NoTrainInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path))
    except ImportError as err:
        raise InputError("FID with InceptionV3 needs torch-fidelity: pip install torch-fidelity.") from err
    return Network(lambda images: network(((images.clamp(-1, 1) + 1) * 127.5).round().byte()), "InceptionV3")


def held_out_faces(domain: Domain, count: int) -> WPlus:
    """The same first faces for any `count`."""
    return domain.generator.sample(range(FACES_SEED, FACES_SEED + count), PSI)


def _reference(domain: Domain, folder: Path | None) -> tuple[Callable[[int], Iterator[Images]], str]:
    """Reference images for FID, and what reports call them."""
    if folder is not None:
        return lambda count: _images(folder, domain.generator.config.resolution, count), f"images of {folder.name}"
    return lambda count: _samples(domain, count), "samples of the generator (psi 1); give images with --reference DIR"


def _images(folder: Path, size: int, count: int) -> Iterator[Images]:
    good, _, read = read_pictures(find_pictures(folder), size)
    for indices in torch.arange(min(count, len(good))).split(BATCH):
        yield torch.cat([read(int(index)) for index in indices])


def _samples(domain: Domain, count: int) -> Iterator[Images]:
    for seeds in torch.arange(REFERENCE_SEED, REFERENCE_SEED + count).split(BATCH):
        yield draw(domain.generator, domain.generator.sample(seeds.tolist(), 1.0))


def in_batches(embed: Features, images: Images) -> Embedding:
    """`embed` of many images, computed `BATCH` at a time."""
    return torch.cat([embed(part) for part in images.split(BATCH)])
