"""Perceptual distances: against their definitions, by what they see, and which one is taken where."""

import pickle
from pathlib import Path

import open_clip
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch.testing import assert_close

from lga_core import CheckpointError, ClipModel, InputError, MismatchError
from lga_core.metrics.perceptual import (
    LPIPS_WEIGHTS,
    ClipFeatureDistance,
    EdgeDistance,
    Lpips,
    feature_distance,
    find_perceptual_distance,
)

TOWERS = {
    "resnet": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64},
    "transformer": {"image_size": 32, "layers": 1, "width": 8, "head_width": 8, "patch_size": 16},
}


def clip(tower: str) -> ClipModel:
    text = {"context_length": 8, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}
    config = {"embed_dim": 8, "vision_cfg": TOWERS[tower], "text_cfg": text}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ClipModel("tiny", open_clip.CLIP(**config), config, (0.5, 0.5, 0.5), (0.3, 0.3, 0.3))


def alexnet_weights(rng) -> dict[str, torch.Tensor]:
    from torchvision.models import alexnet

    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in alexnet().features.state_dict().items()}
    return {f"features.{name}": 0.05 * rng.randn(*shape).float() for name, shape in shapes.items()}


def pictures(rng, n: int, size: int = 32) -> torch.Tensor:
    return rng.rand(n, 3, size, size).float() * 2 - 1


@pytest.fixture(params=["edges", "clip", "lpips"])
def distance(request, rng, tmp_path):
    if request.param == "edges":
        return EdgeDistance()
    if request.param == "clip":
        return ClipFeatureDistance(clip("resnet"))
    pytest.importorskip("lpips")
    save_file(alexnet_weights(rng), tmp_path / "alex.safetensors")
    return Lpips("alex", tmp_path / "alex.safetensors")


def test_the_same_picture_is_at_no_distance_and_a_changed_one_at_some(distance, rng):
    images = pictures(rng, 2)
    assert_close(distance.each(images, images), torch.zeros(2))
    assert (distance.each(images.flip(3), images) > 0).all()


def test_pictures_are_compared_each_by_itself_and_a_call_is_their_mean(distance, rng):
    drawn, images = pictures(rng, 3), pictures(rng, 3)
    each = distance.each(drawn, images)
    assert_close(each[1:2], distance.each(drawn[1:2], images[1:2]))
    assert_close(distance(drawn, images), each.mean())


def test_gradients_flow_to_what_is_drawn_and_no_weight_asks_for_any(distance, rng):
    drawn = pictures(rng, 1).requires_grad_()
    distance(drawn, pictures(rng, 1)).backward()
    assert drawn.grad is not None and drawn.grad.abs().sum() > 0
    assert not any(weight.requires_grad for weight in distance.parameters())


def test_every_distance_says_who_measures_and_when_it_is_close(distance):
    assert distance.label and distance.close > 0


def test_features_are_compared_by_direction(rng):
    ours, theirs = [rng.randn(2, 5, 4, 4), rng.randn(2, 7, 2, 2)], [rng.randn(2, 5, 4, 4), rng.randn(2, 7, 2, 2)]
    expected = [(2 - 2 * F.cosine_similarity(a, b)).mean(dim=(1, 2)) for a, b in zip(ours, theirs, strict=True)]
    assert_close(feature_distance(ours, theirs).double(), (expected[0] + expected[1]) / 2, rtol=1e-5, atol=1e-6)
    assert_close(feature_distance([3 * x for x in ours], ours), torch.zeros(2), atol=1e-9, rtol=0)


def test_edges_compare_colours_and_their_differences_at_each_size(rng):
    drawn, images = rng.randn(1, 3, 16, 16), rng.randn(1, 3, 16, 16)
    error, parts = drawn - images, []
    for size in (16, 8):
        for change in (error, error[..., 1:, :] - error[..., :-1, :], error[..., 1:] - error[..., :-1]):
            parts.append(change.abs().mean())
        error = error.reshape(1, 3, size // 2, 2, size // 2, 2).mean(dim=(3, 5))
    assert_close(EdgeDistance().each(drawn, images)[0], sum(parts) / 6)


def test_clip_sees_detail_only_where_it_looks_closely_enough(rng):
    smooth = F.interpolate(pictures(rng, 1, 4), (64, 64), mode="bilinear")
    row = torch.tensor([0.5, -0.5]).repeat(32)
    checked = smooth + row[:, None] * row  # gone where four pixels become one
    near, far = (ClipFeatureDistance(clip("resnet"), size).each(checked, smooth).item() for size in (64, None))
    assert near > 4 * far


def test_clip_s_transformers_are_refused(rng):
    with pytest.raises(MismatchError, match="no convolutional stages"):
        ClipFeatureDistance(clip("transformer")).each(pictures(rng, 1), pictures(rng, 1))


def test_the_best_distance_at_hand_is_taken(rng, tmp_path, monkeypatch):
    pytest.importorskip("lpips")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert isinstance(find_perceptual_distance(), EdgeDistance)
    assert isinstance(find_perceptual_distance(clip("transformer")), EdgeDistance)
    found = find_perceptual_distance(clip("resnet"), 64)
    assert isinstance(found, ClipFeatureDistance) and found.label == "feature maps of CLIP 'tiny'" and found.size == 64
    (tmp_path / "checkpoints").mkdir()
    torch.save(alexnet_weights(rng), tmp_path / "checkpoints" / LPIPS_WEIGHTS["alex"])
    assert find_perceptual_distance(clip("resnet")).label == "LPIPS on alex"


def test_a_distance_found_in_inference_mode_gives_gradients(rng, tmp_path, monkeypatch):
    pytest.importorskip("lpips")
    save_file(alexnet_weights(rng), tmp_path / "alex.safetensors")
    with torch.inference_mode():
        distance = find_perceptual_distance(weights=tmp_path / "alex.safetensors")
    drawn = pictures(rng, 1).requires_grad_()
    distance(drawn, pictures(rng, 1)).backward()
    assert drawn.grad is not None


def test_lpips_reads_torchvision_s_alexnet_and_no_other_file(rng, tmp_path):
    pytest.importorskip("lpips")
    state = alexnet_weights(rng)
    torch.save(state, tmp_path / "alex.pth")
    assert_close(Lpips("alex", tmp_path / "alex.pth").distance.net.slice1[0].weight, state["features.0.weight"])
    torch.save({**state, "features.3.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="lacks features.3.weight of shape"):
        Lpips("alex", tmp_path / "other.pth")
    with pytest.raises(InputError, match="There is no file"):
        Lpips("alex", tmp_path / "none.pth")


class Touch:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_in_a_weights_file_is_run(tmp_path):
    pytest.importorskip("lpips")
    (tmp_path / "alex.pth").write_bytes(pickle.dumps(Touch(tmp_path / "fired")))
    with pytest.raises(CheckpointError):
        Lpips("alex", tmp_path / "alex.pth")
    assert not (tmp_path / "fired").exists()


def test_lpips_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("lga_core.metrics.perceptual.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install lpips"):
        find_perceptual_distance(weights=tmp_path / "alex.pth")
