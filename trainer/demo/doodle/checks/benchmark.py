"""What methods are compared on in the doodle domain: calm faces, renders to compare with, and the judge's eyes."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from lga_core import ClipModel, Domain, Images, WPlus
from lga_core.metrics import find_distance

from ....data.prompts import load_prompts
from ....metrics.evaluation_setup import EvaluationSetup, Network, Networks
from ....metrics.judges import Judge
from .. import ASSETS
from ..rendering.attributes import sample, sample_neutral
from ..rendering.renderer import render
from ..stages.generator import AttributeMap
from .identity_features import find_identity_features
from .judge_adapter import DoodleJudge

FACES_SEED, RENDERS_SEED = 70_117, 70_118
BATCH = 32
FACES = 1024
"""Drawn at once, whatever is asked for: the first ones are the same for any number."""


def doodle_evaluation(domain: Domain, judge: Judge | None, scorer: ClipModel | None) -> EvaluationSetup:
    """`judge` stays in the place of its own where it is given; `scorer`: a CLIP that nothing was trained against."""
    places, own = AttributeMap.load(ASSETS / "attribute_map.safetensors"), DoodleJudge()
    network = own.network

    def faces(count: int) -> WPlus:
        calm = sample_neutral(max(count, FACES), torch.Generator().manual_seed(FACES_SEED))[:count]
        return domain.generator.broadcast(places.to_w(calm)).contiguous()

    def renders(count: int) -> Iterator[Images]:
        attributes, _ = sample(count, torch.Generator().manual_seed(RENDERS_SEED))
        return (render(part, domain.generator.config.resolution) for part in attributes.split(BATCH))

    networks = Networks(
        Network(find_identity_features(network), "who the doodle judge sees, in distances of two strangers"),
        find_distance(domain.clip, domain.generator.config.resolution),
        Network(network.features, "the doodle judge's last hidden layer, 160 numbers"),
        scorer,
        judge or own,
        {} if scorer else {"clip_top1": "bring a CLIP that the motion was not trained against (--scorer FILE)"},
    )
    label = "renders of people with all expressions, which the generator was trained on as others are on photographs"
    return EvaluationSetup(faces, renders, label, networks, load_prompts("doodle"))
