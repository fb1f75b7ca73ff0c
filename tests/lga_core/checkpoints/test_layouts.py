"""Every layout that people bring opens, and draws what its source drew. The writers know the layouts independently."""

from __future__ import annotations

import json

import pytest
import torch
from factories import tiny_generator_config
from foreign_files import writers
from torch.testing import assert_close

from lga_core import (
    CheckpointError,
    MotionConfig,
    convert,
    inspect,
    load_clip,
    load_encoder,
    load_generator,
    load_motion,
)
from lga_core.checkpoints.conversion import as_native, open_foreign
from lga_core.formats.fingerprints import fingerprint
from lga_core.inversion.encoder import EncoderConfig

ENCODER = EncoderConfig(8, w_dim=16, input_size=32, widths=(8, 12, 16, 20), units=(1, 2, 2, 1))


def generator(seed: int = 1, **options):
    config = tiny_generator_config(32, 16, mapping_layers=2, **options)
    return writers.random_generator(config, seed)


def check_same(file, source, tmp_path) -> None:
    """The converted file is the source, number by number, and draws its pictures."""
    out = tmp_path / "converted.safetensors"
    assert convert(file, out, "generator") == [out]
    loaded = load_generator(out)
    assert loaded.config == source.config
    for name, tensor in source.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    ws = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(loaded.synthesis(ws), source.synthesis(ws))


NUMPY = ("numpy.core", "numpy._core")


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("family", ["ada", "sg3"])
@pytest.mark.parametrize(("protocol", "numpy_core"), [(2, NUMPY[0]), (3, NUMPY[0]), (4, NUMPY[1])])
def test_nvidias_pytorch_pickles_open(architecture, family, protocol, numpy_core, tmp_path):
    source = generator(architecture=architecture, conv_clamp=256 if family == "sg3" else None)
    options = {"family": family, "protocol": protocol, "numpy_core": numpy_core}
    check_same(writers.write_nvidia(tmp_path / "a.pkl", source, **options), source, tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {"era": "2020", "augment_pipe": True, "training_set_kwargs": "easydict"},
        {"omit_defaults": True, "training_set_kwargs": "none"},
        {"num_fp16_res": 2},
    ],
)
def test_what_surrounds_a_generator_makes_no_difference(options, tmp_path):
    source = generator(conv_clamp=256 if "num_fp16_res" in options else None)
    check_same(writers.write_nvidia(tmp_path / "a.pkl", source, **options), source, tmp_path)


def test_a_conditional_generator_opens(tmp_path):
    source = generator(c_dim=3)
    check_same(writers.write_nvidia(tmp_path / "a.pkl", source), source, tmp_path)
    check_same(writers.write_tensorflow(tmp_path / "t.pkl", source), source, tmp_path)


def test_a_tuned_generator_of_pti_opens(tmp_path):
    source = generator(2)
    check_same(writers.write_pti(tmp_path / "p.pt", source), source, tmp_path)


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_nvidias_tensorflow_pickles_open(architecture, tmp_path):
    source = generator(architecture=architecture)
    check_same(writers.write_tensorflow(tmp_path / "t.pkl", source), source, tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"container": "legacy"},
        {"container": "zip-2020", "training": True},
        {"container": "legacy", "training": True, "prefix": "module."},
    ],
)
def test_community_files_open(options, tmp_path):
    source = generator(3)
    check_same(writers.write_rosinality(tmp_path / "r.pt", source, **options), source, tmp_path)


def test_noise_maps_that_are_missing_are_drawn_from_a_seed_and_said_so(tmp_path):
    file = writers.write_rosinality(tmp_path / "r.pt", generator(3), noises=False)
    first, second = open_foreign(file)[0], open_foreign(file)[0]
    name = "synthesis.b32.conv1.noise_const"
    assert torch.equal(first.tensors[name], second.tensors[name]) and first.tensors[name].std() > 0.5
    assert "noise maps were missing" in " ".join(first.notes)


def test_an_average_face_that_is_missing_is_computed_and_said_so(tmp_path):
    source = generator(3)
    (model,) = open_foreign(writers.write_rosinality(tmp_path / "r.pt", source, latent_avg=False))
    z = torch.randn(20_000, 16, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        mean, deviation = source.mapping(z).mean(dim=0), source.mapping(z).std(dim=0)
    assert ((model.tensors["mapping.w_avg"] - mean).abs() < 0.06 * deviation + 1e-6).all()
    assert "average face was missing" in " ".join(model.notes)


@pytest.mark.parametrize("kind", ["e4e", "psp"])
@pytest.mark.parametrize("start_from_latent_avg", [True, False])
def test_encoders_open_with_the_generator_inside(kind, start_from_latent_avg, tmp_path):
    source = writers.random_encoder(EncoderConfig(**{**ENCODER.__dict__, "row0_shared": kind == "e4e"}), 1)
    decoder = generator(4)
    write = writers.write_e4e if kind == "e4e" else writers.write_psp
    file = write(tmp_path / "e.pt", source, decoder, start_from_latent_avg=start_from_latent_avg)
    made = convert(file)
    assert [path.name for path in made] == ["e_encoder.safetensors", "e_generator.safetensors"]
    loaded, images = load_encoder(made[0]), torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        assert_close(loaded.encode_offsets(images), source.eval().encode_offsets(images))
        if start_from_latent_avg:
            assert_close(loaded(images), loaded.encode_offsets(images) + loaded.latent_avg)
            assert loaded.latent_avg.abs().max() > 0
        else:
            assert_close(loaded(images), source.encode_offsets(images))
    ws = torch.randn(1, 8, 16)
    with torch.no_grad():
        assert torch.equal(load_generator(made[1]).synthesis(ws), decoder.synthesis(ws))


@pytest.mark.parametrize("prefix", ["module.", ""])
def test_the_authors_motion_models_open_with_the_clip_inside(prefix, tmp_path):
    clip = writers.tiny_clip()
    source = writers.random_motion(MotionConfig.official(16, 8, w_dim=512, hidden_dim=12, mapper_dim=10), 1)
    made = convert(writers.write_lga(tmp_path / "l.pth", source, clip.state_dict(), prefix=prefix))
    assert [path.name for path in made] == ["l_animator.safetensors", "l_clip.safetensors"]
    z, image = torch.randn(2, 2, 16).unbind()
    with torch.no_grad():
        assert torch.equal(load_motion(made[0])(z, image, 5), source(z, image, 5))
        loaded, pictures = load_clip(made[1]), torch.rand(2, 3, 64, 64) * 2 - 1
        own = clip.eval().encode_image(loaded.preprocess(pictures))
        assert_close(loaded.encode_images(pictures), torch.nn.functional.normalize(own, dim=1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("suffix", [".pt", ".npy", ".npz", ".safetensors"])
@pytest.mark.parametrize("shape", [(8, 16), (1, 8, 16), (3, 8, 16)])
def test_codes_open_as_faces(suffix, shape, tmp_path):
    ws = torch.randn(shape)
    (model,) = open_foreign(writers.write_latents(tmp_path / f"w{suffix}", ws))
    assert model.kind == "faces"
    assert torch.equal(model.tensors["faces"], ws.reshape(-1, 8, 16))


def test_named_codes_keep_their_names(tmp_path):
    codes = {"00001.jpg": torch.randn(8, 16), "00002.jpg": torch.randn(1, 8, 16)}
    (model,) = open_foreign(writers.write_latents(tmp_path / "w.pt", codes))
    assert model.metadata["names"] == list(codes)
    assert torch.equal(model.tensors["faces"][1], codes["00002.jpg"][0])


@pytest.mark.parametrize("network", ["arcface", "facenet"])
def test_identity_networks_open(network, tmp_path):
    tensors = writers.arcface_tensors(shrink=16) if network == "arcface" else writers.facenet_tensors(classes=10)
    (model,) = open_foreign(writers.write_state_dict(tmp_path / "i.pth", tensors))
    assert model.kind == "identity"
    assert not any(name.startswith("logits") or name.endswith("num_batches_tracked") for name in model.tensors)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        ("write_stylegan3", "StyleGAN3"),
        ("write_stylegan1", "StyleGAN .the first."),
        ("write_stylegan1_torch", "StyleGAN .the first."),
        ("write_diffusion", "diffusion checkpoint"),
        ("write_optimizer_only", "optimiser"),
        ("write_torchscript", "TorchScript"),
    ],
)
def test_what_is_of_no_use_is_named_for_what_it_is(write, words, tmp_path):
    with pytest.raises(CheckpointError, match=words):
        open_foreign(getattr(writers, write)(tmp_path / "file.pt"))


def change_gain(module):
    module.synthesis.b8.conv0.act_gain = 2.0


def change_filter(module):
    module.synthesis.b8.conv0.resample_filter = torch.eye(4) / 4


def change_activation(module):
    module.mapping.fc0.activation = "relu"


@pytest.mark.parametrize(
    ("change", "words"), [(change_gain, "act_gain is 2"), (change_filter, "filter"), (change_activation, "activation")]
)
def test_a_number_that_a_fork_changed_is_refused_by_its_name(change, words, tmp_path):
    file = writers.write_nvidia(tmp_path / "a.pkl", generator(), edit=change)
    with pytest.raises(CheckpointError, match=words):
        open_foreign(file)


def test_the_same_file_gives_the_same_bytes(tmp_path):
    file = writers.write_nvidia(tmp_path / "a.pkl", generator())
    first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    convert(file, first)
    convert(file, second)
    assert first.read_bytes() == second.read_bytes()


def test_a_file_is_known_by_its_content_not_by_its_name(tmp_path):
    source = generator()
    file = writers.write_nvidia(tmp_path / "a.pkl", source)
    check_same(file.rename(tmp_path / "holiday.jpg"), source, tmp_path)


def test_a_foreign_file_is_converted_once(tmp_path):
    source, cache = generator(), tmp_path / "cache"
    file = writers.write_rosinality(tmp_path / "r.pt", source)
    first = as_native(file, "generator", cache)
    written = first.stat().st_mtime_ns
    assert as_native(file, "generator", cache) == first and first.stat().st_mtime_ns == written
    assert as_native(first, "generator", cache) == first
    writers.write_rosinality(file, generator(5))
    assert as_native(file, "generator", cache) != first
    assert not [path for path in cache.iterdir() if path.suffix != ".safetensors"]


def test_inspection_tells_an_artist_what_a_file_is(tmp_path):
    source = generator()
    file = writers.write_nvidia(tmp_path / "metfaces.pkl", source)
    found = inspect(file)
    json.dumps(found)
    (model,) = found["models"]
    assert (found["layout"], found["domain_guess"]) == ("NVIDIA PyTorch", "metfaces")
    assert (model["kind"], model["resolution"]) == ("generator", 32)
    assert model["licence"]["non_commercial"] is True
    assert model["fingerprint"] == fingerprint(source)
    convert(file, tmp_path / "own.safetensors")
    own = inspect(tmp_path / "own.safetensors")
    assert own["models"][0]["source"]["file_name"] == "metfaces.pkl"


def test_a_file_with_numbers_that_are_none_is_refused(tmp_path):
    source = generator()
    with torch.no_grad():
        source.synthesis.get_submodule("b8.conv0").weight[0, 0] = float("nan")
    with pytest.raises(CheckpointError, match="b8.conv0.weight holds 9 values"):
        open_foreign(writers.write_rosinality(tmp_path / "r.pt", source))
