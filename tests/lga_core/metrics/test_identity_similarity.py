"""Likeness: 1 for the same picture, 0 for strangers, and the best network at hand knows people."""

import open_clip
import pytest
import torch
import torch.nn.functional as F
from factories import tiny_generator_config
from torch.testing import assert_close

from lga_core import ClipModel, Encoder, Generator, InputError
from lga_core.inversion.encoder import EncoderConfig
from lga_core.metrics.identity_similarity import (
    NUM_BASELINE_FACES,
    IdentitySimilarity,
    color_texture_features,
    find_identity_similarity,
    identity_embedding,
)
from lga_core.stylegan2.pca import random_w


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(tiny_generator_config(), 3).eval()


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    sizes = {"widths": (4, 4, 4, 4), "units": (1, 1, 1, 1), "heads": "dense", "dense_hidden": 8}
    return Encoder(EncoderConfig(6, 8, 32, **sizes), 1).eval()


@pytest.fixture(scope="module")
def clip() -> ClipModel:
    text = {"context_length": 8, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}
    vision = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64}
    config = {"embed_dim": 8, "vision_cfg": vision, "text_cfg": text}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ClipModel("tiny", open_clip.CLIP(**config), config, (0.5, 0.5, 0.5), (0.3, 0.3, 0.3))


def test_likeness_is_the_cosine_scaled_so_that_strangers_have_none(rng):
    frames, source = rng.randn(3, 3, 4, 4), rng.randn(1, 3, 4, 4)
    cosine = F.cosine_similarity(frames.flatten(1), source.flatten(1))
    plain = IdentitySimilarity(lambda images: images.flatten(1), "pixels")
    assert_close(plain(frames, source), cosine)
    assert_close(IdentitySimilarity(plain.embed, "pixels", 0.2)(frames, source), (cosine - 0.2) / 0.8)
    assert_close(plain(frames, frames), torch.ones(3, dtype=torch.float64))


def test_random_faces_are_strangers_on_average(generator, encoder, clip):
    pictures = generator.synthesis(
        generator.broadcast(random_w(generator, NUM_BASELINE_FACES, torch.Generator().manual_seed(0)))
    ).detach()
    for alike in (find_identity_similarity(generator, clip=clip), find_identity_similarity(generator, encoder=encoder)):
        each = [alike(pictures, picture).sum() - 1 for picture in pictures.split(1)]
        assert torch.stack(each).sum().item() == pytest.approx(0, abs=0.5)


def test_the_best_network_at_hand_knows_people(generator, encoder, clip):
    assert find_identity_similarity(generator, lambda images: images, clip, encoder).label == "the identity network"
    assert "CLIP 'tiny'" in find_identity_similarity(generator, None, clip, encoder).label
    assert "encoder" in find_identity_similarity(generator, None, None, encoder).label
    with pytest.raises(InputError, match="no model to compare identities with"):
        find_identity_similarity(generator)


def test_colours_and_textures_do_not_depend_on_where_they_are(clip, rng):
    images = rng.rand(2, 3, 32, 32).float() * 2 - 1
    embed = color_texture_features(clip, 32)
    seen = embed(images)
    moved = embed(images.roll(8, dims=3))
    assert_close(seen.norm(dim=1), torch.ones(2))
    assert ((seen * moved).sum(dim=1) > 0.99).all()
    assert (embed(-images) * seen).sum(dim=1).max() < (seen * moved).sum(dim=1).min()


def test_who_is_in_an_image_is_embedded_by_the_network_else_by_a_resnet_clip_else_by_nobody(clip, rng):
    network, images = (lambda images: images.flatten(1)), rng.randn(2, 3, 48, 48).float()
    assert identity_embedding(network, clip) is network
    assert identity_embedding() is None
    for resolution, size in ((None, 64), (16, 32), (48, 48), (256, 64)):  # CLIP sees 32 px; twice that is enough
        embed = identity_embedding(clip=clip, resolution=resolution)
        assert embed is not None
        assert_close(embed(images), color_texture_features(clip, size)(images))
