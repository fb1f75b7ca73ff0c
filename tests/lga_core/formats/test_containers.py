"""Files of PyTorch, NumPy and safetensors come out as they went in; others are named for what they are."""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from factories import tiny_generator_config
from foreign_files import writers
from foreign_files.assembler import array, call, name, npy, pickled, safetensors, storage, tensor, torch_zip, zipped
from foreign_files.subprocesses import opened
from paths import ROOT
from safetensors.torch import save_file
from torch import Tensor
from torch.testing import assert_close

from lga_core import CheckpointError
from lga_core.formats.foreign import read_foreign
from lga_core.formats.pickle_values import Record

DTYPES = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]


def values() -> dict:
    """What checkpoints are made of."""
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.randn(2, 3)).sum().backward()
    optimizer.step()
    return {
        "g_ema": network.state_dict(),
        "parameter": network[0].weight,
        "optimizer": optimizer.state_dict(),
        "args": argparse.Namespace(lr=0.002, size=256, path="faces.lmdb", betas=[0.0, 0.99], wandb=None),
        "table": OrderedDict(a=1, b=OrderedDict()),
        **{dtype: torch.tensor([0, 1, 1, 0]).to(getattr(torch, dtype)) for dtype in DTYPES},
        "scalar": torch.tensor(3),
        "empty": torch.empty(0, 3),
        "view": torch.randn(4, 6).t()[1:3],
        "repeated": torch.randn(1, 512).repeat(18, 1),
        "set": {"x", "y"},
        "bytes": b"\0\xff" * 10,
        "no bytes": b"",
        "tuple": (1, -2, 1 << 70, 2.5, "é", None, True),
        "device": torch.device("cuda", 0),
        "dtype": torch.float16,
        "float64 number": np.float64(2.5),
        "int64 number": np.int64(-7),
        "array": np.arange(6.0).reshape(2, 3),
        "array by columns": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    }


def check_equal(found, expected) -> None:
    match expected:
        case argparse.Namespace():
            assert isinstance(found, Record) and found.state == vars(expected)
        case Tensor() | np.ndarray():
            expected = torch.as_tensor(expected).detach()
            assert type(found) is Tensor and found.dtype == expected.dtype and torch.equal(found, expected)
        case dict():
            assert list(found) == list(expected)
            for key, value in expected.items():
                check_equal(found[key], value)
        case torch.device():
            assert found == str(expected)
        case np.generic():
            assert found == expected and type(found) in (float, int)
        case _:
            assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_what_torch_saves_comes_out_equal(legacy, protocol, tmp_path):
    path = tmp_path / "a.pt"
    expected = values()
    torch.save(expected, path, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    foreign = read_foreign(path)
    assert foreign.container == ("legacy" if legacy else "zip")
    assert (foreign.path, foreign.size) == (path, path.stat().st_size)
    check_equal(foreign.value, expected)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_python_pickles_comes_out_equal(protocol, tmp_path):
    path = tmp_path / "a.pkl"
    expected = {**values(), "large": torch.randn(300, 1000)}  # beyond what is copied on the way
    path.write_bytes(pickle.dumps(expected, protocol))
    foreign = read_foreign(path)
    assert foreign.container == "pickle"
    check_equal(foreign.value, expected)


@pytest.mark.parametrize("container", ["zip", "zip-2020", "legacy"])
def test_containers_of_all_years_open(container, tmp_path):
    expected = {"w": torch.randn(3, 5), "v": torch.randn(7)}
    check_equal(read_foreign(writers.save_torch(tmp_path / "a", expected, container, device="cuda:3")).value, expected)


@pytest.mark.parametrize(("protocol", "core"), [(2, "numpy.core"), (3, "numpy.core"), (4, "numpy._core")])
def test_nvidias_modules_become_records_with_all_their_tensors(protocol, core, tmp_path):
    generator = writers.random_generator(tiny_generator_config())
    path = writers.write_nvidia(tmp_path / "a.pkl", generator, protocol=protocol, numpy_core=core)
    root = read_foreign(path).value["G_ema"]
    assert (root.module, root.name) == ("torch_utils.persistence", "Generator")
    assert root.state["_init_kwargs"]["img_resolution"] == 16

    def tensors(record, prefix=""):
        for table in ("_parameters", "_buffers"):
            yield from ((prefix + key, value) for key, value in record.state[table].items() if value is not None)
        for key, child in record.state["_modules"].items():
            yield from tensors(child, f"{prefix}{key}.")

    check_equal(dict(sorted(tensors(root))), dict(sorted(writers.nvidia_tensors(generator).items())))
    assert b"module_src" in path.read_bytes() and "source" not in str(root.state)


def test_tensorflows_networks_become_records_with_arrays(tmp_path):
    generator = writers.random_generator(tiny_generator_config(8, channel_base=64))
    path = writers.write_tensorflow(tmp_path / "a.pkl", generator)
    networks = read_foreign(path).value
    assert [network.name for network in networks] == ["Network"] * 3
    assert b"build_module_src" in path.read_bytes() and "build_module_src" not in networks[2].state
    parts = networks[2].state["components"]
    const = dict(parts["synthesis"].state["variables"])["4x4/Const/const"]
    assert_close(const[0], generator.state_dict()["synthesis.b4.const"])


# Tensors and their memory.


def test_views_of_one_storage_share_it(tmp_path):
    base = torch.randn(4, 4)
    torch.save({"all": base, "row": base[1]}, tmp_path / "a.pt")
    found = read_foreign(tmp_path / "a.pt").value
    found["all"][1] = 7
    assert torch.equal(found["row"], torch.full((4,), 7.0))


@pytest.mark.parametrize("container", ["zip", "legacy", "pickle", "npy", "npz", "safetensors"])
def test_tensors_have_memory_of_their_own(container, tmp_path):
    """What is done to them does not reach the file, nor does what is done to the file reach them."""
    path = tmp_path / "a"
    expected = torch.arange(10_000.0).reshape(1, 100, 100)
    match container:
        case "zip" | "legacy":
            writers.save_torch(path, {"w": expected}, container)
        case "pickle":
            writers.write_pickle(path, {"w": expected}, 4)
        case "npy":
            np.save(path.with_suffix(".npy"), expected.numpy())
            path = path.with_suffix(".npy")
        case "npz":
            np.savez(path.with_suffix(".npz"), w=expected.numpy())
            path = path.with_suffix(".npz")
        case "safetensors":
            save_file({"w": expected}, path)
    before = path.read_bytes()
    value = read_foreign(path).value
    found = value if container == "npy" else value["w"]
    found += 1
    assert path.read_bytes() == before
    path.write_bytes(bytes(len(before)))
    path.unlink()
    assert torch.equal(found, expected + 1)
    assert found.data_ptr() % 8 == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_file_takes_its_size_in_memory_and_little_more(protocol, tmp_path):
    tensors = {str(i): torch.full((1024, 1024), float(i)) for i in range(10)}
    path = writers.write_pickle(tmp_path / "a.pkl", tensors, protocol)
    (result,) = opened(tmp_path, {path.name: "load"}).values()
    assert result["outcome"] == "opened"
    assert 39 < result["megabytes"] < 1.3 * path.stat().st_size / 2**20


# NumPy, safetensors.


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4", "i8", "u1", "b1"])
@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (1, 18, 16), (2, 1, 2, 1, 2)])
def test_arrays_open(dtype, shape, tmp_path):
    expected = np.ones(shape, dtype)
    np.save(tmp_path / "a.npy", expected)
    np.savez(tmp_path / "a.npz", w=expected, v=expected.T)
    np.savez_compressed(tmp_path / "b.npz", w=expected, v=expected.T)
    foreign = read_foreign(tmp_path / "a.npy")
    assert foreign.container == "npy"
    check_equal(foreign.value, expected)
    for file in ("a.npz", "b.npz"):
        foreign = read_foreign(tmp_path / file)
        assert foreign.container == "npz"
        check_equal(foreign.value, {"w": expected, "v": expected.T})


def test_arrays_by_columns_open(tmp_path):
    expected = np.asfortranarray(np.random.default_rng(0).standard_normal((2, 3, 4)))
    np.save(tmp_path / "a.npy", expected)
    check_equal(read_foreign(tmp_path / "a.npy").value, expected)


def test_arrays_of_python_2_open(tmp_path):
    (tmp_path / "a.npy").write_bytes(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 2L), }"))
    assert read_foreign(tmp_path / "a.npy").value.shape == (2, 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_safetensors_of_whatever_origin_open(dtype, tmp_path):
    expected = {"w": torch.ones(2, 3).to(getattr(torch, dtype)), "v": torch.ones(()), "none": torch.ones(0, 3)}
    save_file(expected, tmp_path / "a", metadata={"format": "pt", "code": "x"})
    foreign = read_foreign(tmp_path / "a")
    assert foreign.container == "safetensors"
    check_equal(dict(sorted(foreign.value.items())), dict(sorted(expected.items())))


def test_a_safetensors_file_whose_first_byte_is_that_of_pickles_opens(tmp_path):
    header = json.dumps({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}})
    content = safetensors(header.encode().ljust(0x180))
    assert content[0] == 0x80
    (tmp_path / "a").write_bytes(content)
    assert read_foreign(tmp_path / "a").container == "safetensors"


def test_archives_beyond_four_gigabytes_would_open(tmp_path, monkeypatch):
    """Their directories have other fields, which Python writes from a limit on that can be lowered."""
    torch.save({"w": torch.arange(100.0)}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    (tmp_path / "b.pt").write_bytes(wide := zipped(members))
    assert wide.count(b"PK\x06\x06") == 1 and b"\xff\xff\xff\xff\xff\xff\xff\xff" in wide
    check_equal(read_foreign(tmp_path / "b.pt").value, {"w": torch.arange(100.0)})


# Who is refused, and for what reason.


def refusal(path: Path, content: bytes | None = None) -> str:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_foreign(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty (0 bytes)"),
        (b"<!DOCTYPE html><html>", "is a web page. The download went wrong"),
        (b"\xef\xbb\xbf \n<html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "is a Git LFS pointer, not the file itself. Run `git lfs"),
        (b'{"error": "no"}', "is text (JSON), perhaps a server's answer"),
        (b"Entry not found", "is a text that begins with Entry not found"),
        (b"\x89PNG\r\n\x1a\n", "is a PNG picture. Choose a model file"),
        (b"\xff\xd8\xff\xe0", "is a JPEG picture"),
        (b"\x1f\x8b\x08", "is a gzip archive. Unpack it"),
        (b"a" * 257 + b"ustar" + bytes(250), "is a tar archive"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        (bytes(5000), "is blank: it begins with zeros"),
        (bytes(range(200, 240)), "is of no kind that is known (it begins with the bytes c8 c9 ca cb"),
        (b"cos\nsystem\n(S'true'\ntR.", "is a text that begins with"),
    ],
)
def test_what_is_no_checkpoint_is_named(content, words, tmp_path):
    assert refusal(tmp_path / "a.pkl", content).startswith(f"{tmp_path / 'a.pkl'} {words}")


def test_torchscript_is_named_with_what_to_use_instead(tmp_path):
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "a.pt")
    text = refusal(tmp_path / "a.pt")
    assert "is a TorchScript archive" in text and ".safetensors file of the same model" in text


def test_paths_that_are_no_files_are_named(tmp_path):
    assert "There is no file" in refusal(tmp_path / "none")
    assert "is a folder" in refusal(tmp_path)
    if Path("/dev/zero").exists():
        assert "is not a regular file" in refusal(Path("/dev/zero"))


def test_a_file_that_breaks_off_is_to_be_downloaded_again(tmp_path):
    for container in ("zip", "legacy"):
        content = writers.save_torch(tmp_path / "a", {"w": torch.ones(1000)}, container).read_bytes()
        assert "Download or copy it again." in refusal(tmp_path / "b", content[:-100])
    content = writers.write_pickle(tmp_path / "a", {"w": torch.ones(10_000)}, 3).read_bytes()
    assert "it breaks off: " in refusal(tmp_path / "b", content[: len(content) // 2])


def test_weights_that_changed_since_they_were_saved_are_noticed(tmp_path):
    torch.save({"w": torch.full((100,), 3.25)}, tmp_path / "a.pt")
    content = bytearray((tmp_path / "a.pt").read_bytes())
    content[content.index(np.float32(3.25).tobytes() * 3) + 2] ^= 1
    assert "'a/data/0' in it is damaged (its checksum differs)" in refusal(tmp_path / "a.pt", bytes(content))


def test_something_after_the_end_is_refused(tmp_path):
    assert "5 bytes follow its pickle" in refusal(tmp_path / "a", pickled({}) + b"extra")
    more = torch_zip({}, **{"data.pkl": pickled({}) + b"extra"})
    assert "5 bytes follow its pickle" in refusal(tmp_path / "a", more)
    legacy = writers.save_torch(tmp_path / "b", {"w": torch.ones(4)}, "legacy").read_bytes()
    assert "5 bytes follow where it should end" in refusal(tmp_path / "a", legacy + b"extra")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (tensor(storage(), (5,)), "a tensor of the size [5] does not fit in its storage of 4 values"),
        (tensor(storage(), (2, 3), (1, 1)), "does not fit"),
        (tensor(storage(), (4,), (1,), 1), "does not fit"),
        (tensor(storage(numel=5)), "the storage 0 has 16 bytes, but 20 are needed"),
        (tensor(storage("7")), "the storage 7 is not in the archive"),
        (storage(), "holds a Storage, which is no value by itself"),
        (array((5,)), "an array of the shape [5] and type f4 cannot have 16 bytes"),
        (call(name("builtins", "set"), [[]]), "only text and 64-bit integers are keys"),
    ],
)
def test_data_that_does_not_fit_is_named(value, words, tmp_path):
    assert words in refusal(tmp_path / "a.pt", torch_zip({"w": value}))


def test_reading_needs_none_of_the_packages_that_a_file_names(tmp_path):
    """Nor is anything imported that was not there before: seen in a fresh process."""
    generator = writers.random_generator(tiny_generator_config(8, channel_base=64))
    path = writers.write_nvidia(tmp_path / "a.pkl", generator)
    script = (
        "import sys; from lga_core.formats.foreign import read_foreign; before = set(sys.modules);"
        "read_foreign(sys.argv[1]); new = set(sys.modules) - before - {'mmap', 'encodings.latin_1'};"
        "sys.exit(f'imported {new}' if new else 0)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, cwd=ROOT)
