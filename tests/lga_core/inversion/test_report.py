"""The quality report: its numbers by their definitions, and the words that say them."""

import torch
import torch.nn.functional as F
from torch.testing import assert_close

from lga_core.inversion.encoder import reconstruction_score
from lga_core.inversion.report import inversion_report
from lga_core.metrics.identity_similarity import IdentitySimilarity
from lga_core.metrics.perceptual import EdgeDistance

KNOWS = IdentitySimilarity(lambda images: images.flatten(1), "pixels")


def test_its_numbers_are_those_of_their_definitions(rng):
    images, drawn, average = (rng.rand(n, 3, 16, 16) * 2 - 1 for n in (2, 2, 1))
    found = inversion_report(images, drawn, average, EdgeDistance(), KNOWS)
    assert_close(found.l2, (images - drawn).square().mean(dim=(1, 2, 3)))
    assert_close(found.distance, EdgeDistance().each(drawn, images))
    assert_close(found.explained, reconstruction_score(images, drawn, average).explained)
    assert_close(found.identity, F.cosine_similarity(images.flatten(1), drawn.flatten(1)))


def test_it_says_by_what_name_it_measured_and_nothing_of_a_network_that_was_not_given(rng):
    images, average = rng.rand(1, 3, 16, 16), -rng.rand(1, 3, 16, 16)
    same = inversion_report(images, images, average, EdgeDistance())
    assert str(same).startswith("The face: 100.0% of the image's difference") and EdgeDistance.label in str(same)
    assert "identity" not in str(same) and "identity similarity 1.00" in str(
        inversion_report(images, images, average, EdgeDistance(), KNOWS)
    )


def test_each_of_several_faces_has_its_line(rng):
    images, average = rng.rand(3, 3, 16, 16), torch.zeros(1, 3, 16, 16)
    lines = str(inversion_report(images, images.flip(0), average, EdgeDistance())).splitlines()
    assert [line.split(":")[0] for line in lines] == ["Face 1", "Face 2", "Face 3"]


def test_what_a_screen_shows_is_compared(rng):
    images, average = rng.randn(1, 3, 16, 16).sign(), torch.zeros(1, 3, 16, 16, dtype=torch.float64)
    assert inversion_report(images, 3 * images, average, EdgeDistance()).l2 == 0
