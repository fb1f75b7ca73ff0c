"""Files from elsewhere, opened as what they are: PyTorch's, NVIDIA's, NumPy's, safetensors. None of them is run.

What a file is, is seen in its first bytes; its name does not matter. What comes out is dicts, lists, numbers, text and
tensors with memory of their own, and a `Record` for each instance of a class from elsewhere. Which network that is, is
for the modules of the layouts to find out.
"""

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from ..errors import CheckpointError
from .byte_source import OTHER, ByteSource, Stretch, open_source
from .numpy_arrays import MAX_INFLATED, allowed_arrays, is_npy, read_npy, read_npz
from .pickle_survey import check_tree
from .pickle_values import Allowed, Call, Constant, Limits, New, Record, Table, checked_keys, same, shown
from .plain_safetensors import is_safetensors, read_safetensors
from .torch_save import is_legacy, read_legacy, read_zip
from .torch_storage import STORAGE_CLASSES, Storage, Tensors
from .unpickler import read_pickle
from .zip_archive import is_zip, read_directory

CHOOSE = "Choose a model file: .pt, .pth, .pkl, .npy, .npz or .safetensors."
UNPACK = "Unpack it, and choose the model file in it."

PERSISTENCE = "torch_utils.persistence"
"""NVIDIA's module for classes that are pickled with their source."""

INNER = Limits(opcodes=200, containers=50)
"""Of each pickle of a storage by itself."""
MAX_STREAMS = 10_000

DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
)

Container = Literal["zip", "legacy", "pickle", "npy", "npz", "safetensors"]


@dataclass(frozen=True)
class Foreign:
    """A file's content. `value` is made of dicts, lists, tuples, sets, numbers, text, tensors on the CPU, and Records.

    It may be walked by plain recursion. Values that the file shares are shared.
    """

    container: Container
    value: Any
    path: Path
    size: int
    """Of the file, in bytes."""


def read_foreign(path: str | os.PathLike[str]) -> Foreign:
    """Read a model file of any kind that is known, without running anything in it.

    Raises CheckpointError if it is none, is damaged, or holds what no checkpoint needs, and says which.
    """
    path = Path(path)
    with open_source(path) as source:
        container, value = _read(source, str(path))
        check_tree(value, str(path), tensor_bytes=2 * source.size + MAX_INFLATED)
        return Foreign(container, value, path, source.size)


def _read(source: ByteSource, where: str) -> tuple[Container, Any]:
    if is_zip(source):
        members = read_directory(source, where)
        if all(name.endswith(".npy") for name in members):
            return "npz", read_npz(source, members, where)
        return "zip", read_zip(source, members, where, allowed(source, where))
    if is_legacy(source):
        return "legacy", read_legacy(source, 0, source.size, where, allowed(source, where))
    if is_safetensors(source):  # before pickles: the length of its header may begin with the byte that they begin with
        return "safetensors", read_safetensors(source, where)
    if source.data[0] == 0x80:
        return "pickle", _read_plain(source, where)
    if is_npy(source):
        return "npy", read_npy(source, 0, source.size, where)
    what, remedy = _something_else(source.data[:512])
    raise CheckpointError(f"{where} is {what}. {remedy}")


def _read_plain(source: ByteSource, where: str) -> Any:
    value, end = read_pickle(source.data, 0, source.size, where, allowed(source, where))
    if end != source.size:
        raise CheckpointError(f"{where}: {source.size - end:,} bytes follow its pickle, which ends there. {OTHER}")
    return value


# Names in pickles, and what they are here.


def allowed(source: ByteSource, where: str) -> Allowed:
    """Every name that a pickle in this file may ask for."""
    names: dict[tuple[str, str], Call | New | Constant] = {
        ("collections", "OrderedDict"): Call(Table, 0, 0),
        ("dnnlib.util", "EasyDict"): New(Table),
        ("argparse", "Namespace"): New(partial(Record, "argparse", "Namespace")),
        ("dnnlib.tflib.network", "Network"): New(_Network),
        (PERSISTENCE, "_reconstruct_persistent_obj"): Call(_persistent_object, 1, 1),
        ("torch.storage", "_load_from_bytes"): Call(_InnerStreams(source, where).load, 1, 1),
        ("torch", "device"): Call(_device, 1, 2),
        ("_codecs", "encode"): Call(_encode, 2, 2),
        **{("torch", str(dtype).removeprefix("torch.")): Constant(dtype) for dtype in DTYPES},
        **Tensors().allowed(),
        **allowed_arrays(source),
    }
    for module in ("builtins", "__builtin__"):  # the latter in protocol 2
        names[module, "set"] = Call(_set, 0, 1)
        names[module, "bytes"] = Call(bytes, 0, 0)
    return names


class _Network(Record):
    """NVIDIA's TensorFlow networks carry their source along too, among their attributes."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("dnnlib.tflib.network", "Network")

    def build(self, state: Any) -> Record:
        super().build(state)
        self.state.pop("build_module_src", None)
        return self


def _persistent_object(meta: Any) -> Record:
    """NVIDIA's modules carry the source of their class along. It is dropped unread: name and attributes are enough."""
    if not isinstance(meta, dict) or set(meta) != {"type", "version", "module_src", "class_name", "state"}:
        raise ValueError("a module is not described as NVIDIA's are")
    name, state = meta["class_name"], meta["state"]
    if not same(meta["type"], "class") or not same(meta["version"], 6):
        raise ValueError("a module is of another version than NVIDIA's are (6)")
    if type(name) is not str or not name.isidentifier() or len(name) > 100:
        raise ValueError("a module's class has no name")
    return Record(PERSISTENCE, name).build(state)


class _InnerStreams:
    """NVIDIA's pickles hold each storage as a whole legacy stream of torch.save, as bytes."""

    def __init__(self, source: ByteSource, where: str):
        self.source, self.where = source, f"{where}: a tensor in it"
        self.count, self.bytes_left = 0, source.size

    def load(self, content: Any) -> Storage:
        part, start, stop = self.source.part(content)
        self.count += 1
        self.bytes_left -= stop - start
        if self.count > MAX_STREAMS or self.bytes_left < 0:
            raise ValueError("it makes more tensors of its data than there can be")
        value = read_legacy(part, start, stop, self.where, STORAGE_CLASSES, INNER)
        if not isinstance(value, Storage):
            raise ValueError("the data of a tensor is something else")
        return value


def _set(items: Any = ()) -> set[Any]:
    if type(items) not in (list, tuple):
        raise ValueError("a set is made of something else than a list")
    return set(checked_keys(list(items)))


def _device(name: Any, index: Any = None) -> str:
    if type(name) is not str or not name.isalnum() or not (index is None or type(index) is int):
        raise ValueError("a device is described in an unknown way")
    return name if index is None else f"{name}:{index}"


def _encode(text: Any, encoding: Any) -> "bytes | Stretch":
    """Protocol 2 writes bytes as text: the characters 0 to 255."""
    if not same(encoding, "latin1"):
        raise ValueError("bytes are written in an unknown encoding")
    if type(text) is str:
        return text.encode("latin-1")
    if isinstance(text, Stretch) and text.form == "text":
        return replace(text, form="encoded")
    raise ValueError("bytes are made of something else than text")


# What else people try to open.

_BEGINNINGS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "Run `git lfs pull`, or download the file."),
    (b"\x89PNG", "a PNG picture", CHOOSE),
    (b"\xff\xd8\xff", "a JPEG picture", CHOOSE),
    (b"GIF8", "a GIF picture", CHOOSE),
    (b"\x1f\x8b", "a gzip archive", UNPACK),
    (b"BZh", "a bzip2 archive", UNPACK),
    (b"\xfd7zXZ", "an xz archive", UNPACK),
    (b"7z\xbc\xaf", "a 7z archive", UNPACK),
    (b"Rar!", "a rar archive", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", UNPACK),
    (b"PK", "a zip archive that is empty or split", UNPACK),
    (b"\x89HDF", "an HDF5 file, as Keras writes them", "Such networks are not supported."),
    (b"GGUF", "a GGUF file, a language model", "Such networks are not supported."),
)


def _something_else(beginning: bytes) -> tuple[str, str]:
    """What a file that begins so is, and what to do."""
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()
    for start, what, remedy in _BEGINNINGS:
        if beginning.startswith(start):
            return what, remedy
    if beginning[257:262] == b"ustar":
        return "a tar archive", f"{UNPACK} PyTorch's own from before 2017 are not supported."
    if text.startswith(b"<"):
        return "a web page", "The download went wrong: open its address in a browser, then fetch the file itself."
    if text.startswith((b"{", b"[")):
        return (
            "text (JSON), perhaps a server's answer",
            "The download went wrong: see what it says, and fetch it again.",
        )
    if not beginning.strip(b"\0"):
        return "blank: it begins with zeros", "The download broke off: fetch it again."
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in beginning):
        return f"a text that begins with {shown(str(text[:40], 'ascii'))}", CHOOSE
    return f"of no kind that is known (it begins with the bytes {beginning[:8].hex(' ')})", CHOOSE
