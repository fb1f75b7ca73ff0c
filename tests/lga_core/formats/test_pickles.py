"""The machine that reads pickles: what Python's own gives for plain values, and nothing beyond."""

from __future__ import annotations

import argparse
import ast
import builtins
import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path

import hypothesis.strategies as st
import pytest
import torch
from foreign_files.assembler import Code, built, call, code, name, new, pickled
from hypothesis import given, settings

import lga_core.checkpoints
from lga_core import CheckpointError
from lga_core.formats import unpickler as pickles
from lga_core.formats.byte_source import Stretch
from lga_core.formats.pickle_survey import check_tree
from lga_core.formats.pickle_values import LIMITS, Call, Constant, Limits, New, Record, Table, Unfinished, shown
from lga_core.formats.unpickler import read_pickle

SMALL = Limits(opcodes=1000, containers=20, depth=5, marks=4, short_bytes=8, short_text=16, copied_bytes=100)
WHERE = "a.pkl"


def read(content: bytes, allowed=None, persistent=None, limits: Limits = LIMITS):
    value, end = read_pickle(content, 0, len(content), WHERE, allowed or {}, persistent, limits)
    assert end == len(content)
    return value


def refusal(content: bytes, allowed=None, persistent=None, limits: Limits = LIMITS) -> str:
    with pytest.raises(CheckpointError) as caught:
        read(content, allowed, persistent, limits)
    assert str(caught.value).startswith(f"{WHERE}: ") and str(caught.value).endswith(".")
    return str(caught.value)


KEYS = st.text(max_size=8) | st.integers(-(1 << 63), (1 << 63) - 1)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 126), 1 << 126)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=300)
    | st.sets(KEYS, max_size=4)
)


def containers(children):
    tuples = st.lists(children, max_size=5).map(tuple)
    return st.lists(children, max_size=5) | tuples | st.dictionaries(KEYS, children, max_size=5)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(value=st.recursive(LEAVES, containers, max_leaves=20), protocol=st.integers(2, 5))
def test_plain_values_come_out_as_from_pythons_own_machine(value, protocol):
    """In protocol 2, bytes and sets are calls; `containers` has their names, and the tests of it."""
    from lga_core.formats.byte_source import ByteSource
    from lga_core.formats.foreign import allowed

    content = pickle.dumps(value, protocol)
    found = read(content, allowed(ByteSource(content), WHERE))
    assert found == value and repr(found) == repr(pickle.loads(content))
    check_tree(found, WHERE, tensor_bytes=0)


def test_every_instruction_of_python_is_either_known_or_refused_by_its_name():
    known = {ord(step) for step in pickles._KNOWN} | {pickles._STOP}
    names = {ord(op.code): op.name for op in pickletools.opcodes}
    assert known | set(pickles._REFUSED) == set(names) and not known & set(pickles._REFUSED)
    assert all(names[step] == refused for step, refused in pickles._REFUSED.items())


@pytest.mark.parametrize("step", sorted(pickles._REFUSED), ids=pickles._REFUSED.get)
def test_an_instruction_that_no_checkpoint_needs_is_refused_by_name(step):
    assert f"instruction {pickles._REFUSED[step]}," in refusal(pickled(Code(b"NN" + bytes([step]) + b"1\n1\n")))


def test_what_is_shared_stays_shared():
    shared = ["x"]
    first, second = read(pickle.dumps([shared, shared]))
    assert first is second


def test_an_instance_becomes_a_record_that_can_do_nothing():
    content = pickle.dumps(argparse.Namespace(lr=0.002, name="x"))
    record = read(content, {("argparse", "Namespace"): New(lambda: Record("argparse", "Namespace"))})
    assert (record.module, record.name, record.args, record.state) == (
        "argparse",
        "Namespace",
        (),
        {"lr": 0.002, "name": "x"},
    )
    assert not hasattr(record, "lr") and not callable(record)


def test_a_name_stands_for_what_the_table_says_and_for_nothing_else():
    allowed = {("torch", "float32"): Constant(torch.float32), ("a.b", "c"): Call(lambda x, y: x + y, 2, 2)}
    assert read(pickle.dumps(torch.float32), {("torch", "float32"): Constant(torch.float32)}) is torch.float32
    assert read(pickled([name("torch", "float32"), call(name("a.b", "c"), 3, 4)]), allowed) == [torch.float32, 7]
    for other in ("float64", "float32.itemsize", "Float32", "", "float32 "):
        assert "no checkpoint needs" in refusal(pickled(name("torch", other)), allowed)
    assert "other arguments than 2 to 2" in refusal(pickled(call(name("a.b", "c"), 3)), allowed)
    assert "it calls a dtype" in refusal(pickled(call(name("torch", "float32"))), allowed)
    assert "it makes an instance of a.b.c" in refusal(pickled(new(name("a.b", "c"))), allowed)


def test_an_unknown_name_is_told_in_full_with_what_not_to_do():
    text = refusal(pickled(call(name("os", "system"), "true")))
    assert "asks for os.system, which no checkpoint needs. Do not open this file with other programs" in text


def test_no_character_of_a_name_reaches_the_screen_as_it_is():
    text = refusal(pickled(name("\x1b[2J", "évil\u202e" + "x" * 200)))
    assert text.isascii() and text.isprintable() and len(text) < 300
    assert shown("a" * 200) == "a" * 80 + "..." and shown("as it is") == "as it is" and shown("\n") == "'\\n'"


def test_reading_imports_nothing_and_looks_nothing_up(monkeypatch):
    content = pickled({"a": call(name("collections", "OrderedDict")), "b": call(name("os", "system"), "true")}, 4)

    def forbidden(*args, **kwargs):
        raise AssertionError("something was imported")

    monkeypatch.setattr(builtins, "__import__", forbidden)
    try:
        with pytest.raises(CheckpointError, match=r"os\.system"):
            read(content, {("collections", "OrderedDict"): Call(Table, 0, 0)})
    finally:
        monkeypatch.undo()


def test_no_module_of_checkpoints_knows_how_to_run_foreign_code():
    """Neither Python's pickles, nor torch.load, nor what runs text."""
    forbidden = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "importlib", "runpy", "subprocess"}
    forbidden |= {"eval", "exec", "compile", "__import__", "globals", "import_module", "literal_eval"}
    forbidden |= {"torch.load", "np.load", "numpy.load", "os.system", "os.popen"}
    rooms = (Path(lga_core.checkpoints.__file__).parent, Path(pickles.__file__).parent)
    files = sorted(file for room in rooms for file in room.rglob("*.py"))
    assert len(files) > 20
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Import(names=names):
                    used = {part for alias in names for part in alias.name.split(".")}
                case ast.ImportFrom(module=module, names=names):
                    used = {*(module or "").split("."), *(alias.name for alias in names)}
                case ast.Name(id=word):
                    used = {word}
                case ast.Attribute(value=ast.Name(id="torch"), attr=word):
                    used = {"torch.load"} if word in ("load", "jit", "hub", "package", "serialization") else {word}
                case ast.Attribute(value=ast.Name(id="np" | "numpy" | "os" as module), attr=word):
                    used = {f"{module}.{word}"}
                case _:
                    continue
            assert not used & forbidden, f"{file.name}, line {node.lineno}"


def test_attributes_are_given_to_records_and_tables_alone_and_once():
    allowed = {("a", "B"): New(lambda: Record("a", "B")), ("c", "D"): Call(Table, 0, 0)}
    record, table = new(name("a", "B")), call(name("c", "D"))
    assert read(pickled(built(record, {"x": 1})), allowed).state == {"x": 1}
    assert read(pickled(built(table, {"_metadata": {}})), allowed) == {}
    assert "twice" in refusal(pickled(built(built(record, {}), {})), allowed)
    assert "not a table of names" in refusal(pickled(built(record, {1: 2})), allowed)
    assert "not a table of names" in refusal(pickled(built(record, (None, {"x": 1}))), allowed)
    assert "no state dict has" in refusal(pickled(built(table, {"_metadata": {}, "update": 1})), allowed)
    assert "no state dict has" in refusal(pickled(built(table, {"_metadata": 1})), allowed)
    for value, kind in (({}, "dict"), ([], "list"), ("x", "str"), (1, "int"), (None, "NoneType")):
        assert f"attributes to a {kind}." in refusal(pickled(built(value, {})), allowed)


class Doubled(Unfinished):
    def build(self, state):
        return state * 2


def test_a_value_that_is_built_later_is_the_built_one_everywhere():
    allowed = {("a", "B"): Call(Doubled, 0, 0)}
    unbuilt = Code(call(name("a", "B")) + b"q\5")
    value = read(pickled([built(unbuilt, 4), Code(b"h\5")]), allowed)
    assert value == [8, 8]
    again = Code(unbuilt + b"2" + code(4) + b"b0" + code(4) + b"b")
    assert "built twice" in refusal(pickled(again), allowed)
    unfinished = read(pickled([unbuilt]), allowed)
    with pytest.raises(CheckpointError, match="a Doubled, which is no value by itself"):
        check_tree(unfinished, WHERE, 0)


def test_what_a_reference_stands_for_is_asked_outside():
    assert read(pickled(Code(code(("storage", 7)) + b"Q")), persistent=lambda entries: entries[1]) == 7
    assert "outside of itself" in refusal(pickled(Code(code(("storage", 7)) + b"Q")))


# Limits.


@pytest.mark.parametrize(
    ("content", "fits", "reason"),
    [
        (lambda n: Code(b"(" + b"N" * n + b"t"), 1000 - 3, "more than 1,000 instructions"),
        (lambda n: Code(b"](" + b"}" * n + b"e"), 19, "more than 20 lists, dicts and tuples"),
        (lambda n: Code(b"(" * n + b"t" * n), 4, "more than 4 marks are open"),
        (lambda n: (1 << 8 * n - 1) - 1, 16, "an integer has 17 bytes"),
        (lambda n: ["x" * 10] * n, 10, "more than 100 bytes of text"),
    ],
    ids=["instructions", "containers", "marks", "integers", "text"],
)
def test_a_limit_is_what_fits_and_no_more(content, fits, reason):
    read(pickled(content(fits)), limits=SMALL)
    assert reason in refusal(pickled(content(fits + 1)), limits=SMALL)


def test_long_texts_and_bytes_stay_where_they_are():
    content = pickled(["x" * 16, "y" * 17, b"a" * 8, b"b" * 9])
    short, text, few, many = read(content, limits=SMALL)
    assert (short, few) == ("x" * 16, b"a" * 8)
    assert isinstance(text, Stretch) and content[text.start : text.stop] == b"y" * 17 and text.form == "text"
    assert isinstance(many, Stretch) and content[many.start : many.stop] == b"b" * 9 and many.form == "bytes"
    with pytest.raises(CheckpointError, match="holds 17 bytes of text, which is no value by itself"):
        check_tree([text], WHERE, 0)


@pytest.mark.parametrize("key", [None, True, 1.5, b"a", (), ("a",), 1 << 63, -(1 << 63) - 1])
def test_keys_are_texts_and_integers_of_64_bits(key):
    assert "only text and 64-bit integers are keys" in refusal(pickled({key: 1}))


def test_a_frame_is_no_more_than_a_promise_that_must_hold():
    assert read(pickle.dumps([1, 2], 4)) == [1, 2]
    assert "it breaks off" in refusal(b"\x80\x04\x95" + (100).to_bytes(8, "little") + b"N.")


def test_the_end_is_where_it_is_said():
    value, end = read_pickle(b"xx" + pickled(1) + b"rest", 2, 2 + len(pickled(1)) + 4, WHERE, {})
    assert (value, end) == (1, 2 + len(pickled(1)))
    content = pickled([1, 2])
    for stop in range(len(content)):
        with pytest.raises(CheckpointError):
            read_pickle(content, 0, stop, WHERE, {})


# What may be walked.


def nested(depth: int):
    value: object = 1
    for i in range(depth):
        value = [[value], {"a": value}, (value,), Record("a", "B", (), value)][i % 4]
    return value


def test_a_tree_is_as_deep_as_the_limit_at_most():
    check_tree(nested(5), WHERE, 0, SMALL)
    with pytest.raises(CheckpointError, match="more than 5 containers in each other"):
        check_tree(nested(6), WHERE, 0, SMALL)
    shared = nested(4)
    check_tree([shared, [[1]]], WHERE, 0, SMALL)
    with pytest.raises(CheckpointError, match="more than 5 containers in each other"):
        check_tree([shared, [[shared]]], WHERE, 0, SMALL)


@pytest.mark.parametrize("kind", ["list", "dict", "tuple", "record", "args"])
def test_what_holds_itself_is_refused(kind):
    inner: list = []
    value = {
        "list": lambda: inner,
        "dict": lambda: {"a": inner},
        "tuple": lambda: (inner,),
        "record": lambda: Record("a", "B", (), {"x": inner}),
        "args": lambda: Record("a", "B", (inner,)),
    }[kind]()
    inner.append(value)
    with pytest.raises(CheckpointError, match="holds itself"):
        check_tree(value, WHERE, 0)


def test_what_is_shared_counts_wherever_it_is_met():
    value: object = 1
    for _ in range(40):
        value = (value, value)
    with pytest.raises(CheckpointError, match="the same ones again and again"):
        check_tree(value, WHERE, 0)
    tensor = torch.zeros(100)
    check_tree([tensor] * 10, WHERE, tensor_bytes=4000)
    with pytest.raises(CheckpointError, match="4,400 bytes of tensors"):
        check_tree([tensor] * 11, WHERE, tensor_bytes=4000)


@pytest.mark.parametrize("value", [object(), OrderedDict, print, Path(), {1, 2}.__iter__(), frozenset(), bytearray()])
def test_nothing_else_is_in_a_tree(value):
    with pytest.raises(CheckpointError, match="no value by itself"):
        check_tree([value], WHERE, 0)


def test_ordinary_values_pass():
    values = [None, True, 1, 1.5, "x", b"x", (1,), [1], {"a": 1}, {1, "a"}, torch.zeros(2), torch.float32, Table(a=1)]
    check_tree(values, WHERE, tensor_bytes=8)
