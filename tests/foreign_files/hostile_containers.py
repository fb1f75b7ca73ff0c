"""Hostile containers: references to data, zip archives, old streams, arrays, safetensors, and what is no checkpoint."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from foreign_files.assembler import (
    MAGIC,
    Code,
    call,
    code,
    deflated,
    legacy,
    legacy_storage,
    member_at,
    name,
    npy,
    patched,
    pickled,
    reference,
    safetensors,
    storage,
    tensor,
    torch_zip,
    zipped,
)
from foreign_files.hostile import Case


def cases() -> Iterator[Case]:
    yield from references()
    yield from archives()
    yield from streams()
    yield from arrays()
    yield from safetensors_files()
    yield from no_checkpoints()


def touch(mark: str) -> Code:
    return call(name("os", "mkdir"), mark)


def table(value: Any) -> dict[str, Any]:
    return {"g_ema": {"w": value}}


# References to data outside of the pickle.


def references() -> Iterator[Case]:
    def refer(file: str, what: str, source: Code, expect: str = "refuse", data: dict[str, bytes] | None = None) -> Case:
        return Case(f"reference_{file}.pt", what, lambda mark: torch_zip(table(tensor(source)), data), expect)

    floats = name("torch", "FloatStorage")
    yield refer("not_tuple", "a list for a tuple", Code(code(["storage", floats, "0", "cpu", 4]) + b"Q"))
    yield refer("text", "a text", Code(code("storage") + b"Q"))
    yield refer("word", "another word", reference("module", floats, "0", "cpu", 4))
    yield refer("module", "a class with its source", reference("module", floats, "x.py", "import os"))
    yield refer("short", "too few entries", reference("storage", floats, "0", "cpu"))
    yield refer("long", "an entry too many", storage("0", 4, "FloatStorage", "cpu", None))
    yield refer("class_text", "a class that is a text", reference("storage", "FloatStorage", "0", "cpu", 4))
    yield refer("class_function", "a class that is a function", reference("storage", touch("x"), "0", "cpu", 4))
    for cls in ("QUInt8Storage", "ComplexFloatStorage", "UntypedStorage", "Storage", "FloatTensor", "load"):
        yield refer(f"class_{cls}", f"torch.{cls}", storage(cls=cls))
    yield refer("key_traversal", "a key that climbs", storage("../../../etc/passwd"))
    yield refer("key_pickle", "a key that is the pickle", storage("../data.pkl"))
    yield refer("key_missing", "data that is not there", storage("1"))
    yield refer("key_number", "a key that is a number", reference("storage", floats, 0, "cpu", 4))
    yield refer("key_empty", "an empty key", storage(""))
    yield refer("key_digits", "a key in other digits", storage("٠"))
    yield refer("key_long", "a key of a million digits", storage("1" * 1_000_000))
    yield refer("location_number", "a location that is a number", storage(location=0))
    yield refer("location_long", "a location of 10,000 letters", storage(location="c" * 10_000))
    yield refer("location_cuda", "written on a GPU", storage(location="cuda:7"), "load")
    yield refer("location_meta", "written without data", storage(location="meta"), "refuse or load")
    for file, numel in (("negative", -4), ("huge", 1 << 50), ("more", 5), ("less", 3), ("overflow", (1 << 62) + 4)):
        yield refer(f"length_{file}", f"a length of {numel}", storage(numel=numel))
    yield refer("length_bool", "a length of True", storage(numel=True), data={"0": bytes(4)})
    yield refer("length_float", "a length with a point", storage(numel=4.0))
    yield refer("type_other", "16 bytes as 4 doubles", storage(cls="DoubleStorage"))
    yield refer("bool_values", "booleans of 0x7f", storage(cls="BoolStorage"), data={"0": b"\x7f" * 4})
    two = {"a": tensor(storage()), "b": tensor(storage(cls="IntStorage"))}
    yield Case("reference_two_types.pt", "the same data as two types", lambda mark: torch_zip({"g_ema": two}))
    again = {"a": tensor(storage()), "b": tensor(storage(numel=2), (2,))}
    yield Case("reference_two_lengths.pt", "the same data with two lengths", lambda mark: torch_zip({"g_ema": again}))


# Zip archives.


def archives() -> Iterator[Case]:
    def archive(
        file: str, what: str, make: Callable[[str], bytes], expect: str = "refuse", fires: bool = False
    ) -> Case:
        return Case(f"zip_{file}.pt", what, make, expect, "torch" if fires else None)

    good = torch_zip(table(tensor(storage())))
    pkl, data = "archive/data.pkl", "archive/data/0"

    def directory(member: str, offset: int, form: str, value: int) -> bytes:
        return patched(good, member_at(good, member) + offset, struct.pack(form, value))

    def end(offset: int, form: str, value: int) -> bytes:
        return patched(good, len(good) - 22 + offset, struct.pack(form, value))

    yield archive("good", "nothing: a table with one tensor", lambda mark: good, "load")
    yield archive("call", "a call in data.pkl", lambda mark: torch_zip(touch(mark)), fires=True)
    yield archive(
        "call_nested", "a call in a list in a table", lambda mark: torch_zip({"g_ema": [touch(mark)]}), fires=True
    )
    yield archive(
        "call_after",
        "a call after a good table",
        lambda mark: torch_zip(Code(code({}) + touch(mark) + b"0")),
        fires=True,
    )
    yield archive(
        "call_key", "a call for a reference", lambda mark: torch_zip(tensor(Code(touch(mark) + b"Q"))), fires=True
    )
    yield archive(
        "second_pickle",
        "a second pickle in data.pkl",
        lambda mark: torch_zip({}, **{"data.pkl": pickled({}) + pickled(touch(mark))}),
    )
    yield archive("bomb", "1 GB of zeros, packed", lambda mark: _packed_member(data, 1 << 30))
    yield archive("bomb_pickle", "a pickle that unpacks to 1 GB", lambda mark: _packed_member(pkl, 1 << 30))
    yield archive("packed", "packed members", lambda mark: zipped({pkl: pickled({}), data: bytes(16)}, deflated=(pkl,)))
    yield archive(
        "packed_data",
        "packed data",
        lambda mark: zipped({pkl: pickled(table(tensor(storage()))), data: bytes(16)}, deflated=(data,)),
    )
    yield archive("duplicate", "data.pkl twice", lambda mark: _twice(pkl, pickled({}), pickled(touch(mark))))
    yield archive("duplicate_data", "the same data twice", lambda mark: _twice(data, bytes(16), bytes(16)))
    yield archive(
        "two_pickles",
        "two folders with a data.pkl",
        lambda mark: zipped({pkl: pickled({}), "other/data.pkl": pickled(touch(mark))}),
    )
    yield archive("traversal", "a member that climbs", lambda mark: torch_zip({}, **{"../../../../tmp/evil.py": b"x"}))
    yield archive("absolute", "a member from the root", lambda mark: zipped({pkl: pickled({}), "/etc/evil": b"x"}))
    yield archive("backslash", "a member with backslashes", lambda mark: torch_zip({}, **{"..\\..\\evil.py": b"x"}))
    yield archive("script", "a Python file beside", lambda mark: torch_zip({}, **{"evil.py": b"x"}))
    yield archive(
        "torchscript",
        "a TorchScript program",
        lambda mark: torch_zip({}, **{"code/__torch__.py": b"x", "constants.pkl": pickled(())}),
    )
    yield archive("torchscript_real", "a TorchScript program of torch's", lambda mark: _torchscript())
    yield archive(
        "constants", "constants of a program", lambda mark: torch_zip({}, **{"constants.pkl": pickled(touch(mark))})
    )
    yield archive("no_pickle", "no data.pkl", lambda mark: zipped({"archive/version": b"3\n"}))
    yield archive(
        "no_folder", "members without a folder", lambda mark: zipped({"data.pkl": pickled({}), "version": b"3"})
    )
    yield archive("empty", "no members", lambda mark: zipped({}))
    yield archive(
        "documents",
        "a document of an office",
        lambda mark: zipped({"[Content_Types].xml": b"<x/>", "word/a.xml": b"<x/>"}),
    )
    yield archive("nested", "an archive in an archive", lambda mark: zipped({"archive/inner.pt": good}))
    yield archive("polyglot_before", "bytes before the archive", lambda mark: b"MZ" + bytes(62) + good)
    yield archive("polyglot_pickle", "a pickle before the archive", lambda mark: pickled(touch(mark)) + good)
    yield archive("polyglot_after", "bytes after the archive", lambda mark: good + pickled(touch(mark)))
    yield archive("polyglot_between", "bytes between the members", lambda mark: _gap(good))
    yield archive("comment", "a comment", lambda mark: zipped({pkl: pickled({})}, comment=pickled(touch(mark))))
    yield archive("cut_half", "its first half", lambda mark: good[: len(good) // 2])
    yield archive("cut_end", "its last byte is missing", lambda mark: good[:-1])
    yield archive("cut_directory", "its directory is missing", lambda mark: good[: good.index(b"PK\x01\x02")])
    yield archive("size_more", "data that is longer than the file", lambda mark: directory(data, 24, "<L", 1 << 30))
    yield archive("size_stored", "data packed longer than the file", lambda mark: directory(data, 20, "<L", 1 << 30))
    yield archive(
        "size_both",
        "data twice longer than the file",
        lambda mark: patched(good, member_at(good, data) + 20, struct.pack("<2L", 1 << 30, 1 << 30)),
    )
    yield archive(
        "size_less",
        "data that is shorter than said",
        lambda mark: patched(good, member_at(good, data) + 20, struct.pack("<2L", 8, 8)),
    )
    yield archive("size_wide", "a length that is nowhere", lambda mark: directory(data, 24, "<L", 0xFFFFFFFF))
    yield archive("offset_beyond", "a member beyond the file", lambda mark: directory(data, 42, "<L", 1 << 30))
    yield archive("offset_same", "two members in one place", lambda mark: directory(data, 42, "<L", 0))
    yield archive("encrypted", "an encrypted member", lambda mark: directory(pkl, 8, "<H", 1))
    yield archive("method", "a member packed in another way", lambda mark: directory(pkl, 10, "<H", 14))
    yield archive(
        "name_differs",
        "a member by another name",
        lambda mark: good.replace(b"archive/data.pkl", b"archive/DATA.pkl", 1),
    )
    yield archive(
        "name_not_text",
        "a name that is no text",
        lambda mark: good.replace(b"archive/version", b"archive/\xff\xfe\xfdsion"),
    )
    yield archive("damaged_data", "data that changed since", lambda mark: _damaged(good))
    yield archive("damaged_pickle", "a pickle that changed since", lambda mark: good.replace(b"g_ema", b"g_emb", 1))
    yield archive(
        "count_more", "more members than there are", lambda mark: patched(good, len(good) - 14, b"\xff\xff\xff\xff")
    )
    yield archive(
        "count_less", "fewer members than there are", lambda mark: patched(good, len(good) - 14, b"\x01\x00\x01\x00")
    )
    yield archive("count_none", "no members, it says", lambda mark: patched(good, len(good) - 14, bytes(4)))
    yield archive("directory_before", "a directory before the file", lambda mark: end(16, "<L", 0))
    yield archive("directory_beyond", "a directory beyond the file", lambda mark: end(16, "<L", 1 << 30))
    yield archive("directory_long", "a directory longer than the file", lambda mark: end(12, "<L", 1 << 30))
    yield archive("disks", "an archive on several disks", lambda mark: end(4, "<H", 1))
    yield archive(
        "big_endian",
        "written with another byte order",
        lambda mark: torch_zip(table(tensor(storage())), byteorder=b"big"),
    )
    yield archive("signature_only", "four bytes", lambda mark: b"PK\x03\x04")
    yield archive("end_only", "the end of an archive only", lambda mark: b"PK\x05\x06" + bytes(18))
    yield archive("wide_lies", "a wide directory that points astray", lambda mark: _wide(good))
    yield archive("many", "60,000 entries for one member", _many)


def _packed_member(member: str, size: int) -> bytes:
    """An archive with so many zeros in a member, packed; the others are as usual."""
    usual = {"archive/data.pkl": pickled(table(tensor(storage()))), "archive/data/0": bytes(16)}
    rest = zipped({name: content for name, content in usual.items() if name != member})
    begin = rest.index(b"PK\x01\x02")
    local, entry = _packed(member.encode(), deflated(b"", size), size, begin)
    directory = rest[begin:-22] + entry
    return rest[:begin] + local + directory + _ending(2, len(directory), begin + len(local))


def _packed(member: bytes, content: bytes, size: int, at: int, crc: int = 0, method: int = 8) -> tuple[bytes, bytes]:
    """A member at `at`, and its entry in the directory."""
    fields = method, 0, 0x21, crc, len(content), size, len(member), 0
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, *fields) + member + content
    return local, struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, *fields, 0, 0, 0, 0, at) + member


def _ending(count: int, length: int, begin: int) -> bytes:
    return struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, length, begin, 0)


def _twice(member: str, first: bytes, second: bytes) -> bytes:
    """An archive in which a member occurs twice."""
    other = member[:-1] + "~"
    usual = {"archive/data.pkl": pickled({}), "archive/data/0": bytes(16)}
    content = zipped({**usual, member: first, other: second})
    return content.replace(other.encode(), member.encode())


def _gap(archive: bytes) -> bytes:
    """The archive with 64 bytes before its directory that belong to nothing."""
    begin = archive.index(b"PK\x01\x02")
    moved = archive[:begin] + bytes(64) + archive[begin:]
    return patched(moved, len(moved) - 6, struct.pack("<L", begin + 64))


def _damaged(archive: bytes) -> bytes:
    begin = archive.index(b"archive/data/0") + len("archive/data/0")
    return patched(archive, begin, b"\x01")


def _wide(archive: bytes) -> bytes:
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1 << 60, 1 << 60, 1 << 60, 1 << 60)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(archive) - 22, 1)
    return archive[:-22] + record + locator + archive[-22:]


def _many(mark: str) -> bytes:
    """60,000 entries for one member."""
    content = pickled({})
    local, entry = _packed(b"archive/data.pkl", content, len(content), 0, zlib.crc32(content), method=0)
    return local + entry * 60_000 + _ending(60_000, 60_000 * len(entry), len(local))


def _torchscript() -> bytes:
    import torch

    file = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), file)
    return file.getvalue()


# Old streams.


def streams() -> Iterator[Case]:
    def stream(file: str, what: str, make: Callable[[str], bytes], expect: str = "refuse", fires: bool = False) -> Case:
        return Case(f"legacy_{file}.pt", what, make, expect, "torch" if fires else None)

    value = table(tensor(legacy_storage()))
    good = legacy(value)
    yield stream("good", "nothing: a table with one tensor", lambda mark: good, "load")
    yield stream("call_1", "a call in the first pickle", lambda mark: legacy(value, magic=touch(mark)), fires=True)
    yield stream(
        "call_1_after",
        "a call in the first pickle, beside the right number",
        lambda mark: legacy(value, magic=Code(code(MAGIC) + touch(mark) + b"0")),
        fires=True,
    )
    yield stream("call_2", "a call in the second pickle", lambda mark: legacy(value, version=touch(mark)), fires=True)
    yield stream(
        "call_3",
        "a call in the third pickle",
        lambda mark: legacy(value, system={"little_endian": True, "x": touch(mark)}),
        fires=True,
    )
    yield stream("call_4", "a call in the fourth pickle", lambda mark: legacy(touch(mark), (), b""), fires=True)
    yield stream("call_5", "a call in the fifth pickle", lambda mark: legacy(value, keys=touch(mark)), fires=True)
    yield stream(
        "source",
        "a class with its source",
        lambda mark: legacy(reference("module", name("collections", "OrderedDict"), "a.py", "import os")),
    )
    yield stream("magic", "another number", lambda mark: legacy(value, magic=MAGIC + 1))
    yield stream("version", "version 1000", lambda mark: legacy(value, version=1000))
    yield stream("big_endian", "another byte order", lambda mark: legacy(value, system={"little_endian": False}))
    yield stream("system_list", "a list for the system", lambda mark: legacy(value, system=[1]))
    yield stream("keys_missing", "no key", lambda mark: legacy(value, ()))
    yield stream("keys_more", "a key too many", lambda mark: legacy(value, ("0", "1")))
    yield stream("keys_twice", "a key twice", lambda mark: legacy(value, ("0", "0")))
    yield stream("keys_number", "a key that is a number", lambda mark: legacy(value, (0,)))
    yield stream("keys_text", "keys in a text", lambda mark: legacy(value, "0"))
    yield stream("raw_more", "more values than said", lambda mark: legacy(value, raws=struct.pack("<q", 5) + bytes(20)))
    yield stream(
        "raw_less", "fewer values than said", lambda mark: legacy(value, raws=struct.pack("<q", 3) + bytes(12))
    )
    yield stream("raw_negative", "-1 values", lambda mark: legacy(value, raws=struct.pack("<q", -1) + bytes(16)))
    yield stream("raw_huge", "2^62 values", lambda mark: legacy(value, raws=struct.pack("<q", 1 << 62) + bytes(16)))
    yield stream("raw_cut", "half of the values", lambda mark: legacy(value, raws=struct.pack("<q", 4) + bytes(8)))
    yield stream("raw_none", "no values", lambda mark: legacy(value, raws=b""))
    yield stream("raw_trailing", "a pickle after the values", lambda mark: good + pickled(touch(mark)))
    yield stream("storage_huge", "a storage of 4 TB", lambda mark: legacy(table(tensor(legacy_storage(numel=1 << 39)))))
    yield stream(
        "storages_huge",
        "100 storages of the file's size",
        lambda mark: legacy({str(i): legacy_storage(str(i), 1 << 20) for i in range(100)}, (), bytes(4 << 20)),
    )
    yield stream("view", "a view of a storage", lambda mark: legacy(table(tensor(legacy_storage(view=("0", 0, 4))))))
    yield stream("short_id", "a reference of the newer kind", lambda mark: legacy(table(tensor(storage()))))
    yield stream("first_only", "the first pickle only", lambda mark: pickled(MAGIC))
    yield stream(
        "no_value", "three pickles of five", lambda mark: b"".join(map(pickled, (MAGIC, 1001, {"little_endian": True})))
    )


# Arrays.


def arrays() -> Iterator[Case]:
    def file(
        ending: str, name_: str, what: str, make: Callable[[str], bytes], expect: str = "refuse", fires: bool = False
    ) -> Case:
        return Case(f"array_{name_}.{ending}", what, make, expect, "numpy" if fires else None)

    def header(descr: str = "'<f4'", shape: str = "(4,)", fortran: str = "False") -> str:
        return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"

    yield file(
        "npy", "objects", "Python objects", lambda mark: npy(header("'|O'", "(1,)"), pickled(touch(mark))), fires=True
    )
    yield file(
        "npz",
        "objects",
        "Python objects in an archive",
        lambda mark: zipped({"w.npy": npy(header("'|O'", "(1,)"), pickled(touch(mark)))}),
        fires=True,
    )
    yield file("npy", "fields", "fields", lambda mark: npy(header("[('a', '<f4'), ('b', '|O')]")))
    yield file("npy", "void", "bytes of no type", lambda mark: npy(header("'|V4'")))
    yield file("npy", "text", "text", lambda mark: npy(header("'<U1'")))
    yield file("npy", "complex", "complex numbers", lambda mark: npy(header("'<c8'", "(2,)")))
    yield file("npy", "time", "times", lambda mark: npy(header("'<M8[ns]'", "(2,)")))
    yield file("npy", "big_endian", "another byte order", lambda mark: npy(header("'>f4'")))
    yield file("npy", "code", "code in the header", lambda mark: npy(f"__import__('os').mkdir({mark!r})"))
    yield file("npy", "shape_huge", "10^18 values", lambda mark: npy(header(shape="(1000000000, 1000000000)")))
    yield file(
        "npy",
        "shape_overflow",
        "sizes whose product overflows to 4",
        lambda mark: npy(header(shape="(4294967296, 4294967296, 4)")),
    )
    yield file("npy", "shape_negative", "a negative size", lambda mark: npy(header(shape="(-4,)")))
    yield file("npy", "shape_rank", "33 dimensions", lambda mark: npy(header(shape="(" + "1, " * 33 + ")")))
    yield file(
        "npy", "shape_deep", "a header of 10,000 brackets", lambda mark: npy(header(shape="(" * 5000 + ")" * 5000))
    )
    yield file(
        "npy", "header_long", "a header longer than the file", lambda mark: npy("x", b"", 2)[:8] + b"\xff\xff\xff\x7f{"
    )
    yield file("npy", "version", "version 9", lambda mark: npy(header(), version=9))
    yield file("npy", "cut", "half of the values", lambda mark: npy(header())[:-8])
    yield file("npy", "trailing", "a pickle after the values", lambda mark: npy(header()) + pickled(touch(mark)))
    yield file("npy", "magic", "six bytes", lambda mark: b"\x93NUMPY")
    yield file("npy", "bool", "booleans of 0x7f", lambda mark: npy(header("'|b1'"), b"\x7f" * 4))
    yield file(
        "npz",
        "mixed",
        "an array and a pickle",
        lambda mark: zipped({"w.npy": npy(header()), "x.pkl": pickled(touch(mark))}),
    )
    yield file("npz", "bomb", "an array that unpacks to 1 GB", lambda mark: _packed_array(1 << 30))
    yield file(
        "npz",
        "bomb_lies",
        "an array that unpacks to more than it says",
        lambda mark: _lying_array(),
    )


def _packed_array(size: int) -> bytes:
    head = npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': (1, {size // 64}, 16), }}", b"")
    local, entry = _packed(b"w.npy", deflated(head, size), len(head) + size, 0)
    return local + entry + _ending(1, len(entry), len(local))


def _lying_array() -> bytes:
    content = _packed_array(1 << 28)
    return patched(content, len(content) - 22 - 5 - 46 + 24, struct.pack("<L", 200))


# Safetensors.


def safetensors_files() -> Iterator[Case]:
    def file(name_: str, what: str, header: Any, content: bytes = bytes(16), expect: str = "refuse") -> Case:
        return Case(f"safetensors_{name_}.safetensors", what, lambda mark: safetensors(header, content), expect)

    def entry(dtype: Any = "F32", shape: Any = (2, 2), begin: Any = 0, end: Any = 16) -> dict[str, Any]:
        return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}

    one = {"w": entry()}
    yield Case(
        "safetensors_length.safetensors", "a header of 2^63 bytes", lambda mark: struct.pack("<Q", 1 << 63) + b"{}"
    )
    yield Case(
        "safetensors_length_file.safetensors",
        "a header longer than the file",
        lambda mark: struct.pack("<Q", 100) + b"{}",
    )
    yield Case("safetensors_eight.safetensors", "eight bytes", lambda mark: struct.pack("<Q", 2))
    yield file("not_json", "a header that is no JSON", b"{w: 1}")
    yield file("not_utf8", "a header that is no text", b'{"\xff": 1}')
    yield file("list", "a header that is a list", b"[1]")
    yield file("deep", "a header of 100,000 brackets", b'{"a":' + b"[" * 100_000)
    yield file("number", "a number of a million digits", b'{"a":' + b"9" * 1_000_000 + b"}")
    yield file("nan", "a shape that is no number", b'{"w":{"dtype":"F32","shape":[NaN],"data_offsets":[0,16]}}')
    yield file(
        "twice",
        "a tensor twice",
        b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},' * 1
        + b'"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}',
    )
    yield file("overlap", "two tensors in one place", {"a": entry(), "b": entry()})
    yield file("hole", "bytes that belong to no tensor", {"w": entry(shape=(2,), begin=8)})
    yield file("beyond", "a tensor beyond the file", {"w": entry(end=1 << 40, shape=(1 << 38,))})
    yield file("short", "fewer bytes than its shape needs", {"w": entry(shape=(3, 2))})
    yield file("reversed", "a tensor that ends before it begins", {"w": entry(begin=16, end=0)})
    yield file("negative", "a negative size", {"w": entry(shape=(-2, -2))})
    yield file("overflow", "sizes whose product overflows", {"w": entry(shape=(1 << 32, 1 << 32, 4))})
    yield file("empty_huge", "no values, but huge otherwise", {"w": entry(shape=(0, 1 << 40, 1 << 40), end=0)}, b"")
    yield file("dtype", "a type that there is not", {"w": entry("F33")})
    yield file("dtype_f8", "numbers of eight bits", {"w": entry("F8_E4M3", (16,))})
    yield file("dtype_number", "a type that is a number", {"w": entry(7)})
    yield file("rank", "100 dimensions", {"w": entry(shape=(1,) * 99 + (4,))})
    yield file("floats", "offsets with a point", {"w": entry(begin=0.0, end=16.0)})
    yield file("bool", "booleans of 0x7f", {"w": entry("BOOL", (16,))}, b"\x7f" * 16)
    yield file("trailing", "a pickle after the tensors", one, bytes(16) + pickled({}))
    yield file("cut", "half of a tensor", one, bytes(8))
    yield file("more", "a tensor with more to say", {"w": {**entry(), "code": "x"}}, expect="refuse or load")
    yield file("ours_empty", "says that it is of this project, and no more", {"__metadata__": {"lga": "{}"}, **one})


# What is no checkpoint at all.


def no_checkpoints() -> Iterator[Case]:
    def stranger(name_: str, what: str, content: bytes) -> Case:
        return Case(f"other_{name_}", what, lambda mark: content)

    yield stranger("empty.pkl", "an empty file", b"")
    yield stranger("one_byte.pkl", "one byte", b"\x80")
    yield stranger("zeros.pt", "a download that was only reserved", bytes(100_000))
    yield stranger("page.pkl", "a web page", b"<!DOCTYPE html><html><title>Quota exceeded</title></html>")
    yield stranger("page_blank.pt", "a web page after blank lines", b"\n\n  <html><head></head></html>")
    yield stranger("answer.pkl", "a server's answer", b'{"error": "Access denied"}')
    yield stranger("words.pt", "an answer in words", b"Entry not found")
    yield stranger(
        "pointer.pt", "a Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    )
    yield stranger("picture.pkl", "a PNG picture", b"\x89PNG\r\n\x1a\n" + bytes(64))
    yield stranger("photo.pt", "a JPEG picture", b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(64))
    yield stranger("archive.tar", "a tar archive", b"a.txt" + bytes(252) + b"ustar\x0000" + bytes(1000))
    yield stranger("archive.pkl.gz", "a gzip archive", b"\x1f\x8b\x08" + bytes(64))
    yield stranger("hdf5.pt", "an HDF5 file", b"\x89HDF\r\n\x1a\n" + bytes(64))
    yield stranger("noise.bin", "bytes of no meaning", bytes(range(200, 256)) * 10)
    yield stranger("script.pt", "a Python file", b"import os\nos.system('true')\n")
