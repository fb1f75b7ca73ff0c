"""Figures of clips against their definitions, on clips whose figures are known."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
import torch

from lga_core import InputError, MismatchError
from lga_core.metrics.clip_metrics import (
    average_content_distance,
    consecutive_content_distance,
    measure_clip,
    pca_path,
)
from lga_core.metrics.clip_metrics_plot import plot_clip_metrics


def clip(brightness: list[float], size: int = 4) -> torch.Tensor:
    """Frames in -1..1, each of one brightness 0..1."""
    return (2 * torch.tensor(brightness) - 1)[:, None, None, None].expand(-1, 3, size, size)


def measured(brightness: list[float], **options):
    return measure_clip([clip(brightness)], **options)


def test_acd_is_the_mean_distance_over_all_pairs_of_frames():
    embeddings = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    pairs = [(embeddings[i] - embeddings[j]).square().sum().sqrt() for i, j in combinations(range(5), 2)]
    assert average_content_distance(embeddings).item() == pytest.approx((sum(pairs) / 10).item(), rel=1e-5)


def test_the_published_code_sums_squared_distances_of_neighbours():
    embeddings = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]])
    assert consecutive_content_distance(embeddings).item() == 25 + 1


def test_a_still_clip_has_no_acd_and_no_movement():
    found = measured([0.5] * 4, identity=lambda images: images.flatten(1)).figures()
    assert found["acd"] == found["acd_consecutive"] == found["magnitude"] == found["flicker"] == found["jerk"] == 0
    assert math.isnan(found["first_step_share"])


def test_one_frame_is_measured_too():
    assert measured([0.3], identity=lambda images: images.flatten(1)).figures()["acd"] == 0


def test_an_even_movement_neither_flickers_nor_jerks():
    found = measured([0.1, 0.2, 0.3, 0.4, 0.5])
    assert found.magnitude == pytest.approx((0 + 0.1 + 0.2 + 0.3 + 0.4) / 5, abs=1e-6)
    assert found.first_step_share == pytest.approx(1 / 4, abs=1e-5)
    assert found.flicker == pytest.approx(0, abs=1e-5)
    assert found.jerk == pytest.approx(0, abs=1e-5)


def test_pictures_that_jump_to_and_fro_flicker_fully():
    found = measured([0.2, 0.6] * 4)
    assert found.flicker == pytest.approx(1, abs=1e-5)
    assert found.jerk == pytest.approx(4, abs=1e-5)


def test_an_even_acceleration_flickers_but_does_not_jerk():
    found = measured([0.01 * t * t for t in range(8)])
    assert found.flicker > 0.05
    assert found.jerk == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_figures_do_not_depend_on_the_chunks_in_which_frames_come(size):
    frames = torch.rand(10, 3, 6, 6, generator=torch.Generator().manual_seed(1)) * 2 - 1
    options = {"identity": lambda images: images.flatten(1), "text_embedding": torch.ones(1, 108)}
    options["embed_images"] = lambda images: images.flatten(1)
    whole, parts = (measure_clip(chunks, **options) for chunks in ([frames], frames.split(size)))
    assert whole.figures() == pytest.approx(parts.figures(), rel=1e-5)


def test_alignment_is_the_cosine_of_each_frame_and_the_words():
    words = torch.tensor([[1.0, 0.0]])
    ways = torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
    taken = iter(ways)
    found = measured(
        [0.1, 0.2, 0.3], text_embedding=words, embed_images=lambda images: torch.stack([next(taken) for _ in images])
    )
    assert found.alignment is not None
    assert found.alignment.tolist() == pytest.approx([0, math.sqrt(0.5), 1], abs=1e-6)
    assert found.figures()["alignment_rise"] == pytest.approx(1, abs=1e-6)


def test_the_path_on_its_principal_directions_keeps_distances_of_a_plane():
    plane = torch.randn(6, 2, generator=torch.Generator().manual_seed(2)) @ torch.eye(2, 9)
    places = pca_path(plane)
    assert places[0].tolist() == [0, 0]
    assert torch.pdist(places).tolist() == pytest.approx(torch.pdist(plane).tolist(), rel=1e-4)


def test_words_without_a_look_are_refused():
    with pytest.raises(InputError, match="one CLIP model"):
        measured([0.1], text_embedding=torch.ones(1, 2))


def test_an_empty_clip_is_refused():
    with pytest.raises(InputError, match="no frames"):
        measure_clip([])


def test_frames_of_two_sizes_are_refused():
    with pytest.raises(MismatchError, match="need one size"):
        measure_clip([clip([0.1]), clip([0.2], size=8)])


def test_the_plot_shows_what_was_measured():
    bare = plot_clip_metrics(measured([0.1, 0.2, 0.4]), "smiling", 10)
    full = plot_clip_metrics(measured([0.1, 0.2, 0.4], identity=lambda images: images.flatten(1)), "smiling", 10)
    assert bare.size == full.size == (960, 600)
    assert bare.tobytes() != full.tobytes()
