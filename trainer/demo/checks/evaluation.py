"""The evaluation setup of an embedded domain: neutral faces, renders to compare with, and networks that score."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from lga_core import ClipModel, Domain, Images, WPlus
from lga_core.metrics import find_perceptual_distance

from ...data.prompts import load_prompts
from ...metrics.evaluation_setup import EvaluationSetup, Network, Networks
from ...metrics.judges import Judge
from ..embedded_domain import EmbeddedDomain
from .identity_features import find_identity_features
from .judge_adapter import AttributeJudge

FACES_SEED, RENDERS_SEED = 70_117, 70_118
FACES = 1024
"""Drawn at once, whatever is asked for: the first ones are the same for any number."""


def evaluation_setup(
    described: EmbeddedDomain, domain: Domain, judge: Judge | None, scorer: ClipModel | None
) -> EvaluationSetup:
    """`judge` stays in the place of its own where it is given; `scorer`: a CLIP that nothing was trained against."""
    attribute_map, own = described.attribute_map(), AttributeJudge(described)
    network, space = own.network, described.attributes

    def faces(count: int) -> WPlus:
        calm = space.sample_neutral(max(count, FACES), torch.Generator().manual_seed(FACES_SEED))[:count]
        return domain.generator.broadcast(attribute_map.to_w(calm)).contiguous()

    def renders(count: int) -> Iterator[Images]:
        attributes, _ = space.sample(count, torch.Generator().manual_seed(RENDERS_SEED))
        return (described.renderer.render(part, domain.generator.config.resolution) for part in attributes.split(32))

    identity = find_identity_features(described, network)
    networks = Networks(
        Network(identity, f"who {own.name} sees, in distances of two strangers"),
        find_perceptual_distance(domain.clip, domain.generator.config.resolution),
        Network(network.features, f"{own.name}'s last hidden layer, 160 numbers"),
        scorer,
        judge or own,
        {} if scorer else {"clip_top1": "bring a CLIP that the motion was not trained against (--scorer FILE)"},
    )
    label = "renders of people with all expressions, which the generator was trained on as others are on photographs"
    return EvaluationSetup(faces, renders, label, networks, load_prompts(described.prompts))
