"""The generator equals published implementations: NVIDIA's layout and the community's, config F at 1024 px included."""

import json
import re
from pathlib import Path

import pytest
import torch
from foreign_files.writers import random_generator, rosinality_tensors, write_nvidia
from paths import KEYS

from lga_core import CheckpointError, Generator, GeneratorConfig, load_generator
from lga_core.checkpoints.conversion import as_native
from lga_core.checkpoints.layouts import rosinality

pytestmark = pytest.mark.long


def nvidia_config(init_kwargs: dict) -> GeneratorConfig:
    return GeneratorConfig(
        resolution=init_kwargs["img_resolution"],
        z_dim=init_kwargs["z_dim"],
        w_dim=init_kwargs["w_dim"],
        c_dim=init_kwargs["c_dim"],
        img_channels=init_kwargs["img_channels"],
        mapping_layers=init_kwargs["mapping_kwargs"]["num_layers"],
        **init_kwargs["synthesis_kwargs"],
    )


def on_meta(config: GeneratorConfig) -> Generator:
    with torch.device("meta"):
        return Generator(config)


def opened(file: Path) -> Generator:
    """A foreign file as users get it: converted beside itself, and loaded."""
    return load_generator(as_native(file, "generator", file.parent / "converted"))


@pytest.fixture(scope="module")
def nvidia(golden, tmp_path_factory) -> Generator:
    """Our names are the official ones, so the rule gives a state dict as it is; a pickle of NVIDIA's is made of it."""
    generator = on_meta(nvidia_config(golden.json("init_kwargs")))
    shapes = {name: tensor.shape for name, tensor in generator.state_dict().items()}
    generator.load_state_dict({name: golden.parameter(name, shape) for name, shape in shapes.items()}, assign=True)
    return opened(write_nvidia(tmp_path_factory.mktemp("nvidia") / "network.pkl", generator, top=["G_ema"]))


@pytest.mark.golden("StyleGAN2 generator, NVIDIA")
def test_mapping_and_truncation_are_nvidias(golden, nvidia):
    assert nvidia.num_ws == int(golden.metadata["num_ws"])
    w = nvidia.mapping(golden["z"], golden.get("c"))
    for name in golden.names:
        if match := re.fullmatch(r"ws?_psi([\d.]+)(?:_cutoff(\d+))?", name):
            psi, cutoff = float(match[1]), match[2] and int(match[2])
            ws = nvidia.truncate(nvidia.broadcast(w), psi, cutoff)
            golden.check(name, stored_rows(golden, name, ws, cutoff), "w")


def stored_rows(golden, name, ws, cutoff):
    """All rows; or one where all are equal; or, in large files, those around the cutoff."""
    if golden[name].ndim == 2:
        return ws[:, 0]
    if golden[name].shape[1] == 1:
        return ws[:, :1]
    if "rows [0,N-1,N,num_ws-1] only" in golden.metadata["outputs"]:
        return ws[:, [0, cutoff - 1, cutoff, ws.shape[1] - 1]]
    return ws


@pytest.mark.golden("StyleGAN2 generator, NVIDIA")
def test_images_are_nvidias(golden, nvidia):
    images = sorted(
        {name.split(".down")[0].split(".crop")[0].split(".stats")[0] for name in golden.names if "img" in name}
    )
    assert images
    for name in images:
        if match := re.fullmatch(r"img_z_psi([\d.]+)_(const|none)", name):
            image = nvidia(golden["z"], golden.get("c"), psi=float(match[1]), noise=match[2])
        else:
            image = nvidia.synthesis(golden["ws_in"], noise=name.removeprefix("img_"))
        golden.check_image(name, image)


@pytest.fixture(scope="module")
def community(golden, tmp_path_factory) -> Generator:
    """The rule gives tensors under the community's names; they are saved as its trainer saves them."""
    arguments = golden.json("constructor")
    filter_1d = torch.tensor(arguments["blur_kernel"], dtype=torch.float32)
    kernel = 4 * torch.outer(filter_1d, filter_1d) / filter_1d.sum() ** 2
    with torch.device("meta"):
        tensors = rosinality_tensors(Generator(community_config(**arguments)))
    g_ema = {
        name: kernel if name.endswith(".kernel") else golden.parameter(name, tensor.shape)
        for name, tensor in tensors.items()
    }
    file = tmp_path_factory.mktemp("community") / "stylegan2.pt"
    torch.save({"g_ema": g_ema, "latent_avg": golden["latent_avg"]}, file)
    return opened(file)


def community_config(
    size: int, style_dim: int, n_mlp: int, channel_multiplier: int, lr_mlp: float, blur_kernel: list[int]
) -> GeneratorConfig:
    """The configuration of a generator that the community's code constructs with these arguments."""
    sizes = {"z_dim": style_dim, "w_dim": style_dim, "channel_base": 16384 * channel_multiplier}
    return GeneratorConfig(size, **sizes, mapping_layers=n_mlp, mapping_lr_mul=lr_mlp)


@pytest.mark.golden("StyleGAN2 generator, community")
def test_w_is_the_communitys(golden, community):
    assert community.num_ws == int(golden.metadata["n_latent"])
    w = community.mapping(golden["z"])
    golden.check("w", w, "w")
    for name in golden.names:
        if match := re.fullmatch(r"latents_z_trunc([\d_]+)", name):
            golden.check(name, community.truncate(w[:, None], float(match[1].replace("_", "."))), "w")


@pytest.mark.golden("StyleGAN2 generator, community")
def test_images_are_the_communitys(golden, community):
    assert golden.image_names()
    for name in golden.image_names():
        if name == "img_wplus":
            image = community.synthesis(golden["wplus"])
        elif name == "img_w":
            image = community(golden["z"])
        else:
            image = community(golden["z"], psi=float(name.removeprefix("img_z_trunc").replace("_", ".")))
        golden.check_image(name, image)


def published_keys(name: str) -> dict:
    """Names and shapes of all tensors in a published file."""
    return json.loads((KEYS / name).read_text())


def test_config_f_has_nvidias_tensors_and_no_others():
    published = published_keys("nv_generator_f_1024.json")
    need = {name: row["shape"] for name, row in published.items() if not name.endswith("resample_filter")}
    assert {name: list(tensor.shape) for name, tensor in on_meta(GeneratorConfig(1024)).state_dict().items()} == need


def test_the_community_table_covers_a_whole_file():
    published = published_keys("ros_g_ema_1024.json")
    need = {name: shape for name, shape in published.items() if not name.endswith(".kernel")}
    config = GeneratorConfig(1024)
    ours = {foreign.name: list(foreign.shape) for foreign in rosinality.layout(config).values()}
    assert ours.pop("latent_avg") == [512]  # kept beside g_ema
    assert ours == need
    assert set(rosinality.layout(config)) == set(on_meta(config).state_dict())


def test_a_community_file_that_does_not_fit_is_refused_by_name(tmp_path):
    def of(tensors: dict) -> Path:
        torch.save({"g_ema": tensors, "latent_avg": torch.zeros(4)}, tmp_path / "f.pt")
        return tmp_path / "f.pt"

    config = GeneratorConfig(8, z_dim=4, w_dim=4, channel_base=64, channel_max=8, mapping_layers=1)
    tensors = rosinality_tensors(random_generator(config))
    assert opened(of(tensors)).num_ws == 4
    with pytest.raises(CheckpointError, match=r"lacks .*b8\.conv0\.noise_strength"):
        opened(of({name: tensor for name, tensor in tensors.items() if name != "convs.0.noise.weight"}))
    with pytest.raises(CheckpointError, match=r"f\.pt: style\.1\.bias has shape \[5\], but \[4\] is needed"):
        opened(of({**tensors, "style.1.bias": torch.zeros(5)}))
