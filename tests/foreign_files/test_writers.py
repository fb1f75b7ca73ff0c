"""What the writers of foreign files write is what FORMATS says such files hold, and ordinary readers read it."""

import io
import json
import pickle
import pickletools
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_files import writers
from paths import KEYS
from safetensors.torch import load_file
from torch.testing import assert_close

from lga_core import Encoder, Generator, GeneratorConfig, MotionConfig, MotionModel
from lga_core.inversion.encoder import EncoderConfig

TINY = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 128, "channel_max": 8}
PERSISTENT = ("torch_utils.persistence", "_reconstruct_persistent_obj")
EASY_DICT = ("dnnlib.util", "EasyDict")
NETWORK = ("dnnlib.tflib.network", "Network")
REBUILD = {("torch._utils", "_rebuild_parameter"), ("torch._utils", "_rebuild_tensor_v2")}
ORDERED = ("collections", "OrderedDict")

ALLOWED_OPCODES = {
    *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "DUP", "NONE", "NEWTRUE", "NEWFALSE"),
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_SET", "ADDITEMS"),
    *("BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "MEMOIZE", "GLOBAL", "STACK_GLOBAL"),
    *("REDUCE", "NEWOBJ", "BUILD", "BINPERSID"),
}
"""The opcodes of FORMATS' list that Python's pickler writes."""


def tiny_generator(resolution: int = 16, **overrides) -> Generator:
    return writers.random_generator(GeneratorConfig(resolution, **{**TINY, **overrides}))


def opcodes(data: bytes) -> list[tuple[str, object]]:
    """Name and argument of each, of a pickle that must fill the data, of opcodes that a strict reader knows."""
    found = [(opcode.name, argument, position) for opcode, argument, position in pickletools.genops(data)]
    assert found[-1][2] == len(data) - 1, "something follows the pickle"
    assert {name for name, _, _ in found} <= ALLOWED_OPCODES
    return [(name, argument) for name, argument, _ in found]


def globals_of(data: bytes) -> set[tuple[str, str]]:
    """Every module and name that a pickle asks for."""
    found, pushed, memo = set(), [], []
    for name, argument in opcodes(data):
        if name == "GLOBAL":
            found.add(tuple(argument.split(" ")))
        elif name == "STACK_GLOBAL":
            found.add(tuple(pushed[-2:]))
        if name == "MEMOIZE":
            memo.append(pushed[-1])
        elif name in ("BINGET", "LONG_BINGET"):
            pushed.append(memo[argument] if memo else None)
        elif name != "FRAME":
            pushed.append(argument)
    return found


def count(data: bytes, opcode: str) -> int:
    return sum(name == opcode for name, _ in opcodes(data))


def data_pkl(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        return archive.read(name)


def members(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return {name.split("/", 1)[1] for name in archive.namelist()}


def five_pickles(data: bytes) -> tuple[list[bytes], bytes]:
    """A legacy stream's pickles and what follows them."""
    pickles, start = [], 0
    for _ in range(5):
        stop = [position for _, _, position in pickletools.genops(data[start:])][-1] + 1
        pickles.append(data[start : start + stop])
        start += stop
    return pickles, data[start:]


def published(name: str) -> dict[str, list[int]]:
    """Names and shapes of all tensors in a published file, by the name of their list."""
    rows = json.loads((KEYS / name).read_text())
    return {key: row["shape"] if isinstance(row, dict) else row for key, row in rows.items()}


def shapes(tensors) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in tensors.items()}


def same(found, expected) -> None:
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert_close(found[name], tensor, rtol=0, atol=0)


# ---- NVIDIA, PyTorch ----


class Reader(pickle.Unpickler):
    """An ordinary unpickler in which the packages' names mean something inert."""

    def find_class(self, module, name):
        if (module, name) == PERSISTENT:
            return lambda meta: types.SimpleNamespace(**meta)
        if (module, name) == EASY_DICT:
            return dict
        if (module, name) == NETWORK:
            return types.SimpleNamespace
        return super().find_class(module, name)


def read(path: Path):
    with path.open("rb") as file:
        return Reader(file).load()


def collected(record, prefix: str = "") -> dict[str, torch.Tensor]:
    """Parameters and buffers below a module's record."""
    state = record.state
    tensors = {prefix + name: tensor for name, tensor in {**state["_parameters"], **state["_buffers"]}.items()}
    for name, inner in state["_modules"].items():
        tensors |= collected(inner, f"{prefix}{name}.")
    return tensors


@pytest.mark.parametrize("era", ["now", "2020"])
@pytest.mark.parametrize("numpy_core", ["numpy._core", "numpy.core"])
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_nvidias_globals_are_those_of_the_list(tmp_path, protocol, numpy_core, era):
    file = tmp_path / "network.pkl"
    writers.write_nvidia(file, tiny_generator(8), protocol=protocol, numpy_core=numpy_core, era=era)
    need = {PERSISTENT, ORDERED, *REBUILD, ("torch.storage", "_load_from_bytes"), EASY_DICT}
    need |= {(f"{numpy_core}.multiarray", "scalar"), ("numpy", "dtype")}
    need |= {2: {("__builtin__", "set"), ("_codecs", "encode")}, 3: {("builtins", "set")}, 4: set()}[protocol]
    data = file.read_bytes()
    assert globals_of(data) == need
    assert data[:2] == bytes([0x80, protocol])
    assert count(data, "BINPERSID") == 0
    assert {name for name, _ in opcodes(data) if "GLOBAL" in name} == {"STACK_GLOBAL" if protocol == 4 else "GLOBAL"}


@pytest.mark.parametrize("family", ["ada", "sg3"])
@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_nvidias_tensors_are_those_of_the_generator(tmp_path, family, architecture):
    generator = tiny_generator(architecture=architecture, c_dim=3, conv_clamp=256)
    file = tmp_path / "network.pkl"
    snapshot = read(writers.write_nvidia(file, generator, family=family, num_fp16_res=2, augment_pipe=True))
    assert list(snapshot) == list(writers.TOP_KEYS)
    root = snapshot["G_ema"]
    assert (root.type, root.version, root.class_name) == ("class", 6, "Generator")
    assert 37_000 <= len(root.module_src) <= 40_960
    found = collected(root)
    filters = {name: found.pop(name) for name in list(found) if name.endswith("resample_filter")}
    assert found.keys() == generator.state_dict().keys()
    for name, tensor in generator.state_dict().items():
        assert_close(found[name].data, tensor, rtol=0, atol=0)
    assert {round(float(tensor.sum()), 6) for tensor in filters.values()} == {1}
    assert not torch.equal(collected(snapshot["G"])["mapping.fc0.weight"], found["mapping.fc0.weight"])
    assert snapshot["augment_pipe"].class_name == "AugmentPipe"
    assert snapshot["D"].class_name == "Discriminator"


def test_nvidias_two_families_keep_their_settings_in_different_places(tmp_path):
    generator = tiny_generator(conv_clamp=256)
    ada = read(writers.write_nvidia(tmp_path / "a.pkl", generator, num_fp16_res=4))["G_ema"].state["_init_kwargs"]
    settings = {"channel_base": 128, "channel_max": 8, "num_fp16_res": 4, "conv_clamp": 256}
    assert ada["synthesis_kwargs"] == settings
    assert ada["mapping_kwargs"] == {"num_layers": 2}
    newer = writers.write_nvidia(tmp_path / "b.pkl", generator, family="sg3", num_fp16_res=4)
    newer = read(newer)["G_ema"].state["_init_kwargs"]
    assert "synthesis_kwargs" not in newer
    assert {key: newer[key] for key in settings} == settings
    assert newer["fused_modconv_default"] == "inference_only"


def test_nvidias_defaults_can_go_unsaid_and_differ_between_the_families(tmp_path):
    file, clamped = tmp_path / "network.pkl", tiny_generator(conv_clamp=256)
    newer = read(writers.write_nvidia(file, clamped, family="sg3", num_fp16_res=4, omit_defaults=True))
    assert not {"conv_clamp", "num_fp16_res", "architecture"} & newer["G_ema"].state["_init_kwargs"].keys()
    free = read(writers.write_nvidia(file, tiny_generator(), family="sg3", num_fp16_res=4, omit_defaults=True))
    assert free["G_ema"].state["_init_kwargs"]["conv_clamp"] is None
    ada = read(writers.write_nvidia(file, clamped, num_fp16_res=4, omit_defaults=True))["G_ema"].state["_init_kwargs"]
    assert ada["synthesis_kwargs"] == {"channel_base": 128, "channel_max": 8, "num_fp16_res": 4, "conv_clamp": 256}


def test_nvidias_gains_are_stored_as_numpy_numbers_and_can_be_a_forks(tmp_path):
    file = tmp_path / "network.pkl"

    def fork(module):
        module.synthesis.b8.conv0.act_gain = 2.0

    synthesis = read(writers.write_nvidia(file, tiny_generator(), edit=fork))["G_ema"].state["_modules"]["synthesis"]
    layers = synthesis.state["_modules"]["b8"].state["_modules"]
    assert layers["conv0"].state["act_gain"] == 2.0
    assert isinstance(layers["conv1"].state["act_gain"], np.float64)
    assert layers["conv1"].state["act_gain"] == np.sqrt(2)
    assert layers["torgb"].state["weight_gain"] == 1 / np.sqrt(8)
    assert layers["conv1"].state["_modules"]["affine"].state["weight_gain"] == 1 / np.sqrt(8)
    block = synthesis.state["_modules"]["b8"].state
    assert (block["num_conv"], block["num_torgb"], block["in_channels"]) == (2, 1, 8)


def test_nvidias_2020_state_has_the_tables_of_that_time(tmp_path):
    root = read(writers.write_nvidia(tmp_path / "network.pkl", tiny_generator(8), era="2020", protocol=3))["G_ema"]
    assert type(root.state["_modules"]).__name__ == "OrderedDict"
    assert "_forward_hooks_with_kwargs" not in root.state
    assert not {"era", "record"} & root.state.keys()


def test_nvidias_surroundings_vary(tmp_path):
    file = tmp_path / "network.pkl"
    converted = read(writers.write_nvidia(file, tiny_generator(8), top=writers.CONVERTED_KEYS))
    assert list(converted) == ["G", "D", "G_ema"]
    without = read(writers.write_nvidia(file, tiny_generator(8), training_set_kwargs="none"))
    assert without["training_set_kwargs"] is None


def test_nvidias_storages_are_whole_legacy_streams(tmp_path):
    data = writers.write_nvidia(tmp_path / "network.pkl", tiny_generator(8), protocol=3).read_bytes()
    blobs = [
        argument for name, argument in opcodes(data) if name in ("BINBYTES", "SHORT_BINBYTES") and len(argument) > 99
    ]
    assert len(blobs) > 60
    pickles, raw = five_pickles(blobs[0])
    magic, version, system, storage, keys = pickles
    assert pickle.loads(magic) == 0x1950A86A20F9469CFC6C
    assert pickle.loads(version) == 1001
    assert set(pickle.loads(system)) == {"protocol_version", "little_endian", "type_sizes"}
    names = globals_of(storage)
    assert names == {("torch", "FloatStorage")}
    assert count(storage, "BINPERSID") == 1
    assert len(pickle.loads(keys)) == 1
    assert (len(raw) - 8) == 4 * int.from_bytes(raw[:8], "little")


def test_nvidias_full_size_tensors_are_the_published_ones():
    with torch.device("meta"):
        generator = Generator(GeneratorConfig(1024))
    assert shapes(writers.nvidia_tensors(generator)) == published("nv_generator_f_1024.json")


@pytest.mark.parametrize("container", ["zip", "zip-2020"])
def test_ptis_file_is_a_whole_module_in_a_zip(tmp_path, container):
    generator = tiny_generator(8)
    file = writers.write_pti(tmp_path / "model_x.pt", generator, container=container)
    data = data_pkl(file)
    need = {PERSISTENT, ORDERED, EASY_DICT, *REBUILD, ("torch", "FloatStorage"), ("__builtin__", "set")}
    need |= {("numpy._core.multiarray", "scalar"), ("numpy", "dtype"), ("_codecs", "encode")}
    assert globals_of(data) == need
    assert count(data, "BINPERSID") == len(writers.nvidia_tensors(generator))
    assert b"cuda:0" in data
    if container == "zip-2020":
        assert {name for name in members(file) if not name.startswith("data/")} == {"data.pkl", "version"}
    pivot = writers.write_pivot(tmp_path / "0.pt", torch.randn(18, 8))
    assert torch.load(pivot, weights_only=True, map_location="cpu").shape == (1, 18, 8)


def test_stylegan3_calls_itself_a_generator_too(tmp_path):
    root = read(writers.write_stylegan3(tmp_path / "stylegan3.pkl"))["G_ema"]
    assert root.class_name == "Generator"
    children = list(root.state["_modules"]["synthesis"].state["_modules"])
    assert children == ["input", "L0_36_8", "L1_36_8", "L2_16_3"]


# ---- NVIDIA, TensorFlow ----


@pytest.mark.parametrize("numpy_core", ["numpy._core", "numpy.core"])
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_tensorflows_globals_are_those_of_the_list(tmp_path, protocol, numpy_core):
    file = tmp_path / "network.pkl"
    data = writers.write_tensorflow(file, tiny_generator(), protocol=protocol, numpy_core=numpy_core).read_bytes()
    need = {NETWORK, (f"{numpy_core}.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}
    assert globals_of(data) == need | ({("_codecs", "encode")} if protocol == 2 else set())
    assert count(data, "NEWOBJ") == 7  # three networks, and two components in each of two


def test_tensorflows_tuple_holds_the_averaged_generator_last(tmp_path):
    generator = tiny_generator(32, c_dim=3, conv_clamp=256)
    networks = read(writers.write_tensorflow(tmp_path / "network.pkl", generator))
    assert [network.name for network in networks] == ["G", "D", "Gs"]
    last = networks[2]
    assert last.version == 4
    assert [name for name, _ in last.variables] == ["dlatent_avg"]
    assert list(last.components) == ["synthesis", "mapping"]
    assert last.static_kwargs["fmap_base"] == 64
    assert last.static_kwargs["label_size"] == 3
    mapping, synthesis = (dict(last.components[name].variables) for name in ("mapping", "synthesis"))
    for found, need in zip((mapping, synthesis), writers.tensorflow_variables(generator)[1:], strict=True):
        assert found.keys() == need.keys()
        assert all(np.array_equal(found[name], need[name]) for name in need)
    assert list(mapping) == ["LabelEmbed/weight", "LabelEmbed/bias", *_dense(2)]
    assert mapping["LabelEmbed/weight"].shape == (3, 8)
    assert {name for name in synthesis if name.startswith("noise")} == {f"noise{i}" for i in range(7)}
    assert synthesis["noise5"].shape == synthesis["noise6"].shape == (1, 1, 32, 32)
    assert synthesis["noise0"].shape == (1, 1, 4, 4)
    assert all(array.flags.c_contiguous and array.dtype == np.float32 for array in synthesis.values())
    assert not np.array_equal(
        dict(networks[0].components["mapping"].variables)["Dense0/weight"], mapping["Dense0/weight"]
    )


def _dense(layers: int) -> list[str]:
    return [f"Dense{i}/{end}" for i in range(layers) for end in ("weight", "bias")]


def test_tensorflows_kernels_are_turned_and_those_that_enlarge_are_flipped():
    generator = tiny_generator(architecture="resnet", z_dim=6)
    parent, mapping, synthesis = writers.tensorflow_variables(generator)
    ours = {name: tensor.numpy() for name, tensor in generator.state_dict().items()}
    assert np.array_equal(parent["dlatent_avg"], ours["mapping.w_avg"])
    assert mapping["Dense0/weight"].shape == (6, 8)
    assert mapping["Dense0/weight"][5, 2] == ours["mapping.fc0.weight"][2, 5]
    enlarging, plain = synthesis["16x16/Conv0_up/weight"], synthesis["16x16/Conv1/weight"]
    for y in range(3):
        for x in range(3):
            assert enlarging[y, x, 4, 7] == ours["synthesis.b16.conv0.weight"][7, 4, 2 - y, 2 - x]
            assert plain[y, x, 4, 7] == ours["synthesis.b16.conv1.weight"][7, 4, y, x]
    assert synthesis["8x8/Skip/weight"][0, 0, 3, 5] == ours["synthesis.b8.skip.weight"][5, 3, 0, 0]
    assert synthesis["16x16/ToRGB/weight"][0, 0, 3, 1] == ours["synthesis.b16.torgb.weight"][1, 3, 0, 0]
    assert synthesis["4x4/Conv/mod_bias"][2] + 1 == pytest.approx(ours["synthesis.b4.conv1.affine.bias"][2], abs=1e-6)
    assert synthesis["4x4/Conv/mod_weight"][2, 3] == ours["synthesis.b4.conv1.affine.weight"][3, 2]
    assert synthesis["4x4/Const/const"].shape == (1, 8, 4, 4)
    assert synthesis["4x4/Conv/noise_strength"].shape == ()
    assert "8x8/ToRGB/weight" not in synthesis


def test_tensorflows_orig_architecture_names_its_last_layer_by_level_of_detail(tmp_path):
    file = tmp_path / "network.pkl"
    networks = read(writers.write_tensorflow(file, tiny_generator(architecture="orig"), overrides={"gain": 2}))
    names = dict(networks[2].components["synthesis"].variables)
    assert {name for name in names if "RGB" in name} == {
        f"ToRGB_lod0/{end}" for end in ("weight", "bias", "mod_weight", "mod_bias")
    }
    assert networks[2].static_kwargs["gain"] == 2
    short = read(writers.write_tensorflow(file, tiny_generator(), omit_defaults=True))[2].static_kwargs
    assert not {"architecture", "label_size", "conv_clamp", "truncation_psi"} & short.keys()


def test_stylegan1_is_the_same_tuple_with_other_names(tmp_path):
    last = read(writers.write_stylegan1(tmp_path / "karras2019.pkl"))[2]
    assert (last.version, last.build_func_name) == (2, "G_style")
    assert "4x4/Const/StyleMod/weight" in dict(last.components["synthesis"].variables)


# ---- rosinality ----

NAMESPACE = ("argparse", "Namespace")


@pytest.mark.parametrize("container", ["zip", "zip-2020", "legacy"])
@pytest.mark.parametrize("training", [False, True])
def test_the_communitys_file_in_each_container(tmp_path, container, training):
    generator = tiny_generator()
    file = writers.write_rosinality(tmp_path / "g.pt", generator, container=container, training=training)
    need = {ORDERED, ("torch._utils", "_rebuild_tensor_v2"), ("torch", "FloatStorage")}
    need |= {NAMESPACE} if training else set()
    data = five_pickles(file.read_bytes())[0][3] if container == "legacy" else data_pkl(file)
    assert globals_of(data) == need
    assert data[:2] == b"\x80\x02"
    value = torch.load(file, weights_only=not training)
    trained = ["g", "d", "g_ema", "latent_avg", "g_optim", "d_optim", "args", "ada_aug_p"]
    assert list(value) == (trained if training else ["g_ema", "latent_avg"])
    assert value["g_ema"]._metadata == {"": {"version": 1}}
    same(value["g_ema"], writers.rosinality_tensors(generator))
    assert torch.equal(value["latent_avg"], generator.w_avg)


def test_the_communitys_file_can_lack_things_and_have_a_prefix(tmp_path):
    file = writers.write_rosinality(
        tmp_path / "g.pt", tiny_generator(), prefix="module.", noises=False, latent_avg=False
    )
    value = torch.load(file, weights_only=True)
    assert list(value) == ["g_ema"]
    assert all(name.startswith("module.") and "noises." not in name for name in value["g_ema"])


def test_the_communitys_names_and_axes():
    generator = tiny_generator()
    theirs, ours = writers.rosinality_tensors(generator), generator.state_dict()
    assert torch.equal(theirs["convs.2.conv.weight"][0], ours["synthesis.b16.conv0.weight"])
    assert torch.equal(theirs["noises.noise_4"][0, 0], ours["synthesis.b16.conv1.noise_const"])
    assert theirs["conv1.noise.weight"].shape == (1,)
    assert_close(theirs["convs.0.conv.blur.kernel"].sum(), torch.tensor(4.0))


def test_the_communitys_full_size_tensors_are_the_published_ones():
    with torch.device("meta"):
        generator = Generator(GeneratorConfig(1024))
    assert shapes(writers.rosinality_tensors(generator)) == published("ros_g_ema_1024.json")


# ---- encoders ----

SMALL_ENCODER = {"w_dim": 8, "input_size": 32, "widths": (8, 16, 16, 8), "units": (1, 1, 2, 1)}


def test_e4es_file_holds_encoder_decoder_average_and_options(tmp_path):
    generator = tiny_generator(64)
    encoder = writers.random_encoder(EncoderConfig(generator.num_ws, **SMALL_ENCODER))
    file = writers.write_e4e(tmp_path / "e4e.pt", encoder, generator, trainer_extras=True)
    need = {ORDERED, ("torch._utils", "_rebuild_tensor_v2"), ("torch", "FloatStorage"), ("torch", "LongStorage")}
    assert globals_of(data_pkl(file)) == need
    assert b"cuda:0" in data_pkl(file)
    value = torch.load(file, weights_only=True, map_location="cpu")
    state = value["state_dict"]
    assert {name.split(".")[0] for name in state} == {"encoder", "decoder"}
    decoder = {name.removeprefix("decoder."): v for name, v in state.items() if name.startswith("decoder.")}
    same(decoder, writers.rosinality_tensors(generator))
    assert state["encoder.input_layer.1.num_batches_tracked"].dtype == torch.int64
    assert value["latent_avg"].shape == (10, 8)
    assert torch.equal(value["latent_avg"][0], value["latent_avg"][9])
    assert value["opts"]["start_from_latent_avg"] is True
    assert value["opts"]["stylegan_size"] == 64


def test_psps_file_has_other_options(tmp_path):
    generator = tiny_generator()
    encoder = writers.random_encoder(EncoderConfig(generator.num_ws, row0_shared=False, **SMALL_ENCODER))
    file = writers.write_psp(tmp_path / "psp.pt", encoder, generator, start_from_latent_avg=False, latent_avg=False)
    value = torch.load(file, weights_only=True, map_location="cpu")
    assert list(value) == ["state_dict", "opts"]
    assert value["opts"]["encoder_type"] == "GradualStyleEncoder"
    assert value["opts"]["n_styles"] == 6
    assert value["opts"]["start_from_latent_avg"] is False


def test_e4es_full_size_encoder_is_the_published_one():
    with torch.device("meta"):
        encoder = Encoder(EncoderConfig(18))
    found = {f"encoder.{name}": shape for name, shape in shapes(writers.encoder_tensors(encoder)).items()}
    assert found == published("e4e_encoder_1024.json")


# ---- official motion models and CLIP ----


@pytest.mark.parametrize("prefix", ["module.", ""])
def test_the_official_file_holds_clip_recurrence_and_mappers(tmp_path, prefix):
    motion = writers.random_motion(MotionConfig.official(16, 6, w_dim=8, hidden_dim=12, mapper_dim=20))
    clip = writers.tiny_clip().state_dict()
    file = writers.write_lga(tmp_path / "checkpoint.pth", motion, clip, prefix=prefix)
    need = {ORDERED, ("torch._utils", "_rebuild_tensor_v2"), ("torch", "FloatStorage"), ("torch", "LongStorage")}
    assert globals_of(data_pkl(file)) == need
    value = torch.load(file, weights_only=True, map_location="cpu")
    assert list(value) == ["iter", "arch", "state_dict", "optimizer"]
    assert (value["iter"], value["arch"]) == (5000, "RN50")
    state, ours = value["state_dict"], motion.state_dict()
    assert {name.removeprefix(prefix).split(".")[0] for name in state} == {"encoder", "rnn", "mapper"}
    assert torch.equal(state[f"{prefix}mapper.v_mapper.3.weight"], ours["mapper.visual.2.weight"])
    assert torch.equal(state[f"{prefix}mapper.t_mapper.1.bias"], ours["mapper.motion.0.bias"])
    assert torch.equal(state[f"{prefix}rnn.fc2.weight"], ours["recurrent.fc2.weight"])
    groups = value["optimizer"]["param_groups"]
    assert [group["lr"] for group in groups] == [1e-5, 1e-3, 1e-3]
    assert all(group["betas"] == (0.0, 0.999) for group in groups)


def test_the_official_full_size_tensors_are_the_published_ones():
    import open_clip

    config = open_clip.get_model_config("RN50-quickgelu")
    with torch.device("meta"):
        clip = open_clip.CLIP(**config)
        motion = MotionModel(MotionConfig.official(1024, 18))
    assert shapes(writers.lga_tensors(motion, clip.state_dict())) == published("lga_rn50_1024.json")


def test_clip_files(tmp_path):
    clip = writers.tiny_clip().state_dict()
    same(torch.load(writers.write_clip(tmp_path / "clip.pt", clip), weights_only=True), clip)
    assert load_file(writers.write_clip(tmp_path / "clip.safetensors", clip)).keys() == clip.keys()
    extras = torch.load(writers.write_clip(tmp_path / "clip.pt", clip, openai_extras=True), weights_only=True)
    assert extras.keys() - clip.keys() == {"input_resolution", "context_length", "vocab_size"}
    wrapped = torch.load(writers.write_clip(tmp_path / "clip.pt", clip, wrapped=True), weights_only=True)
    assert all(name.startswith("module.") for name in wrapped["state_dict"])


def test_a_torchscript_archive_holds_code(tmp_path):
    assert any(name.startswith("code/") for name in members(writers.write_torchscript(tmp_path / "RN50.pt")))


# ---- identity networks ----


def test_arcfaces_tensors_are_the_published_ones():
    found = writers.arcface_tensors()
    assert shapes(found) == published("arcface_ir_se50.json")
    assert {name for name, t in found.items() if t.dtype == torch.int64} == {
        name for name in found if name.endswith("num_batches_tracked")
    }


def test_arcface_can_be_written_smaller(tmp_path):
    tensors = writers.arcface_tensors(shrink=4)
    assert len(tensors) == 397
    same(torch.load(writers.write_state_dict(tmp_path / "a.pth", tensors, "legacy"), weights_only=True), tensors)


def test_facenets_tensors_have_the_known_number_of_weights():
    shapes_found = writers.facenet_shapes(classes=None)
    weights = sum(int(np.prod(shape)) for name, shape in shapes_found.items() if not _is_statistic(name))
    assert weights == 23_482_624
    assert writers.facenet_shapes(10575)["logits.weight"] == (10575, 512)


def _is_statistic(name: str) -> bool:
    return name.endswith(("running_mean", "running_var", "num_batches_tracked"))


# ---- W+ codes ----


def test_latents_in_every_form(tmp_path):
    ws = torch.randn(6, 8)
    for code in (ws, ws[None]):
        assert torch.equal(torch.load(writers.write_latents(tmp_path / "w.pt", code), weights_only=True), code)
        assert np.array_equal(np.load(writers.write_latents(tmp_path / "w.npy", code)), code.numpy())
    named = {"000001.jpg": ws, "000002.jpg": ws[None]}
    same(torch.load(writers.write_latents(tmp_path / "w.pt", named), weights_only=True), named)
    assert set(np.load(writers.write_latents(tmp_path / "w.npz", named)).files) == set(named)
    assert set(load_file(writers.write_latents(tmp_path / "w.safetensors", named))) == set(named)


# ---- to be refused ----


def test_files_that_are_something_else(tmp_path):
    diffusion = torch.load(writers.write_diffusion(tmp_path / "sd.ckpt"), weights_only=True)
    assert all("model" in name for name in diffusion["state_dict"])
    assert load_file(writers.write_diffusion(tmp_path / "sd.safetensors")).keys() == diffusion["state_dict"].keys()
    left = torch.load(writers.write_optimizer_only(tmp_path / "o.pt"), weights_only=True)
    assert list(left) == ["iter", "optimizer"]
    assert "g_running" in torch.load(writers.write_stylegan1_torch(tmp_path / "s1.model"), weights_only=True)


def test_writing_leaves_no_false_packages_behind(tmp_path):
    before = set(sys.modules)
    writers.write_nvidia(tmp_path / "a.pkl", tiny_generator(8), numpy_core="numpy.core")
    writers.write_tensorflow(tmp_path / "b.pkl", tiny_generator(8))
    assert not {name for name in set(sys.modules) - before if name.split(".")[0] in ("dnnlib", "torch_utils", "numpy")}
    with pytest.raises(ModuleNotFoundError):
        pickle.load(io.BytesIO((tmp_path / "a.pkl").read_bytes()))
