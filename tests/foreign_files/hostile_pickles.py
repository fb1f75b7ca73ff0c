"""Hostile pickles: calls, ways around a list of names, poisoned objects, bombs, tensors beyond their data."""

from __future__ import annotations

import json
import marshal
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from foreign_files.assembler import (
    INNER,
    ORDERED,
    Code,
    array_type,
    built,
    call,
    code,
    empty_table,
    module,
    name,
    new,
    nvidia_tensor,
    pickled,
    stack_name,
    storage,
    tensor,
    torch_zip,
)
from foreign_files.hostile import Case


def cases() -> Iterator[Case]:
    yield from calls()
    yield from walks()
    yield from poisons()
    yield from bombs()
    yield from geometries()


# Names that do harm as soon as they are called.

WRITE = "open({!r}, 'w').close()"

CALLS: dict[tuple[str, str], Callable[[str], tuple[Any, ...]]] = {
    ("os", "system"): lambda mark: (f"touch {mark}",),
    ("posix", "system"): lambda mark: (f"touch {mark}",),
    ("os", "mkdir"): lambda mark: (mark,),
    ("os", "makedirs"): lambda mark: (mark,),
    ("os", "mkfifo"): lambda mark: (mark,),
    ("os", "symlink"): lambda mark: ("/", mark),
    ("os", "open"): lambda mark: (mark, 0o101),
    ("os", "spawnlp"): lambda mark: (0, "touch", "touch", mark),
    ("os", "execlp"): lambda mark: ("touch", "touch", mark),
    ("subprocess", "run"): lambda mark: (["touch", mark],),
    ("subprocess", "call"): lambda mark: (["touch", mark],),
    ("subprocess", "check_call"): lambda mark: (["touch", mark],),
    ("subprocess", "check_output"): lambda mark: (["touch", mark],),
    ("subprocess", "getoutput"): lambda mark: (f"touch {mark}",),
    ("subprocess", "getstatusoutput"): lambda mark: (f"touch {mark}",),
    ("builtins", "eval"): lambda mark: (WRITE.format(mark),),
    ("builtins", "exec"): lambda mark: (WRITE.format(mark),),
    ("builtins", "open"): lambda mark: (mark, "w"),
    ("__builtin__", "eval"): lambda mark: (WRITE.format(mark),),
    ("__builtin__", "execfile"): lambda mark: (mark,),
    ("io", "open"): lambda mark: (mark, "w"),
    ("_io", "open"): lambda mark: (mark, "w"),
    ("io", "FileIO"): lambda mark: (mark, "w"),
    ("codecs", "open"): lambda mark: (mark, "w"),
    ("shutil", "copyfile"): lambda mark: (json.__file__, mark),
    ("shutil", "copytree"): lambda mark: (str(Path(json.__file__).parent), mark),
    ("pathlib", "PosixPath.touch"): lambda mark: (call(name("pathlib", "PosixPath"), mark),),
    ("tempfile", "mkdtemp"): lambda mark: ("", "mark", mark.rpartition("/")[0]),
    ("timeit", "timeit"): lambda mark: ("pass", WRITE.format(mark)),
    ("cProfile", "run"): lambda mark: (WRITE.format(mark),),
    ("pdb", "run"): lambda mark: (WRITE.format(mark),),
    ("pty", "spawn"): lambda mark: (["touch", mark],),
    ("pydoc", "pipepager"): lambda mark: ("", f"cat > {mark}"),
    ("pickle", "loads"): lambda mark: (pickled(call(name("os", "mkdir"), mark)),),
    ("_pickle", "loads"): lambda mark: (pickled(call(name("os", "mkdir"), mark)),),
    ("types", "FunctionType"): lambda mark: (call(name("marshal", "loads"), compiled(mark)), {}),
    ("logging", "FileHandler"): lambda mark: (mark,),
    ("zipfile", "ZipFile"): lambda mark: (mark, "w"),
    ("gzip", "open"): lambda mark: (mark, "w"),
    ("tarfile", "open"): lambda mark: (mark, "w"),
    ("mailbox", "Maildir"): lambda mark: (mark,),
    ("urllib.request", "urlretrieve"): lambda mark: (f"file://{json.__file__}", mark),
    ("functools", "reduce"): lambda mark: (name("os", "mkdir"), [mark, 0o700]),
    ("torch", "save"): lambda mark: (1, mark),
    ("torch.utils.collect_env", "run"): lambda mark: (f"touch {mark}",),
    ("torch.hub", "_remove_if_exists"): lambda mark: (mark,),
    ("torch.serialization", "load"): lambda mark: (mark,),
    ("torch.jit", "load"): lambda mark: (mark,),
    ("torch.package", "PackageImporter"): lambda mark: (mark,),
    ("numpy", "savetxt"): lambda mark: (mark, [1.0]),
    ("numpy", "load"): lambda mark: (mark, None, True),
    ("numpy.testing._private.utils", "runstring"): lambda mark: (WRITE.format(mark), {}),
    ("webbrowser", "open"): lambda mark: (f"file://{mark}",),
    ("ctypes", "CDLL"): lambda mark: (mark,),
    ("importlib", "import_module"): lambda mark: ("antigravity",),
    ("socket", "create_connection"): lambda mark: (("127.0.0.1", 9),),
}
SILENT = (  # would need a second file, a display or a network to leave a mark
    *(("__builtin__", "execfile"), ("torch.hub", "_remove_if_exists"), ("torch.serialization", "load")),
    *(("torch.jit", "load"), ("torch.package", "PackageImporter"), ("numpy", "load"), ("webbrowser", "open")),
    *(("pdb", "run"), ("ctypes", "CDLL"), ("importlib", "import_module"), ("socket", "create_connection")),
    ("types", "FunctionType"),
)


def compiled(mark: str) -> bytes:
    return marshal.dumps(compile(WRITE.format(mark), "", "exec"))


def direct(module: str, attribute: str, args: Callable[[str], tuple[Any, ...]]) -> Callable[[str], bytes]:
    """A pickle that makes this call. A name with dots is walked from protocol 4 on."""
    function = stack_name if "." in attribute else name
    protocol = 4 if "." in attribute else 2
    return lambda mark: pickled(call(function(module, attribute), *args(mark)), protocol)


def calls() -> Iterator[Case]:
    for (where, attribute), args in CALLS.items():
        fires = None if (where, attribute) in SILENT else "pickle"
        file = f"call_{where.replace('.', '_')}_{attribute.replace('.', '_')}.pkl"
        yield Case(file, f"calls {where}.{attribute}", direct(where, attribute, args), fires_with=fires)


# Ways around a list of names.


def touch(mark: str) -> str:
    return f"touch {mark}"


def walks() -> Iterator[Case]:
    def walk(file: str, what: str, value: Callable[[str], Any], fires: bool = True, protocol: int = 4) -> Case:
        make = lambda mark: pickled(value(mark), protocol)  # noqa: E731
        return Case(f"walk_{file}.pkl", what, make, fires_with="pickle" if fires else None)

    getattr_ = name("builtins", "getattr")
    import_ = name("builtins", "__import__")
    yield walk("stack_global", "os.system by STACK_GLOBAL", lambda m: call(stack_name("os", "system"), touch(m)))
    yield walk(
        "dotted",
        "walks from a module of torch's to os",
        lambda m: call(stack_name("torch._utils", "sys.modules"), m),
        False,
    )
    yield walk(
        "through_torch",
        "torch.serialization has imported os: its own name is walked",
        lambda m: call(stack_name("torch.serialization", "os.system"), touch(m)),
    )
    yield walk(
        "through_collections",
        "collections has imported sys",
        lambda m: call(stack_name("collections", "_sys.modules.copy")),
        False,
    )
    yield walk(
        "through_allowed",
        "an attribute of a function that is allowed",
        lambda m: call(stack_name("torch._utils", "_rebuild_tensor_v2.__globals__.get"), "torch"),
        False,
    )
    yield walk(
        "through_class",
        "an attribute of a class that is allowed",
        lambda m: call(stack_name("collections", "OrderedDict.fromkeys"), "ab"),
        False,
    )
    yield walk(
        "getattr",
        "getattr(__import__('os'), 'system')",
        lambda m: call(call(getattr_, call(import_, "os"), "system"), touch(m)),
    )
    yield walk(
        "methodcaller",
        "operator.methodcaller('system', ...)(os)",
        lambda m: call(call(name("operator", "methodcaller"), "system", touch(m)), call(import_, "os")),
    )
    yield walk(
        "attrgetter",
        "operator.attrgetter('system')(os)",
        lambda m: call(call(call(name("operator", "attrgetter"), "system"), call(import_, "os")), touch(m)),
    )
    yield walk(
        "partial",
        "functools.partial(os.mkdir, mark)()",
        lambda m: call(call(name("functools", "partial"), name("os", "mkdir"), m)),
    )
    yield walk(
        "map",
        "set(map(os.mkdir, [mark]))",
        lambda m: call(name("builtins", "set"), call(name("builtins", "map"), name("os", "mkdir"), [m])),
    )
    yield walk(
        "python2_reconstructor",
        "copy_reg._reconstructor",
        lambda m: call(
            name("copy_reg", "_reconstructor"), name("argparse", "Namespace"), name("builtins", "object"), None
        ),
        False,
        2,
    )
    yield walk(
        "newobj_function",
        "copyreg.__newobj__",
        lambda m: call(name("copyreg", "__newobj__"), name("io", "FileIO"), m),
        False,
    )
    yield walk(
        "rot13",
        "os.system, its letters turned",
        lambda m: call(Code(call(name("_codecs", "encode"), "bf", "rot13") + code("system") + b"\x93"), touch(m)),
        False,
    )
    for file, what, where, attribute in (
        ("blank", "a blank after an allowed name", "collections ", "OrderedDict"),
        ("case", "an allowed name in capitals", "Collections", "ordereddict"),
        ("nul", "a NUL in a name", "collections\0os", "OrderedDict"),
        ("lookalike", "a Cyrillic letter in a name", "cоllections", "OrderedDict"),
        ("main", "a class of the loading script", "__main__", "Loader"),
        ("empty", "empty names", "", ""),
        ("long", "a name of 100,000 characters", "a" * 100_000, "b"),
        ("escape", "a name that would clear the screen", "\x1b[2J\x1b[1;1H", "x"),
    ):
        yield walk(
            f"name_{file}", what, lambda m, where=where, attribute=attribute: call(stack_name(where, attribute)), False
        )
    for file, what, value in (
        ("bytes", "a name that is bytes", b"os"),
        ("list", "a name that is a list", ["os"]),
        ("number", "a name that is a number", 7),
        ("global", "a name that is a function", ORDERED),
        ("tensor_type", "a name that is a type", name("torch", "FloatStorage")),
    ):
        yield walk(f"name_is_{file}", what, lambda m, value=value: call(stack_name(value, "system"), m), False)
    yield Case(
        "walk_global_dotted.pkl",
        "os.system by a dotted GLOBAL of protocol 2",
        lambda m: pickled(call(name("torch.serialization", "os.system"), touch(m))),
    )


# Objects that are not what they seem.


def poisons() -> Iterator[Case]:
    def poison(file: str, what: str, make: Callable[[str], bytes], fires: bool = False, expect: str = "refuse") -> Case:
        return Case(f"poison_{file}.pkl", what, make, expect, "pickle" if fires else None)

    namespace = new(name("argparse", "Namespace"))
    easy = new(name("dnnlib.util", "EasyDict"))
    yield poison("inst", "INST os.system", lambda m: b"(" + code(touch(m)) + b"ios\nsystem\n.", True)
    yield poison(
        "inst_protocol_2", "INST in protocol 2", lambda m: pickled(Code(b"(" + code(touch(m)) + b"ios\nsystem\n")), True
    )
    yield poison(
        "obj", "OBJ os.system", lambda m: pickled(Code(b"(" + name("os", "system") + code(touch(m)) + b"o")), True
    )
    yield poison("protocol_0", "protocol 0, os.system", lambda m: f"cos\nsystem\n(S'{touch(m)}'\ntR.".encode(), True)
    yield poison(
        "protocol_0_marked", "protocol 0, begins with MARK", lambda m: f"(S'{touch(m)}'\nios\nsystem\n.".encode(), True
    )
    register = call(name("copyreg", "add_extension"), "os", "system", 7)
    for size, op in ((1, b"\x82\x07"), (2, b"\x83\x07\x00"), (4, b"\x84\x07\x00\x00\x00")):
        yield poison(
            f"ext{size}",
            f"registers os.system as an extension, then EXT{size}",
            lambda m, op=op: pickled(Code(register + b"0" + call(Code(op), touch(m)))),
            True,
        )
        yield poison(f"ext{size}_alone", f"EXT{size}", lambda m, op=op: pickled(call(Code(op), m)))
    yield poison("persid", "PERSID", lambda m: pickled(Code(b"P0\n")))
    yield poison("binpersid", "BINPERSID where nothing is outside", lambda m: pickled(storage()))
    yield poison(
        "newobj_ex",
        "NEWOBJ_EX",
        lambda m: pickled(Code(name("argparse", "Namespace") + code(()) + code({}) + b"\x92"), 4),
    )
    yield poison("newobj_args", "NEWOBJ with arguments", lambda m: pickled(new(name("argparse", "Namespace"), m)))
    yield poison("newobj_function", "NEWOBJ of a function", lambda m: pickled(new(INNER)))
    yield poison("newobj_ordered", "NEWOBJ of an OrderedDict", lambda m: pickled(new(ORDERED)), expect="refuse or load")
    yield poison(
        "reduce_class", "calls a class that is only made", lambda m: pickled(call(name("argparse", "Namespace")))
    )
    yield poison("reduce_text", "calls a text", lambda m: pickled(call(code("os.system"), touch(m))))
    yield poison("reduce_record", "calls an instance", lambda m: pickled(call(namespace)))
    yield poison(
        "reduce_storage_class",
        "calls a class of storages",
        lambda m: pickled(call(name("torch", "FloatStorage"), 1 << 40)),
    )
    yield poison("reduce_args_list", "arguments in a list", lambda m: pickled(Code(ORDERED + code([]) + b"R")))
    yield poison("reduce_args_none", "no arguments at all", lambda m: pickled(Code(ORDERED + b"NR")))
    yield poison("reduce_too_many", "more arguments than there are", lambda m: pickled(call(ORDERED, 1, 2)))
    yield poison(
        "ordered_of_pairs",
        "an OrderedDict of a list of lists",
        lambda m: pickled(call(ORDERED, [["a", 1]])),
        expect="refuse or load",
    )
    yield poison(
        "build_class",
        "BUILD on a class: its methods change",
        lambda m: pickled(built(name("argparse", "Namespace"), (None, {"__init__": ORDERED}))),
    )
    yield poison(
        "build_setstate",
        "os.system as __setstate__",
        lambda m: pickled(
            Code(
                built(name("argparse", "Namespace"), (None, {"__setstate__": name("os", "system")}))
                + b"0"
                + built(namespace, touch(m))
            )
        ),
        True,
    )
    yield poison("build_dict", "BUILD on a dict", lambda m: pickled(built({}, {"x": 1})))
    yield poison("build_list", "BUILD on a list", lambda m: pickled(built([], {"x": 1})))
    yield poison("build_text", "BUILD on a text", lambda m: pickled(built("x", {"x": 1})))
    yield poison("build_tensor", "BUILD on a tensor", lambda m: pickled(built(nvidia_tensor(), {"data": 1})))
    yield poison("build_easydict", "BUILD on an EasyDict", lambda m: pickled(built(easy, {"x": 1})))
    yield poison(
        "build_ordered",
        "BUILD replaces methods of a table",
        lambda m: pickled(built(empty_table(), {"update": ORDERED})),
    )
    yield poison(
        "build_ordered_class",
        "BUILD replaces the class of a table",
        lambda m: pickled(built(empty_table(), {"__class__": ORDERED})),
    )
    yield poison(
        "build_twice",
        "BUILD twice on an instance",
        lambda m: pickled(built(built(namespace, {"a": 1}), {"b": 2})),
        expect="refuse or load",
    )
    yield poison("build_pair", "BUILD with slots", lambda m: pickled(built(namespace, ({}, {"__class__": ORDERED}))))
    yield poison("build_numbers", "attributes with numbers for names", lambda m: pickled(built(namespace, {1: 2})))
    yield poison("build_global", "a function as attribute", lambda m: pickled(built(namespace, {"f": INNER})))
    yield poison(
        "build_dtype_twice",
        "BUILD twice on a dtype",
        lambda m: pickled({"x": built(array_type(), (3, ">", None, None, None, -1, -1, 0))}),
    )
    yield poison(
        "set_items_record", "entries of an instance", lambda m: pickled(Code(namespace + code("a") + code(1) + b"s"))
    )
    yield poison("set_items_list", "entries of a list", lambda m: pickled(Code(b"]" + code(0) + code(1) + b"s")))
    yield poison("append_dict", "appends to a dict", lambda m: pickled(Code(b"}" + code(1) + b"a")))
    yield poison("append_tuple", "appends to a tuple", lambda m: pickled(Code(b")" + code(1) + b"a")))
    yield poison("append_module", "appends to a module", lambda m: pickled(Code(module() + code(1) + b"a")))
    yield poison("global_as_value", "a function is the value", lambda m: pickled({"g_ema": INNER}))
    yield poison("bytearray8", "BYTEARRAY8", lambda m: b"\x80\x05\x96" + struct.pack("<Q", 4) + b"abcd.")
    yield poison("next_buffer", "NEXT_BUFFER", lambda m: b"\x80\x05\x97.")
    yield poison("readonly_buffer", "READONLY_BUFFER", lambda m: b"\x80\x05\x97\x98.")
    yield poison(
        "second",
        "a second pickle after the first",
        lambda m: pickled({}) + pickled(call(name("os", "system"), touch(m))),
    )
    yield poison("protocol_6", "protocol 6", lambda m: b"\x80\x06N.")
    yield poison(
        "protocol_twice", "PROTO in the middle", lambda m: pickled(Code(b"\x80\x02N")), expect="refuse or load"
    )
    yield poison("unknown_opcode", "an instruction that there is none", lambda m: pickled(Code(b"\xff")))
    yield poison("leftover", "values left on the stack", lambda m: pickled(Code(b"NN")), expect="refuse or load")
    yield poison("underflow", "takes from an empty stack", lambda m: pickled(Code(b"\x87")))
    yield poison("underflow_mark", "takes what lies under a mark", lambda m: pickled(Code(b"N(\x85")))
    yield poison("no_mark", "takes to a mark that is not there", lambda m: pickled(Code(b"t")))
    yield poison("stop_early", "nothing at all", lambda m: b"\x80\x02.")
    yield poison("open_mark", "ends with an open mark", lambda m: pickled(Code(b"(N")))


# Bombs.

PUSHES = 3_100_000


def bombs() -> Iterator[Case]:
    def bomb(file: str, what: str, data: Callable[[], bytes], expect: str = "refuse") -> Case:
        return Case(f"bomb_{file}.pkl", what, lambda mark: data(), expect)

    def text(length: int, size: str = "<I", op: bytes = b"X") -> bytes:
        return b"\x80\x04" + op + struct.pack(size, length) + b"abc."

    yield bomb("text_4gb", "a text of 4 GB", lambda: text(0xFFFFFFFF))
    yield bomb("text_2_63", "a text of 2^63 bytes", lambda: text(1 << 63, "<Q", b"\x8d"))
    yield bomb("bytes_4gb", "bytes of 4 GB", lambda: text(0xFFFFFFF0, op=b"B"))
    yield bomb("bytes_2_64", "bytes of 2^64", lambda: text((1 << 64) - 1, "<Q", b"\x8e"))
    yield bomb("frame", "a frame of 2^62 bytes", lambda: b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"N.")
    yield bomb("memo_put", "LONG_BINPUT 2^32 - 1", lambda: pickled(Code(b"Nr\xff\xff\xff\xff")))
    yield bomb("memo_put_far", "LONG_BINPUT 10^9", lambda: pickled(Code(b"Nr" + struct.pack("<I", 10**9))))
    yield bomb("memo_get", "gets what was never put", lambda: pickled(Code(b"h\x05")))
    yield bomb("memo_long_get", "gets value 2^31", lambda: pickled(Code(b"j\x00\x00\x00\x80")))
    yield bomb("memo_text", "PUT with 100,000 digits", lambda: pickled(Code(b"Np" + b"9" * 100_000 + b"\n")))
    yield bomb("long4", "an integer of 1 GB", lambda: pickled(Code(b"\x8b" + struct.pack("<i", 1 << 30))))
    yield bomb("long4_negative", "an integer of -1 bytes", lambda: pickled(Code(b"\x8b\xff\xff\xff\xff")))
    yield bomb(
        "long4_real",
        "an integer of 4 MB",
        lambda: pickled(Code(b"\x8b" + struct.pack("<i", 1 << 22) + b"\x7f" * (1 << 22))),
    )
    yield bomb("long1", "an integer of 255 bytes", lambda: pickled(Code(b"\x8a\xff" + b"\x7f" * 255)))
    yield bomb("long_text", "LONG with 1,000,000 digits", lambda: pickled(Code(b"L" + b"9" * 1_000_000 + b"L\n")))
    yield bomb("int_text", "INT with 1,000,000 digits", lambda: pickled(Code(b"I" + b"9" * 1_000_000 + b"\n")))
    yield bomb("opcodes", f"{PUSHES:,} instructions", lambda: b"\x80\x02" + b"N" * PUSHES + b".")
    yield bomb("sets", "a million empty sets", lambda: b"\x80\x04" + b"\x8f" * 1_100_000 + b".")
    yield bomb("marks", "a million marks", lambda: b"\x80\x02" + b"(" * 1_000_000 + b".")
    yield bomb("dup", "doubles a tuple 60 times", lambda: pickled(Code(b"N" + b"2\x86" * 60)))
    yield bomb(
        "dup_lists", "a tuple of three times the one before, 20 times", lambda: pickled(Code(b"N" + b"22\x87" * 20))
    )
    yield bomb("deep_lists", "500,000 lists in each other", lambda: pickled(Code(b"]" * 500_000 + b"a" * 499_999)))
    yield bomb("deep_tuples", "500,000 tuples in each other", lambda: pickled(Code(b"N" + b"\x85" * 500_000)))
    yield bomb(
        "deep_dicts", "100,000 dicts in each other", lambda: pickled(Code(b"}K\0" * 100_000 + b"N" + b"s" * 100_000))
    )
    yield bomb("deep_records", "1,000 instances in each other", lambda: pickled(_deep_records(1000)))
    yield bomb("deep_65", "65 lists in each other", lambda: pickled(Code(b"]" * 65 + b"a" * 64)))
    yield bomb("cycle_list", "a list in itself", lambda: pickled(Code(b"]q\0h\0a")))
    yield bomb("cycle_dict", "a dict in itself", lambda: pickled(Code(b"}q\0K\1h\0s")))
    yield bomb("cycle_tuple", "a tuple in itself, by a list", lambda: pickled(Code(b"]q\0h\0\x85a")))
    yield bomb(
        "cycle_record",
        "an instance in itself",
        lambda: pickled(Code(new(name("argparse", "Namespace")) + b"q\0}" + code("a") + b"h\0sb")),
    )
    yield bomb(
        "key_tuple", "a key that is a tuple of tuples", lambda: pickled(Code(b"}" + b"N" + b"2\x86" * 40 + b"Ns"))
    )
    yield bomb("key_list", "a key that is a list", lambda: pickled(Code(b"}]Ns")))
    yield bomb("key_none", "a key that is None", lambda: pickled({None: 1}))
    yield bomb("key_float", "a key that is a float", lambda: pickled({1.5: 1}))
    yield bomb("key_bool", "a key that is a boolean", lambda: pickled({True: 1}))
    yield bomb("key_bytes", "a key that is bytes", lambda: pickled({b"a": 1}))
    yield bomb("key_tensor", "a key that is a tensor", lambda: pickled(Code(b"}" + nvidia_tensor() + b"Ns")))
    same_hash = [i * ((1 << 61) - 1) for i in range(1, 20_001)]
    entries = b"".join(code(key) + b"N" for key in same_hash)
    yield bomb("key_collisions", "20,000 keys with one hash", lambda: pickled(Code(b"}(" + entries + b"u")))
    yield bomb(
        "set_collisions", "a set of 20,000 with one hash", lambda: pickled(call(name("builtins", "set"), same_hash))
    )
    yield bomb("set_of_lists", "a set of lists", lambda: pickled(call(name("builtins", "set"), [[]])))
    yield bomb("set_of_number", "a set of a number", lambda: pickled(call(name("builtins", "set"), 1 << 40)))
    yield bomb("bytes_of_number", "bytes(10^10)", lambda: pickled(call(name("builtins", "bytes"), 10**10)))
    yield bomb("odd_items", "a key without a value", lambda: pickled(Code(b"}(NNNu")))
    yield bomb("not_utf8", "a text that is none", lambda: pickled(Code(b"X\x01\x00\x00\x00\xff")))
    yield bomb("surrogate", "half of a character", lambda: pickled({"a": "\ud800"}))
    yield bomb(
        "wide_text",
        "34 MB of text, four bytes to a character in memory",
        lambda: pickled(Code(b"]" + b"".join(code("a" * 100_000 + "\U0001f600") + b"a" for _ in range(340)))),
    )
    yield bomb(
        "tensors_again",
        "a tensor of 4 MB, 10,000 times",
        lambda: torch_zip(
            Code(b"](" + tensor(storage(numel=1 << 20), (1 << 20,)) + b"q\1" + b"h\1" * 10_000 + b"e"),
            {"0": bytes(4 << 20)},
        ),
    )
    yield bomb("streams_again", "the same data made a storage 500,000 times", _streams_again)


def _deep_records(depth: int) -> Code:
    value: Any = None
    for _ in range(depth):
        value = built(new(name("argparse", "Namespace")), {"a": value})
    return code(value)


def _streams_again() -> bytes:
    from foreign_files.assembler import inner_storage

    again = b"h\0h\1\x85R0" * 500_000
    return pickled(Code(INNER + b"q\0" + code(inner_storage()) + b"q\x010" + b"0" + again + b"N"))


# Tensors that reach beyond their data.


def geometries() -> Iterator[Case]:
    def geometry(file: str, what: str, value: Any, expect: str = "refuse") -> Iterator[Case]:
        yield Case(f"tensor_{file}.pt", what, lambda mark: torch_zip({"g_ema": {"w": value}}), expect)

    s = storage()
    yield from geometry("size_negative", "a negative size", tensor(s, (-4,)))
    yield from geometry("size_large", "more values than there are", tensor(s, (5,)))
    yield from geometry("size_huge", "2^62 values", tensor(s, (1 << 62,)))
    yield from geometry("size_overflow", "sizes whose product overflows to 0", tensor(s, (1 << 32, 1 << 32), (1, 1)))
    yield from geometry("size_list", "a size that is a list", tensor(s, [4]))
    yield from geometry("size_float", "a size with a point", tensor(s, (4.0,)))
    yield from geometry("size_bool", "a size that is True", tensor(s, (True,)))
    yield from geometry("size_none", "a size that is None", tensor(s, None))
    yield from geometry("size_number", "a size that is a number", tensor(s, 4))
    yield from geometry("size_tensor", "a size that is a tensor", tensor(s, (tensor(s),)))
    yield from geometry("empty_huge", "no values, but huge otherwise", tensor(s, (0, 1 << 40, 1 << 40), (1, 1, 1)))
    yield from geometry("offset_negative", "a negative offset", tensor(s, (1,), (1,), -1))
    yield from geometry("offset_large", "an offset beyond the data", tensor(s, (1,), (1,), 4))
    yield from geometry("offset_huge", "an offset of 2^63", tensor(s, (1,), (1,), 1 << 63))
    yield from geometry("offset_sum", "an offset that with the size is beyond", tensor(s, (2,), (1,), 3))
    yield from geometry("stride_zero", "one value spread over 10^9", tensor(s, (10**9,), (0,)))
    yield from geometry("stride_overlap", "rows that overlap", tensor(s, (3, 3), (1, 0)))
    yield from geometry("stride_negative", "a negative stride", tensor(s, (4,), (-1,), 3))
    yield from geometry("stride_large", "a stride beyond the data", tensor(s, (2,), (4,)))
    yield from geometry("stride_huge", "a stride of 2^62", tensor(s, (2,), (1 << 62,)))
    yield from geometry("stride_missing", "fewer strides than sizes", tensor(s, (2, 2), (1,)))
    yield from geometry("rank_6", "six dimensions", tensor(s, (1,) * 6, (1,) * 6))
    yield from geometry("rank_1000", "1,000 dimensions", tensor(s, (1,) * 1000, (1,) * 1000))
    yield from geometry("not_of_storage", "a tensor of a text", tensor(code("storage")))
    yield from geometry("of_tensor", "a tensor of a tensor", tensor(tensor(s)))
    yield from geometry("hooks", "hooks that are called", tensor(s, hooks={0: INNER}))
    yield from geometry("hooks_list", "hooks that are a list", tensor(s, hooks=[]))
    yield from geometry("metadata_conj", "a tensor to be conjugated", tensor(s, (4,), (1,), 0, {"conj": True}))
    yield from geometry("metadata_neg", "a tensor to be negated", tensor(s, (4,), (1,), 0, {"neg": True}))
    yield from geometry(
        "parameter_of_text",
        "a parameter of a text",
        call(name("torch._utils", "_rebuild_parameter"), "x", True, empty_table()),
    )
    yield from geometry("sparse", "a sparse tensor", call(name("torch._utils", "_rebuild_sparse_tensor"), 1, ()))
    yield from geometry(
        "quantised",
        "a quantised tensor",
        call(name("torch._utils", "_rebuild_qtensor"), s, 0, (4,), (1,), (), False, empty_table()),
    )
    yield from geometry(
        "subclass",
        "a tensor of a class from elsewhere",
        call(name("torch._tensor", "_rebuild_from_type_v2"), ORDERED, ORDERED, (), {}),
    )
    yield from geometry(
        "device_meta",
        "a tensor without data",
        call(
            name("torch._utils", "_rebuild_meta_tensor_no_storage"), name("torch", "float32"), (1 << 40,), (1,), False
        ),
    )
    yield from geometry("storage_itself", "a storage without a tensor", s)
