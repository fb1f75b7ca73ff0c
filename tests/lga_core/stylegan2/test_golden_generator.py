"""The generator equals published implementations: NVIDIA's layout and the community's, config F at 1024 px included."""

import json
import re

import pytest
import torch
from paths import KEYS

from lga_core import CheckpointError, Generator, GeneratorConfig
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


def loaded(config: GeneratorConfig, state: dict) -> Generator:
    generator = on_meta(config)
    generator.load_state_dict(state, assign=True)
    return generator.requires_grad_(False)


@pytest.fixture
def nvidia(golden) -> Generator:
    """Our names are the official ones, so the rule gives a state dict as it is."""
    config = nvidia_config(golden.json("init_kwargs"))
    shapes = {name: tensor.shape for name, tensor in on_meta(config).state_dict().items()}
    return loaded(config, {name: golden.parameter(name, shape) for name, shape in shapes.items()})


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


@pytest.fixture
def community(golden) -> Generator:
    """The rule gives tensors in the community layout, which our table translates."""
    arguments = golden.json("constructor")
    assert arguments.pop("blur_kernel") == [1, 3, 3, 1]
    config = rosinality.generator_config(**arguments)
    tensors = {
        foreign.name: golden.parameter(foreign.name, foreign.shape)
        for foreign in rosinality.layout(config).values()
        if foreign.name != "latent_avg"
    }
    return loaded(config, rosinality.to_canonical({**tensors, "latent_avg": golden["latent_avg"]}, config, str(golden)))


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
    config = rosinality.generator_config(size=1024, style_dim=512, n_mlp=8, channel_multiplier=2, lr_mlp=0.01)
    ours = {foreign.name: list(foreign.shape) for foreign in rosinality.layout(config).values()}
    assert ours.pop("latent_avg") == [512]  # kept beside g_ema
    assert ours == need
    assert set(rosinality.layout(config)) == set(on_meta(config).state_dict())


def test_a_community_file_that_does_not_fit_is_refused_by_name():
    config = rosinality.generator_config(size=8, style_dim=4, n_mlp=1, channel_multiplier=1, lr_mlp=0.01)
    tensors = {foreign.name: torch.zeros(foreign.shape) for foreign in rosinality.layout(config).values()}
    assert set(rosinality.to_canonical(tensors, config, "f.pt")) == set(on_meta(config).state_dict())
    with pytest.raises(CheckpointError, match=r"f\.pt lacks the tensor convs\.0\.noise\.weight"):
        rosinality.to_canonical({k: v for k, v in tensors.items() if k != "convs.0.noise.weight"}, config, "f.pt")
    with pytest.raises(CheckpointError, match=r"f\.pt: style\.1\.bias has shape \[5\], but this generator needs \[4\]"):
        rosinality.to_canonical({**tensors, "style.1.bias": torch.zeros(5)}, config, "f.pt")
    with pytest.raises(CheckpointError, match="channel_multiplier 3"):
        rosinality.generator_config(size=8, style_dim=4, n_mlp=1, channel_multiplier=3, lr_mlp=0.01)
