"""Hostile files of known layouts: NVIDIA's in both kinds, state dicts; and good files that are cut or damaged."""

from __future__ import annotations

import io
import random
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from factories import tiny_generator_config
from foreign_files import writers
from foreign_files.assembler import (
    INNER,
    Code,
    array,
    array_type,
    built,
    call,
    code,
    inner_storage,
    legacy,
    legacy_storage,
    module,
    name,
    network,
    new,
    nvidia_tensor,
    pickled,
    storage,
    tensor,
    torch_zip,
)
from foreign_files.hostile import Case
from foreign_files.writers_nvidia import MODULE_SRC


def cases() -> Iterator[Case]:
    yield from nvidia()
    yield from numpy_in_pickles()
    yield from tensorflow()
    yield from state_dicts()
    yield from edits()
    yield from truncations()
    yield from bit_flips()


def touch(mark: str) -> Code:
    return call(name("os", "mkdir"), mark)


# NVIDIA's pickles.


def nvidia() -> Iterator[Case]:
    def case(file: str, what: str, value: Callable[[str], Any], expect: str = "refuse", fires: bool = False) -> Case:
        make = lambda mark: pickled({"G_ema": value(mark)}, 4)  # noqa: E731
        return Case(f"nvidia_{file}.pkl", what, make, expect, "pickle" if fires else None)

    def inner(content: Callable[[str], bytes]) -> Callable[[str], Any]:
        return lambda mark: module(parameters={"w": nvidia_tensor(content(mark))})

    source = "import os; os.mkdir('/tmp/never')"
    yield case(
        "source",
        "a module whose source would run, and no network",
        lambda m: module(module_src=source),
        "refuse or load",
    )
    yield Case(
        "nvidia_good_source.pkl", "a good generator with a source that would run", _with_source, "load", "pickle"
    )
    yield Case("nvidia_good.pkl", "nothing: a good generator", lambda mark: good("nvidia"), "load")
    yield case("call", "a call in a module", lambda m: module(parameters={"w": touch(m)}), fires=True)
    yield case("call_source", "a call for the source", lambda m: module(module_src=touch(m)), fires=True)
    yield case("inner_pickle", "a pickle for the data", inner(lambda m: pickled(touch(m))), fires=True)
    for i, place in enumerate(("magic", "version", "system"), start=1):
        yield case(
            f"inner_call_{i}",
            f"a call in pickle {i} of the data",
            inner(lambda m, p=place: legacy(legacy_storage(), **{p: touch(m)})),
            fires=True,
        )
    yield case("inner_call_4", "a call in pickle 4 of the data", inner(lambda m: legacy(touch(m), (), b"")), fires=True)
    yield case(
        "inner_call_5",
        "a call in pickle 5 of the data",
        inner(lambda m: legacy(legacy_storage(), touch(m))),
        fires=True,
    )
    yield case(
        "inner_nested", "data in the data", inner(lambda m: legacy(call(INNER, pickled(touch(m))), (), b"")), fires=True
    )
    yield case("inner_zip", "a zip archive for the data", inner(lambda m: torch_zip(touch(m))), fires=True)
    yield case("inner_table", "a table for the data", inner(lambda m: legacy({"w": legacy_storage()})))
    yield case("inner_tensor", "a tensor for the data", inner(lambda m: legacy(tensor(legacy_storage()))))
    yield case("inner_cut", "half of the data", inner(lambda m: inner_storage()[:-8]))
    yield case("inner_trailing", "a pickle after the data", inner(lambda m: inner_storage() + pickled(touch(m))))
    yield case("inner_empty", "no data", inner(lambda m: b""))
    yield case("inner_text", "a text for the data", lambda m: module(parameters={"w": tensor(call(INNER, "x"))}))
    yield case(
        "inner_two", "two arguments for the data", lambda m: module(parameters={"w": tensor(call(INNER, b"", b""))})
    )
    yield case("version", "version 7", lambda m: module(version=7))
    yield case("version_text", "a version that is a text", lambda m: module(version="6"))
    yield case("type", "another type", lambda m: module(type="function"))
    yield case("class_name", "a class whose name is code", lambda m: module(class_name="os.system('x')"))
    yield case("class_number", "a class whose name is a number", lambda m: module(class_name=6))
    yield case("state_missing", "a module without attributes", lambda m: module(state=...))
    yield case("state_list", "attributes in a list", lambda m: module(state=[]))
    yield case("state_none", "attributes that are None", lambda m: module(state=None))
    yield case("more", "a module with more to say", lambda m: module(run="os.system"), "refuse or load")
    yield case(
        "meta_list",
        "a module described by a list",
        lambda m: call(name("torch_utils.persistence", "_reconstruct_persistent_obj"), []),
    )
    yield case(
        "other_function",
        "another function of the same file",
        lambda m: call(name("torch_utils.persistence", "_src_to_module"), source),
    )
    yield case("cycle", "a module in itself", lambda m: Code(module(modules={}) + b"q\1" + b"0h\1" + _into_itself()))
    yield case("deep", "500 modules in each other", lambda m: _deep(500))
    yield case("modules_list", "modules in a list", lambda m: module(modules=[module()]))
    yield case("module_text", "a module that is a text", lambda m: module(modules={"synthesis": "x"}))
    yield case("parameters_list", "parameters in a list", lambda m: module(parameters=[nvidia_tensor()]))
    yield case("parameter_text", "a parameter that is a text", lambda m: module(parameters={"w": "x"}))
    yield case("empty", "a generator of nothing", lambda m: module())
    yield case(
        "discriminator", "a discriminator", lambda m: module("Discriminator", {"b4": module("DiscriminatorEpilogue")})
    )
    yield case(
        "stylegan3",
        "a StyleGAN3 generator",
        lambda m: module(
            modules={"mapping": module(), "synthesis": module(modules={"input": module(), "L0_36_512": module()})}
        ),
    )
    yield case(
        "ddp",
        "a generator in a wrapper",
        lambda m: call(name("torch.nn.parallel.distributed", "DistributedDataParallel"), module()),
    )
    yield case(
        "block_huge",
        "a block of 10^19 px",
        lambda m: module(
            modules={"mapping": module(), "synthesis": module(modules={"b4": module(), "b1" + "0" * 18: module()})}
        ),
    )
    yield case(
        "block_digits",
        "a block in other digits",
        lambda m: module(modules={"mapping": module(), "synthesis": module(modules={"b4": module(), "b²": module()})}),
    )


def _into_itself() -> bytes:
    """Puts the value on the stack into a list in itself: `h\\1` is the module."""
    return code(new(name("argparse", "Namespace"))) + b"q\2" + b"}" + code("x") + b"h\2sb" + b"\x86"


def _deep(depth: int) -> Code:
    value = module()
    for _ in range(depth):
        value = module(modules={"a": value})
    return value


# NumPy's arrays in pickles.


def numpy_in_pickles() -> Iterator[Case]:
    def case(file: str, what: str, value: Any, expect: str = "refuse") -> Case:
        return Case(f"numpy_{file}.pkl", what, lambda mark: pickled({"a": 1, "ws": value}, 4), expect)

    empty = call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), (0,), b"b")
    yield case(
        "objects",
        "an array of objects",
        array(dtype=array_type("O8", (3, "|", None, None, None, -1, -1, 63)), content=[1]),
    )
    yield case(
        "object_call", "an array of the result of a call", array(dtype=array_type("O"), content=[touch("/tmp/never")])
    )
    yield case(
        "void", "an array of bytes of no type", array(dtype=array_type("V4", (3, "|", None, None, None, 4, 1, 0)))
    )
    yield case(
        "fields", "an array with fields", array(dtype=array_type("V8", (3, "|", None, ("a",), {"a": 1}, 8, 1, 0)))
    )
    yield case(
        "fields_f4", "numbers with fields", array(dtype=array_type("f4", (3, "<", None, ("a",), {"a": 1}, 8, 1, 0)))
    )
    yield case(
        "subarray",
        "numbers that are arrays",
        array(dtype=array_type("f4", (3, "<", ("f4", (4,)), None, None, -1, -1, 0))),
    )
    yield case("text", "an array of text", array(dtype=array_type("U4")))
    yield case("time", "an array of times", array(dtype=array_type("M8", (4, "<", None, None, None, -1, -1, 0, {}))))
    yield case("big_endian", "another byte order", array(dtype=array_type("f4", (3, ">", None, None, None, -1, -1, 0))))
    yield case(
        "dtype_bare", "a type without its byte order", array(dtype=call(name("numpy", "dtype"), "f4", False, True))
    )
    yield case("dtype_text", "a type that is a text", array(dtype=code("f4")))
    yield case(
        "dtype_tensor",
        "a type described by tensors",
        array(
            dtype=built(
                call(name("numpy", "dtype"), "f4", False, True), (3, nvidia_tensor(), None, None, None, -1, -1, 0)
            )
        ),
    )
    yield case("dtype_code", "a type that is code", array(dtype=array_type("__import__('os')")))
    yield case("shape_huge", "10^18 values", array((10**9, 10**9)))
    yield case("shape_negative", "a negative size", array((-4,)))
    yield case("shape_list", "a size that is a list", array([4]))
    yield case("shape_bool", "a size that is True", array((True,), content=bytes(4)))
    yield case("content_short", "half of the values", array(content=bytes(8)))
    yield case("content_text", "a text for the values", array(content="abcd"))
    yield case("content_list", "a list for the values", array(content=[0.0] * 4))
    yield case("content_none", "None for the values", array(content=None))
    yield case("empty_begun", "an array that is only begun", empty)
    yield case(
        "begun_class",
        "an array of another class",
        call(name("numpy.core.multiarray", "_reconstruct"), name("torch", "FloatStorage"), (0,), b"b"),
    )
    yield case(
        "begun_huge",
        "an array begun with 10^12 values",
        call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), (10**12,), b"b"),
    )
    yield case("state_short", "an array with less to say", built(empty, (1, (4,), array_type())))
    yield case("state_dict", "an array with attributes", built(empty, {"x": 1}))
    yield case(
        "scalar_object",
        "a number that is a pickle",
        call(name("numpy.core.multiarray", "scalar"), array_type("O"), pickled(touch("/tmp/never"))),
    )
    yield case(
        "scalar_long", "a number of 16 bytes", call(name("numpy.core.multiarray", "scalar"), array_type(), bytes(16))
    )
    yield case(
        "scalar_bare",
        "a number without its type",
        call(name("numpy.core.multiarray", "scalar"), name("numpy", "ndarray"), bytes(4)),
    )
    yield case("memmap", "a class of arrays in files", call(name("numpy", "memmap"), "/etc/passwd"))
    yield case("fromfile", "an array from a file", call(name("numpy.core.multiarray", "fromfile"), "/etc/passwd"))
    yield case("ctypes", "a pointer", call(name("numpy.ctypeslib", "load_library"), "libc.so.6", "/"))
    yield case(
        "inside_itself",
        "an array whose size is itself",
        Code(empty + b"q\5" + code((1, Code(b"h\5"), array_type(), False, bytes(16))) + b"b"),
    )


# NVIDIA's TensorFlow pickles.


def tensorflow() -> Iterator[Case]:
    def case(file: str, what: str, third: Any, expect: str = "refuse") -> Case:
        return Case(f"tensorflow_{file}.pkl", what, lambda mark: pickled((network(), network(), third), 4), expect)

    def generator(synthesis: Any = (), mapping: Any = (), **state: Any) -> Code:
        parts = {"mapping": network(variables=list(mapping)), "synthesis": network(variables=list(synthesis))}
        return network(components=parts, **state)

    small = array((1, 4, 1, 1))
    yield Case("tensorflow_good.pkl", "nothing: a good generator", lambda mark: good("tensorflow"), "load")
    yield Case(
        "tensorflow_call.pkl",
        "a call beside three networks",
        lambda mark: pickled((network(), touch(mark), network())),
        fires_with="pickle",
    )
    yield case("text", "a text for a network", "Gs")
    yield case("empty", "a network of nothing", network())
    yield case(
        "source",
        "a network whose source would run, and no network",
        network(build_module_src="import os; os.mkdir('/tmp/never')"),
    )
    yield case("version", "version 1000", generator(version=1000))
    yield case("components_list", "parts in a list", network(components=[network()]))
    yield case(
        "components_self",
        "a part in itself",
        Code(
            new(name("dnnlib.tflib.network", "Network"))
            + b"q\7"
            + b"}"
            + code("components")
            + b"}"
            + code("mapping")
            + b"h\7s"
            + b"sb"
        ),
    )
    yield case(
        "variables_objects", "variables of objects", generator([("noise0", array(dtype=array_type("O8"), content=[1]))])
    )
    yield case("variables_text", "variables that are texts", generator([("4x4/Const/const", "x")]))
    yield case("variables_triple", "variables of three parts", generator([("a", small, small)]))
    yield case("variables_numbers", "variables named by numbers", generator([(7, small)]))
    yield case(
        "noise_huge",
        "a noise map of the block 2^(10^9)",
        generator([("4x4/Const/const", small), ("noise2000000000", small)]),
    )
    yield case(
        "lod_huge",
        "a layer of the level 10^10",
        generator([("4x4/Const/const", small), ("ToRGB_lod10000000000/weight", small)]),
    )
    yield case("block_huge", "a block of 10^4000 px", generator([("1" + "0" * 4000 + "x4/Const/const", small)]))
    yield case(
        "layer_huge",
        "layer 10^4000",
        generator([("4x4/Const/const", small)], [("Dense1" + "0" * 4000 + "/weight", array((2, 2)))]),
    )
    yield case(
        "resolution",
        "a resolution that is a text",
        generator([("4x4/Const/const", small)], static_kwargs={"resolution": "x"}),
    )
    yield case("argument", "an argument of a fork", generator([("4x4/Const/const", small)], static_kwargs={"evil": 1}))
    yield case(
        "argument_screen",
        "an argument whose name and value would fill and clear the screen",
        generator([("4x4/Const/const", small)], static_kwargs={SCREEN: SCREEN}),
    )
    yield case(
        "argument_value_screen",
        "a known argument whose value would fill and clear the screen",
        generator([("4x4/Const/const", small)], static_kwargs={"nonlinearity": SCREEN}),
    )
    yield case(
        "variable_screen", "a variable whose name would", generator([("4x4/Const/const", small), (SCREEN, small)])
    )
    yield case(
        "argument_number", "an argument that is a number", generator([("4x4/Const/const", small)], static_kwargs={1: 1})
    )


# State dicts.

SCREEN = "\x1b[2J\x1b[1;31m\n" + "all is well " * 1000
"""A name that could do something to the screen that an error is shown on."""


def state_dicts() -> Iterator[Case]:
    def case(file: str, what: str, value: Any, expect: str = "refuse", data: dict[str, bytes] | None = None) -> Case:
        return Case(f"state_{file}.pt", what, lambda mark: torch_zip(value, data), expect)

    w = tensor(storage())
    nan = {"0": np.full(4, np.nan, np.float32).tobytes()}
    yield case("number", "a number", 7)
    yield case("none", "nothing", None)
    yield case("text", "a text", "weights")
    yield case("empty", "an empty table", {})
    yield case("empty_g_ema", "an empty g_ema", {"g_ema": {}})
    yield case("g_ema_list", "a list for g_ema", {"g_ema": [w]})
    yield case("g_ema_tensor", "a tensor for g_ema", {"g_ema": w})
    yield case("g_ema_numbers", "a g_ema with numbers for names", {"g_ema": {1: w, 2: w}})
    yield case("mixed_names", "names that are texts and numbers", {"g_ema": {"style.1.weight": w, 1: w}})
    yield case("numbers", "numbers for names", {0: w, 1: w})
    yield case("text_values", "texts for tensors", {"g_ema": {"style.1.weight": "x", "input.input": "x"}})
    yield case("prefix_only", "a name that is only a prefix", {"g_ema": {"module.": w}})
    yield case(
        "style_huge", "style number 10^4000", {"g_ema": {"input.input": w, "style.1" + "0" * 4000 + ".weight": w}}
    )
    yield case(
        "convs_huge", "layer number 10^4000", {"g_ema": {"input.input": w, "convs.1" + "0" * 4000 + ".conv.weight": w}}
    )
    yield case("noise_huge", "noise number 10^10", {"g_ema": {"input.input": w, "noises.noise_10000000000": w}})
    yield case("screen", "a name that would fill and clear the screen", {SCREEN: w, SCREEN + "x": {}})
    yield case("screen_g_ema", "such a name in g_ema", {"g_ema": {"input.input": w, SCREEN: w}})
    yield case("screen_lga", "such a name in a motion model", {"state_dict": {"module.rnn.fc1.weight": w, SCREEN: w}})
    yield case(
        "screen_encoder", "such a name in an encoder", {"state_dict": {"encoder.input_layer.0.weight": w, SCREEN: w}}
    )
    yield case("nan", "values that are not finite", {"g_ema": {"w": w}}, data=nan)
    yield case("scalar", "a tensor of no dimension for a face", tensor(storage(), (), ()))
    yield case("face_nan", "a face of values that are not finite", tensor(storage(), (2, 2), (2, 1)), data=nan)
    yield case("state_dict_self", "a table in itself", Code(b"}q\1" + code("state_dict") + b"h\1s"))
    yield case("encoder_empty", "an encoder of nothing", {"state_dict": {"encoder.x": w}, "latent_avg": w, "opts": {}})
    yield case(
        "encoder_numbers",
        "options that are numbers",
        {"state_dict": {"encoder.input_layer.0.weight": w}, "opts": {"stylegan_size": -1}},
    )
    yield case(
        "lga_empty",
        "a motion model of nothing",
        {"iter": 1, "arch": "RN50", "state_dict": {"module.rnn.fc1.weight": w}},
    )
    yield case("optimiser", "an optimiser only", {"state": {}, "param_groups": []})


# Good files, cut and damaged.

SMALL = tiny_generator_config(8, channel_base=64, mapping_layers=2)


@lru_cache
def good(kind: str) -> bytes:
    """A good file of this kind, as small as they get."""
    if kind in ("npy", "npz"):
        file = io.BytesIO()
        codes = np.arange(64, dtype=np.float32).reshape(1, 4, 16)
        np.save(file, codes) if kind == "npy" else np.savez(file, w=codes)
        return file.getvalue()
    generator = writers.random_generator(SMALL, 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        match kind:
            case "nvidia":
                writers.write_nvidia(path, generator)
            case "nvidia_2":
                writers.write_nvidia(path, generator, protocol=2)
            case "pti":
                writers.write_pti(path, generator)
            case "tensorflow":
                writers.write_tensorflow(path, generator)
            case "zip" | "legacy":
                writers.write_rosinality(path, generator, container=kind, training=True)
            case "safetensors":
                from safetensors.torch import save_file

                save_file({"ws": torch.arange(64.0).reshape(1, 4, 16)}, path)
        return path.read_bytes()


KINDS = ("nvidia", "nvidia_2", "pti", "tensorflow", "zip", "legacy", "npy", "npz", "safetensors")


def _with_source(mark: str) -> bytes:
    """The good file with a source that would make the mark, were it run."""
    placeholder = MODULE_SRC.encode()
    source = f"import os; os.mkdir({mark!r})\n".encode().ljust(len(placeholder), b"#")
    content = good("nvidia").replace(placeholder, source)
    assert source in content
    return content


IGNORED = (  # a reader may do without these, or without noticing
    *("buffers_text", "architecture_list", "kwargs_number", "weight_empty"),
    *("name_number", "name_empty", "average_number", "average_square"),
)


def edits() -> Iterator[Case]:
    """Good files with one value that is something else; the first of each were found by fuzzing."""
    block = "G_ema", "_modules", "synthesis", "_modules", "b4"
    layer = *block, "_modules", "conv1"
    two = torch.ones(2)
    for file, kind, path, value in (
        ("parameters_number", "nvidia", (*block, "_parameters"), 7),
        ("buffers_text", "nvidia", (*layer, "_buffers"), "x"),
        ("attribute_screen", "nvidia", (*layer, "activation"), SCREEN),
        ("architecture_screen", "nvidia", ("G_ema", "_modules", "synthesis", "_modules", "b8", "architecture"), SCREEN),
        ("extra_screen", "nvidia", (*layer, "_parameters", SCREEN), two),
        ("module_screen", "nvidia", (*block, "_modules", SCREEN), 7),
        ("version_screen", "tensorflow", (2, "version"), SCREEN),
        ("extra_screen", "zip", ("g_ema", SCREEN), two),
        ("gain_tensor", "nvidia", (*layer, "act_gain"), two),
        ("clamp_tensor", "nvidia", (*layer, "conv_clamp"), two),
        ("clamp_text", "nvidia", (*layer, "conv_clamp"), "256"),
        ("clamp_nan", "nvidia", (*layer, "conv_clamp"), float("nan")),
        ("architecture_list", "nvidia", (*block, "architecture"), []),
        ("modules_number", "pti", ("_modules", "synthesis", "_modules"), 7),
        ("weight_whole", "nvidia", (*layer, "_parameters", "weight"), torch.ones(8, 8, 3, 3).long()),
        ("weight_scalar", "nvidia", (*layer, "_parameters", "weight"), torch.tensor(1.0)),
        ("weight_empty", "nvidia", (*layer, "_parameters", "weight"), torch.ones(0, 8, 3, 3)),
        ("weight_nan", "nvidia", (*layer, "_parameters", "weight"), torch.full((8, 8, 3, 3), float("nan"))),
        ("kernel_tensor", "tensorflow", (2, "components", "synthesis", "static_kwargs", "resample_kernel"), two),
        ("kwargs_number", "tensorflow", (2, "static_kwargs"), 7),
        ("variables_none", "tensorflow", (2, "components", "mapping", "variables"), None),
        ("version_list", "tensorflow", (2, "version"), []),
        ("name_number", "zip", ("g_ema", 7), two),
        ("name_empty", "zip", ("g_ema", ""), two),
        ("average_number", "zip", ("latent_avg",), 7),
        ("average_square", "zip", ("latent_avg",), torch.ones(8, 8)),
        ("constant_flat", "legacy", ("g_ema", "input.input"), torch.ones(8)),
    ):
        what = f"a good file ({kind}) whose {'.'.join(map(str, path))[:60]!r} is {str(value)[:20]!r}"
        make = lambda mark, kind=kind, path=path, value=value: _edited(kind, path, value)  # noqa: E731
        yield Case(f"edit_{kind}_{file}.pkl", what, make, "refuse or load" if file in IGNORED else "refuse")


def _edited(kind: str, path: tuple[Any, ...], value: Any) -> bytes:
    from foreign_files.trees import with_value, written

    return pickled(written(with_value(kind, path, value)), 4)


def truncations() -> Iterator[Case]:
    for kind in KINDS:
        for percent in (1, 50, 99):
            make = lambda mark, kind=kind, percent=percent: good(kind)[: len(good(kind)) * percent // 100]  # noqa: E731
            yield Case(f"cut_{kind}_{percent}.bin", f"{percent} % of a good file ({kind})", make)
        make = lambda mark, kind=kind: good(kind)[:-1]  # noqa: E731
        yield Case(f"cut_{kind}_last.bin", f"a good file ({kind}) without its last byte", make)


def bit_flips() -> Iterator[Case]:
    for kind in KINDS:
        for seed in range(4):
            make = lambda mark, kind=kind, seed=seed: flipped(good(kind), seed)  # noqa: E731
            yield Case(f"flip_{kind}_{seed}.bin", f"a good file ({kind}) with a bit changed", make, "refuse or load")


def flipped(content: bytes, seed: int) -> bytes:
    at = random.Random(seed).randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << seed % 8]) + content[at + 1 :]
