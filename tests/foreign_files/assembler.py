"""Pickles, archives and streams written by hand, byte by byte, where no library would write them so."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

MAGIC = 0x1950A86A20F9469CFC6C


class Code(bytes):
    """Instructions of a pickle, to stand among values."""


def code(value: Any) -> Code:
    """The instructions that push a value, of protocol 2 (bytes excepted, which are of protocol 3)."""
    match value:
        case Code():
            return value
        case None | True | False:
            return Code({None: b"N", True: b"\x88", False: b"\x89"}[value])
        case int():
            return Code(b"\x8a" + bytes([len(raw := _long(value))]) + raw)
        case float():
            return Code(b"G" + struct.pack(">d", value))
        case str():
            raw = value.encode("utf-8", "surrogatepass")
            return Code(b"X" + struct.pack("<I", len(raw)) + raw)
        case bytes():
            return Code(b"B" + struct.pack("<I", len(value)) + value)
        case tuple():
            return Code(b"(" + b"".join(map(code, value)) + b"t")
        case list():
            return Code(b"](" + b"".join(map(code, value)) + b"e")
        case dict():
            return Code(b"}(" + b"".join(code(key) + code(item) for key, item in value.items()) + b"u")
    raise TypeError(f"no instructions for {value!r}")


def _long(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True) if value else b""


def name(module: str, attribute: str) -> Code:
    return Code(f"c{module}\n{attribute}\n".encode())


def stack_name(module: Any, attribute: Any) -> Code:
    return Code(code(module) + code(attribute) + b"\x93")


def call(function: Code, *args: Any) -> Code:
    return Code(function + code(args) + b"R")


def new(cls: Code, *args: Any) -> Code:
    return Code(cls + code(args) + b"\x81")


def built(target: Any, state: Any) -> Code:
    return Code(code(target) + code(state) + b"b")


def pickled(value: Any, protocol: int = 2) -> bytes:
    return b"\x80" + bytes([protocol]) + code(value) + b"."


ORDERED = name("collections", "OrderedDict")
REBUILD = name("torch._utils", "_rebuild_tensor_v2")
INNER = name("torch.storage", "_load_from_bytes")
PERSISTENT = name("torch_utils.persistence", "_reconstruct_persistent_obj")


def empty_table() -> Code:
    return call(ORDERED)


def reference(*entries: Any) -> Code:
    """A BINPERSID of these entries."""
    return Code(code(entries) + b"Q")


def storage(key: str = "0", numel: Any = 4, cls: str = "FloatStorage", location: Any = "cpu", *more: Any) -> Code:
    return reference("storage", name("torch", cls), key, location, numel, *more)


def tensor(source: Any, size: Any = (4,), stride: Any = (1,), offset: Any = 0, *more: Any, hooks: Any = None) -> Code:
    return call(REBUILD, source, offset, size, stride, False, empty_table() if hooks is None else hooks, *more)


def zipped(members: Mapping[str, bytes], deflated: tuple[str, ...] = (), comment: bytes = b"") -> bytes:
    """A zip archive with these members, in this order."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = comment
        for member, content in members.items():
            how = zipfile.ZIP_DEFLATED if member in deflated else zipfile.ZIP_STORED
            archive.writestr(zipfile.ZipInfo(member), content, how)
    return file.getvalue()


def torch_zip(value: Any, data: Mapping[str, bytes] | None = None, prefix: str = "archive/", **more: bytes) -> bytes:
    """What torch.save would have written for such a pickle. `more`: members that replace or join the usual ones."""
    members = {"data.pkl": pickled(value), "version": b"3\n", "byteorder": b"little"}
    members |= {f"data/{key}": content for key, content in ({"0": bytes(16)} if data is None else data).items()}
    return zipped({prefix + member: content for member, content in {**members, **more}.items()})


def member_at(archive: bytes, member: str) -> int:
    """Where the directory of an archive describes this member."""
    return archive.index(member.encode(), archive.index(b"PK\x01\x02")) - 46


def patched(content: bytes, at: int, new: bytes) -> bytes:
    """The same bytes with these instead from `at` on."""
    return content[:at] + new + content[at + len(new) :]


def legacy(
    value: Any,
    keys: Any = ("0",),
    raws: bytes = struct.pack("<q", 4) + bytes(16),
    magic: Any = MAGIC,
    version: Any = 1001,
    system: Any = None,
) -> bytes:
    """The stream of five pickles of torch.save before 1.6, and what follows them."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}} if system is None else system
    keys = list(keys) if isinstance(keys, tuple) else keys
    return b"".join(map(pickled, (magic, version, system, value, keys))) + raws


def legacy_storage(key: str = "0", numel: Any = 4, cls: str = "FloatStorage", location: Any = "cpu", view: Any = None):
    return storage(key, numel, cls, location, view)


def inner_storage() -> bytes:
    """Four zeros, as NVIDIA's pickles hold a storage."""
    return legacy(legacy_storage())


def nvidia_tensor(content: Any = None) -> Code:
    return tensor(call(INNER, inner_storage() if content is None else content))


def module(class_name: Any = "Generator", modules: Any = None, parameters: Any = None, **more: Any) -> Code:
    """A module of NVIDIA's. `more` replaces or joins what it is described by."""
    state = {
        "training": False,
        "_parameters": {} if parameters is None else parameters,
        "_buffers": {},
        "_modules": {} if modules is None else modules,
    }
    meta = {"type": "class", "version": 6, "module_src": "", "class_name": class_name, "state": state, **more}
    return call(PERSISTENT, {key: item for key, item in meta.items() if item is not ...})


def array(
    shape: Any = (4,), dtype: Any = None, content: Any = bytes(16), fortran: Any = False, core: str = "numpy.core"
):
    """An array of NumPy's, as pickles describe it."""
    begun = call(name(f"{core}.multiarray", "_reconstruct"), name("numpy", "ndarray"), (0,), b"b")
    return built(begun, (1, shape, array_type() if dtype is None else dtype, fortran, content))


def array_type(kind: Any = "f4", state: Any = (3, "<", None, None, None, -1, -1, 0)) -> Code:
    return built(call(name("numpy", "dtype"), kind, False, True), state)


def network(**state: Any) -> Code:
    """A network of NVIDIA's TensorFlow code."""
    usual = {"version": 4, "name": "G", "static_kwargs": {}, "components": {}, "variables": []}
    return built(new(name("dnnlib.tflib.network", "Network")), {**usual, **state})


def npy(header: str, content: bytes = bytes(16), version: int = 1) -> bytes:
    raw = header.encode() + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + len(raw).to_bytes(2 if version == 1 else 4, "little") + raw + content


def safetensors(header: Any, content: bytes = bytes(16)) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + content


def deflated(beginning: bytes, zeros: int) -> bytes:
    """These bytes and so many zeros, in steps of 16 MB, packed without ever being there."""
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = machine.compress(beginning) + machine.flush(zlib.Z_FULL_FLUSH)
    piece = machine.compress(bytes(1 << 24)) + machine.flush(zlib.Z_FULL_FLUSH)
    return content + piece * (zeros >> 24) + machine.flush()
