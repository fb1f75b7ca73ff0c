"""The encoder against its properties; the published numbers are in test_golden_encoder.py."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from lga_core import Encoder, InputError
from lga_core.inversion.encoder import EncoderConfig

TINY = EncoderConfig(
    num_ws=10, w_dim=8, input_size=64, widths=(4, 6, 8, 10), units=(1, 2, 2, 1), dense_channels=3, dense_hidden=7
)
HEADS = ("conv", "dense")


def make(**changes) -> Encoder:
    """A tiny float64 encoder in evaluation mode, with statistics and an average face that matter."""
    encoder = Encoder(dataclasses.replace(TINY, **changes)).double().eval().requires_grad_(False)
    rng = torch.Generator().manual_seed(1)
    for name, tensor in encoder.state_dict().items():
        if name.endswith(("running_mean", "latent_avg", "bias")):
            tensor.add_(torch.randn(tensor.shape, generator=rng, dtype=torch.float64), alpha=0.3)
    return encoder


def pictures(rng, n: int, size: int = 64):
    return rng.rand(n, 3, size, size) * 2 - 1


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("num_ws", [2, 6, 10, 18])
@pytest.mark.parametrize("input_size", [32, 64, 128])
def test_any_generator_and_input_size(rng, heads, num_ws, input_size):
    encoder = make(heads=heads, num_ws=num_ws, input_size=input_size)
    assert encoder(pictures(rng, 2, input_size)).shape == (2, num_ws, 8)


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("row0_shared", [True, False])
def test_a_batch_is_its_pictures_one_by_one(rng, heads, row0_shared):
    encoder, images = make(heads=heads, row0_shared=row0_shared), pictures(rng, 3)
    assert_close(encoder(images), torch.cat([encoder(image) for image in images.split(1)]))


@pytest.mark.parametrize("heads", HEADS)
def test_the_average_face_is_added(rng, heads):
    encoder, images = make(heads=heads), pictures(rng, 2)
    assert_close(encoder(images), encoder.latent_avg + encoder.encode_offsets(images))
    assert encoder.latent_avg.abs().min() > 0


@pytest.mark.parametrize("size", [(64, 64), (200, 200), (96, 48), (31, 77)])
def test_pictures_of_any_size_are_resized_smoothly(rng, size):
    encoder, images = make(), F.interpolate(pictures(rng, 1, 8), size, mode="bicubic")
    resized = F.interpolate(images, (64, 64), mode="bilinear", antialias=True)
    assert_close(encoder(images), encoder(resized))


@pytest.mark.parametrize("heads", HEADS)
def test_rows_up_to_the_stage_differ_and_later_ones_repeat_row_0(rng, heads):
    encoder, images = make(heads=heads), pictures(rng, 2)
    full = encoder.encode_offsets(images)
    for stage in (0, 4, 9, 50):
        ws = encoder.encode_offsets(images, stage)
        assert_close(ws[:, : stage + 1], full[:, : stage + 1])
        assert torch.equal(ws[:, stage + 1 :], ws[:, :1].expand(-1, max(9 - stage, 0), -1))
    assert not torch.allclose(full[:, 1], full[:, 0])
    with pytest.raises(ValueError, match="stage is for encoders"):
        make(heads=heads, row0_shared=False)(images, stage=2)


@pytest.mark.parametrize("row0_shared", [True, False])
def test_an_encoder_of_fewer_rows_gives_the_first_rows(rng, row0_shared):
    """The published heads, of which every row has its own: the golden files are checked on the largest encoder only."""
    large = make(heads="conv", row0_shared=row0_shared)
    small = Encoder(dataclasses.replace(large.config, num_ws=6)).double().eval().requires_grad_(False)
    weights = {name: tensor for name, tensor in large.state_dict().items() if name in small.state_dict()}
    small.load_state_dict(weights | {"latent_avg": large.latent_avg[:6]})
    images = pictures(rng, 2)
    assert torch.equal(small(images), large(images)[:, :6])
    if row0_shared:
        assert torch.equal(small.encode_offsets(images, 3), large.encode_offsets(images, 3)[:, :6])


@pytest.mark.parametrize("heads", HEADS)
def test_sharing_row_0_adds_it_to_the_other_rows(rng, heads):
    images = pictures(rng, 2)
    own = make(heads=heads, row0_shared=False).encode_offsets(images)
    shared = make(heads=heads).encode_offsets(images)
    assert_close(shared[:, 0], own[:, 0])
    assert_close(shared[:, 1:], own[:, 1:] + own[:, :1])


@pytest.mark.parametrize("heads", HEADS)
def test_each_row_reads_its_own_feature_map(rng, heads):
    """Coarse rows see the coarse map alone; the lateral layers reach the middle and the fine rows."""
    images, before = pictures(rng, 1), make(heads=heads, row0_shared=False)
    for lateral, first_row in (("latlayer1", 3), ("latlayer2", 7)):
        changed = make(heads=heads, row0_shared=False)
        getattr(changed, lateral).bias += 1
        same = (changed(images) == before(images)).all(dim=2)[0]
        assert same.tolist() == [row < first_row for row in range(10)]


def test_dense_heads_have_a_small_share_of_the_published_weights():
    def size(**options):
        with torch.device("meta"):
            return sum(p.numel() for p in Encoder(EncoderConfig(14, **options)).parameters())

    assert 209_000_000 < size() < 210_000_000
    assert size(heads="dense") < 34_000_000  # the backbone has 31 million


@pytest.mark.parametrize("heads", HEADS)
def test_gradients_reach_every_parameter(rng, heads):
    encoder = Encoder(dataclasses.replace(TINY, heads=heads)).double()
    encoder(pictures(rng, 4)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in encoder.parameters())


def test_the_seed_alone_decides_the_first_weights():
    one, same, other = (Encoder(TINY, seed=s).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["body.0.res_layer.1.weight"], other["body.0.res_layer.1.weight"])


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 4, 64, 64), (1, 64, 64, 3)])
def test_what_is_no_batch_of_pictures_is_refused_in_words(rng, shape):
    with pytest.raises(InputError, match=r"the encoder needs \[n 3 h w\]"):
        make()(rng.randn(*shape))


@pytest.mark.parametrize(
    "change",
    [
        {"num_ws": 0},
        {"w_dim": 2.5},
        {"input_size": 100},
        {"input_size": 16},
        {"widths": (4, 6, 8)},
        {"units": (1, 0, 1, 1)},
        {"row0_shared": 1},
        {"heads": "transformer"},
        {"dense_pool": -1},
    ],
)
def test_impossible_configurations_are_refused_by_name(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))} is"):
        dataclasses.replace(TINY, **change)


def test_lists_from_a_file_become_the_tuples_they_stand_for():
    config = dataclasses.replace(TINY, widths=[4, 6, 8, 10], units=[1, 2, 2, 1])
    assert config == TINY and hash(config) == hash(TINY)
