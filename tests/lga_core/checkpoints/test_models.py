"""Our model files: what was saved comes back, and whatever is not such a file gets one clear answer."""

import dataclasses
import json
import struct
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from lga_core import (
    CheckpointError,
    Encoder,
    Generator,
    GeneratorConfig,
    MismatchError,
    MotionConfig,
    MotionModel,
    OutputError,
    load_encoder,
    load_generator,
    load_motion,
)
from lga_core.checkpoints.models import save_encoder, save_generator, save_motion
from lga_core.formats.fingerprints import check_fingerprint, fingerprint
from lga_core.formats.header import METADATA_KEY, read_metadata
from lga_core.formats.native import load_checkpoint, save_checkpoint, tensors_sha256
from lga_core.inversion.encoder import EncoderConfig

GENERATOR = GeneratorConfig(16, z_dim=6, w_dim=8, channel_base=128, channel_max=12, mapping_layers=2, conv_clamp=3.0)
ENCODER = EncoderConfig(8, w_dim=8, input_size=32, widths=(4, 6, 8, 10), units=(1, 1, 1, 1))
MOTION = MotionConfig.official(10, 6, w_dim=8, hidden_dim=7, mapper_dim=12)

MODELS = {
    "generator": (lambda: Generator(GENERATOR), save_generator, load_generator),
    "generator, labels, resnet": (
        lambda: Generator(dataclasses.replace(GENERATOR, c_dim=3, architecture="resnet", conv_clamp=None)),
        save_generator,
        load_generator,
    ),
    "encoder": (lambda: Encoder(ENCODER), save_encoder, load_encoder),
    "encoder, dense": (lambda: Encoder(dataclasses.replace(ENCODER, heads="dense")), save_encoder, load_encoder),
    "motion": (lambda: MotionModel(MOTION), save_motion, load_motion),
    "motion, shared": (
        lambda: MotionModel(dataclasses.replace(MOTION, head="shared", visual_offset=False)),
        save_motion,
        load_motion,
    ),
}


def states(*models):
    return [{k: v for k, v in m.state_dict().items() if "num_batches" not in k} for m in models]


def shaken(model):
    """Every tensor random, so that nothing that should be stored is at its first value."""
    rng = torch.Generator().manual_seed(3)
    for tensor in states(model)[0].values():
        tensor.copy_(torch.randn(tensor.shape, generator=rng).abs() + 0.1)
    return model.requires_grad_(False)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "generator.safetensors"
    save_generator(path, shaken(Generator(GENERATOR)), domain="doodle")
    return path


def forge(path, describe=lambda described: None, change=lambda tensors: None):
    """Rewrite a file with its description or its tensors changed, the checksum right."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        described = json.loads(file.metadata()[METADATA_KEY])
    change(tensors)
    described["tensors_sha256"] = tensors_sha256(tensors)
    text = describe(described)
    text = text if isinstance(text, str) else json.dumps(described)
    save_file(tensors, path, metadata={METADATA_KEY: text})


def refused(load, path, *words):
    """The CheckpointError names the file and says these words."""
    with pytest.raises(CheckpointError) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message
    for word in words:
        assert word in message, message
    assert message.endswith(".")


@pytest.mark.parametrize("name", MODELS)
def test_what_was_saved_comes_back(tmp_path, name):
    make, save, load = MODELS[name]
    model, path = shaken(make()), tmp_path / "model.safetensors"
    save(path, model, prompts=["smiling", "sad"], training={"steps": 3, "loss": 0.25})
    loaded = load(path)
    ours, theirs = states(model, loaded)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert loaded.config == model.config
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    assert all(t.device.type == "cpu" for t in loaded.state_dict().values())
    metadata = read_metadata(path)
    assert metadata["prompts"] == ["smiling", "sad"]
    assert metadata["training"] == {"steps": 3, "loss": 0.25}


@pytest.mark.parametrize("name", MODELS)
def test_half_size_files_come_back_as_stored_and_stay_so(tmp_path, name):
    make, save, load = MODELS[name]
    model, path, again = shaken(make()), tmp_path / "half.safetensors", tmp_path / "again.safetensors"
    save(path, model, half=True)
    full, loaded = states(model, load(path))
    assert all(torch.equal(loaded[key], full[key].half().float()) for key in full)
    assert all(tensor.dtype == torch.float32 for tensor in loaded.values())
    save(again, load(path), half=True)
    assert again.read_bytes() == path.read_bytes()


def test_a_loaded_generator_draws_the_same_faces(saved, rng):
    ws = rng.randn(2, 6, 8).float()
    assert torch.equal(load_generator(saved).synthesis(ws), shaken(Generator(GENERATOR)).synthesis(ws))


def test_a_loaded_encoder_can_be_trained_on(tmp_path, rng):
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, Encoder(ENCODER))
    encoder = load_encoder(path).train().requires_grad_(True)
    encoder(rng.randn(2, 3, 32, 32).float()).square().mean().backward()
    assert all(p.grad is not None for p in encoder.parameters())


def test_a_loaded_model_does_not_change_with_its_file(saved):
    generator = load_generator(saved)
    before = [tensor.clone() for tensor in generator.state_dict().values()]
    with saved.open("r+b") as file:  # the same inode, overwritten in place
        file.write(b"\xff" * saved.stat().st_size)
    assert all(torch.equal(a, b) for a, b in zip(before, generator.state_dict().values(), strict=True))


def test_names_in_the_files_are_the_canonical_ones(tmp_path):
    path = tmp_path / "model.safetensors"
    for kind, name, key in (
        ("generator", "generator", "generator.synthesis.b8.conv0.affine.bias"),
        ("encoder", "encoder", "encoder.body.0.res_layer.1.weight"),
        ("motion", "animator", "mapper.visual.2.weight"),
    ):
        make, save, _ = MODELS[kind]
        save(path, make())
        with safe_open(path, "pt") as file:
            assert key in file.keys()  # noqa: SIM118
            assert not [stored for stored in file.keys() if "num_batches_tracked" in stored]  # noqa: SIM118
            assert list(file.metadata()) == [METADATA_KEY]
        assert read_metadata(path, name)["kind"] == name
        assert read_metadata(path)["architecture"]["family"] in ("stylegan2", "e4e", "recurrent")


def test_any_kind_of_tensors_and_their_types(tmp_path):
    path = tmp_path / "clip.safetensors"
    tensors = {"ids": torch.tensor([3, 1]), "scale": torch.tensor(0.5), "table": torch.randn(2, 3)}
    save_checkpoint(path, "clip", tensors, {"width": 3}, half=True, name="doodle")
    checkpoint = load_checkpoint(path, "clip")
    assert checkpoint.architecture == {"width": 3} and checkpoint.metadata == {"name": "doodle"}
    assert torch.equal(checkpoint.tensors["ids"], tensors["ids"])
    assert torch.equal(checkpoint.tensors["table"], tensors["table"].half().float())
    assert checkpoint.tensors["scale"].shape == ()
    with pytest.raises(ValueError, match="'format'"):
        save_checkpoint(path, "clip", tensors, {}, format="mine")


# --- Refusals --------------------------------------------------------------------------------------------------------


def test_another_kind_of_model(saved):
    refused(load_encoder, saved, "of the kind 'generator', but 'encoder' is needed")
    refused(load_motion, saved, "of the kind 'generator', but 'animator' is needed")


@pytest.mark.parametrize("version", [2, 0, "1", None, True, 1.5])
def test_another_version_of_the_format(saved, version):
    forge(saved, lambda described: described.update(format_version=version))
    refused(load_generator, saved, f"format version {version!r}", "reads version 1", "Update")


@pytest.mark.parametrize("fraction", [0, 0.001, 0.01, 0.1, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_file(saved, fraction):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * fraction)])
    refused(load_generator, saved, "fetch or make it again")


def test_a_truncated_or_longer_file_says_how_much_is_missing(saved):
    content = saved.read_bytes()
    for wrong in (content[:-100], content + b"and more"):
        saved.write_bytes(wrong)
        refused(load_generator, saved, f"has {len(wrong):,} bytes, but its header describes {len(content):,}")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_numbers(saved, value):
    name = "generator.mapping.fc0.weight"
    forge(saved, change=lambda tensors: tensors[name].view(-1)[:2].fill_(value))
    refused(load_generator, saved, name, "holds 2 values that are not finite numbers, of 48")


def test_missing_tensors(saved):
    forge(saved, change=lambda tensors: tensors.pop("generator.synthesis.b8.torgb.bias"))
    refused(load_generator, saved, "lacks 1 of 48 tensors: generator.synthesis.b8.torgb.bias")


def test_extra_tensors(saved):
    forge(saved, change=lambda tensors: tensors.update({f"generator.more{i}": torch.zeros(1) for i in range(5)}))
    refused(load_generator, saved, "holds 5 tensors", "generator.more0, generator.more1, generator.more2 and 2 more")


@pytest.mark.parametrize("shape", [(9,), (8, 1), (1, 8), ()])
def test_misshaped_tensors(saved, shape):
    forge(saved, change=lambda tensors: tensors.update({"generator.mapping.w_avg": torch.zeros(shape)}))
    refused(load_generator, saved, "generator.mapping.w_avg", f"has shape {list(shape)}", "needs shape [8]")


def test_tensors_of_another_type(saved):
    forge(saved, change=lambda tensors: tensors.update({"generator.mapping.w_avg": torch.zeros(8, dtype=torch.int64)}))
    refused(load_generator, saved, "generator.mapping.w_avg has type torch.int64")
    forge(saved, change=lambda tensors: tensors.update({"generator.mapping.w_avg": torch.zeros(8, dtype=torch.bool)}))
    refused(load_generator, saved, "generator.mapping.w_avg is of type torch.bool")


def test_a_flipped_bit(saved):
    content = bytearray(saved.read_bytes())
    content[-5] ^= 1
    saved.write_bytes(content)
    refused(load_generator, saved, "checksum")


def test_the_checksum_is_of_names_types_and_shapes_too():
    zeros = torch.zeros(2, 2)
    different = [{"a": zeros}, {"b": zeros}, {"a": zeros.view(4)}, {"a": zeros.int()}, {"a": zeros, "b": zeros}]
    assert len({tensors_sha256(tensors) for tensors in different}) == len(different)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "{}", '{"format": NaN}', "[" * 100_000, '{"a": 1}'])
def test_a_description_that_is_none(saved, text):
    forge(saved, lambda described: text)
    refused(load_generator, saved)


def test_a_description_with_a_number_that_json_does_not_have(saved):
    forge(saved, lambda described: described.update(loss=float("nan")))
    refused(load_generator, saved, "NaN is not a JSON value")


@pytest.mark.parametrize("key", ["format", "format_version", "kind", "architecture", "tensors_sha256"])
def test_a_description_with_a_hole(saved, key):
    def without(described):
        del described[key]

    forge(saved, without)
    refused(load_generator, saved)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"family": "stylegan3"}, "family 'stylegan3', but only 'stylegan2' is supported"),
        ({"act": "relu"}, "act 'relu'"),
        ({"resample_filter": [1, 2, 1]}, "resample_filter [1, 2, 1]"),
        ({"resolution": 17}, "resolution is 17"),
        ({"resolution": "16"}, "resolution is '16'"),
        ({"resolution": 2**40}, "power of two from 4 to 2048"),
        ({"z_dim": -6}, "z_dim is -6"),
        ({"mapping_layers": 10**9}, "mapping_layers is 1000000000"),
        ({"conv_clamp": "256"}, "its architecture is invalid"),
        ({"conv_clamp": [256]}, "its architecture is invalid"),
        ({"variant": "progressive"}, "progressive"),
        ({"w_dim": None}, "w_dim is None"),
        ({"surprise": 1}, "missing or unknown entries: surprise"),
        ({"resolution": 32}, "lacks 16 of 64 tensors"),
        ({"w_dim": 9}, "needs shape"),
    ],
)
def test_an_architecture_that_cannot_be_or_does_not_fit(saved, change, words):
    forge(saved, lambda described: described["architecture"].update(change))
    refused(load_generator, saved, words)


def test_an_architecture_with_a_hole(saved):
    forge(saved, lambda described: described["architecture"].pop("w_dim"))
    refused(load_generator, saved, "has missing or unknown entries: w_dim")


def test_a_huge_architecture_is_refused_before_anything_is_allocated(tmp_path):
    """A few bytes that claim hundreds of gigabytes."""
    for name, architecture in (
        ("generator", {"resolution": 2048, "channel_base": 2**24, "channel_max": 8192, "z_dim": 8192, "w_dim": 8192}),
        ("encoder", {"widths": [8192] * 4, "units": [100] * 4, "num_ws": 64, "w_dim": 8192}),
        ("motion", {"code_dim": 16384, "mapper_dim": 16384, "hidden_dim": 16384, "num_ws": 64, "w_dim": 8192}),
    ):
        make, save, load = MODELS[name]
        path = tmp_path / f"{name}.safetensors"
        save(path, make())
        forge(path, lambda described, new=architecture: described["architecture"].update(new))
        start = time.process_time()
        refused(load, path)
        assert time.process_time() - start < 20


def header_of(content: bytes) -> dict:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length])


@pytest.mark.parametrize(
    "attack",
    [
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 8]}},
        {"a": {"dtype": "O64", "shape": [1], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, "8"]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": []}},
        {"a": {"dtype": "F32", "shape": [2]}},
        {"a": [], "__metadata__": {}},
        {"__metadata__": []},
        {"__metadata__": {METADATA_KEY: 5}},
        [],
        5,
    ],
)
def test_hostile_headers(saved, attack):
    described = header_of(saved.read_bytes())["__metadata__"]
    if isinstance(attack, dict):
        attack = {"__metadata__": described, **attack}
    header = json.dumps(attack).encode()
    saved.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    refused(load_generator, saved)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "is not a safetensors file"),
        (b"1234567", "is not a safetensors file"),
        (b"\n <!DOCTYPE html><html>" + b" " * 100, "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS pointer"),
        (b"PK\x03\x04" + bytes(100), "a zip archive, as PyTorch's .pt files are"),
        (b"\x80\x04\x95" + bytes(100), "a Python pickle"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is not a safetensors file"),
        (struct.pack("<Q", 2**63) + b"{" + bytes(100), "is not a safetensors file"),
        (struct.pack("<Q", 20) + b"{" + b"x" * 100, "header is not that of a safetensors file"),
    ],
)
def test_what_is_no_model_file(tmp_path, content, words):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    refused(load_generator, path, words)


def test_a_safetensors_file_of_someone_else(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata={"format": "pt"})
    refused(load_generator, path, "not one of this project's")
    save_file({"weight": torch.zeros(2)}, path)
    refused(load_generator, path, "not one of this project's")


def test_no_file_and_a_folder(tmp_path):
    refused(load_generator, tmp_path / "none.safetensors", "There is no file")
    refused(load_generator, tmp_path, "is a folder")


# --- Writing ---------------------------------------------------------------------------------------------------------


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(saved, monkeypatch):
    before = saved.read_bytes()

    def half_a_file(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("lga_core.formats.native.save_file", half_a_file)
    with pytest.raises(OutputError, match="no space left"):
        save_generator(saved, Generator(GENERATOR))
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_places_that_cannot_be_written_to(tmp_path):
    with pytest.raises(OutputError, match="no folder"):
        save_generator(tmp_path / "none" / "model.safetensors", Generator(GENERATOR))
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        save_generator(tmp_path / "folder", Generator(GENERATOR))
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_nothing_that_could_not_be_loaded_is_written(tmp_path):
    path, generator = tmp_path / "model.safetensors", Generator(GENERATOR).requires_grad_(False)
    generator.w_avg[3] = 70_000
    with pytest.raises(OutputError, match=r"mapping\.w_avg holds values that are not finite.*half=False"):
        save_generator(path, generator, half=True)
    save_generator(path, generator)
    generator.w_avg[3] = float("nan")
    with pytest.raises(OutputError, match=r"mapping\.w_avg"):
        save_generator(path, generator)
    assert load_generator(path).w_avg[3] == 70_000


# --- Fingerprints ----------------------------------------------------------------------------------------------------


def test_a_generator_and_its_files_have_one_fingerprint(tmp_path):
    generator = shaken(Generator(GENERATOR))
    for half in (False, True):
        save_generator(tmp_path / "model.safetensors", generator, half=half)
        assert fingerprint(load_generator(tmp_path / "model.safetensors")) == fingerprint(generator)
    assert fingerprint(generator.double()) == fingerprint(generator.float())
    assert len(fingerprint(generator)) == 16 and int(fingerprint(generator), 16)


def test_another_generator_has_another_fingerprint_and_is_refused_in_words():
    one, other = shaken(Generator(GENERATOR)), shaken(Generator(GENERATOR))
    check_fingerprint(fingerprint(one), other, "The face")
    other.synthesis.b16.conv1.weight[0, 0, 0, 0] *= 1.01
    with pytest.raises(MismatchError) as caught:
        check_fingerprint(fingerprint(one), other, "The face")
    message = str(caught.value)
    assert message.startswith("The face was made for the generator ")
    assert fingerprint(one) in message and fingerprint(other) in message
