"""The baselines equal their published code: StyleCLIP's optimisation and latent mapper, MoCoGAN-HD's motion."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from golden_rule import u1
from torch.testing import assert_close

from lga_core.baselines.mocogan_hd import MocoganMotion
from lga_core.baselines.styleclip.latent_mapper import LatentMapper
from lga_core.baselines.styleclip.latent_optimization import (
    OPTIMIZATIONS,
    LatentOptimization,
    clip_input,
    latent_distance,
    learning_rate,
)
from lga_core.checkpoints.conversion import as_native, open_foreign
from lga_core.checkpoints.models import load_latent_mapper
from lga_core.stylegan2.pca import PrincipalComponents

SCHEDULE = r"lr_(?P<lr>[\d.]+)_down(?P<rampdown>[\d.]+)_up(?P<rampup>[\d.]+)_steps(?P<steps>\d+)"


@pytest.mark.golden("StyleCLIP latent optimisation learning-rate")
def test_the_learning_rate_is_styleclips(golden):
    for name in golden.names:
        fields = re.fullmatch(SCHEDULE, name).groupdict()
        steps = int(fields.pop("steps"))
        settings = LatentOptimization(steps=steps, **{key: float(value) for key, value in fields.items()})
        residual_schedule = torch.tensor([learning_rate(step, settings) for step in range(steps)], dtype=torch.float64)
        assert_close(residual_schedule, golden[name], atol=float(golden.metadata["tolerance"]), rtol=0)


@pytest.mark.golden("StyleCLIP latent optimisation learning-rate")
def test_every_preset_has_the_published_schedule(golden):
    published = "lr_{0.lr}_down{0.rampdown}_up{0.rampup}_steps{0.steps}"
    if golden.names == ["lr_0.1_down0.25_up0.05_steps300"]:
        assert {published.format(preset) for preset in OPTIMIZATIONS.values()} == set(golden.names)


@pytest.mark.golden("StyleCLIP optimisation pieces")
def test_clip_sees_what_styleclips_clip_sees(golden):
    size = int(golden.metadata["generator_size"])
    small = golden["small"]
    noise = u1(golden.rule_name("noise"), (*small.shape[:2], size, size), 0, 1, golden.k)
    image = F.interpolate(small, (size, size), mode="bilinear", align_corners=False) + 0.2 * noise
    golden.check("clip_input_every8", clip_input(image)[:, :, ::8, ::8])


@pytest.mark.golden("StyleCLIP optimisation pieces")
def test_the_latent_distance_is_styleclips(golden):
    distance = latent_distance(golden["w1"], golden["w0"])
    assert_close(distance.sum(), golden["l2"], atol=0, rtol=golden.tolerance("l2")["rtol"] or 1e-5)


def mapper_of(golden, names: list[str], width: int, folder: Path) -> LatentMapper:
    """The mapper with the file's weights, opened as users open what StyleCLIP's trainer writes."""
    state = {}
    for name in names:
        shape = (width, width) if name.endswith("weight") else (width,)
        state[f"mapper.{name}"] = golden.parameter(name, shape)
    torch.save({"state_dict": state}, folder / "mapper.pt")
    return load_latent_mapper(as_native(folder / "mapper.pt", "latent_mapper", folder / "converted"))


@pytest.mark.golden("StyleCLIP latent mappers")
def test_the_latent_mappers_are_styleclips(golden, tmp_path):
    ws = golden["wplus"]
    for kind in ("levels", "single"):
        if kind in golden:
            golden.check(kind, mapper_of(golden, golden.json(f"names_{kind}"), ws.shape[2], tmp_path)(ws))


@pytest.mark.golden("StyleCLIP latent mappers")
def test_the_last_frame_is_styleclips_edit(golden, tmp_path):
    ws = golden["wplus"]
    motion = mapper_of(golden, golden.json("names_levels"), ws.shape[2], tmp_path).motion(ws, 5)
    golden.check("edited_levels", ws + motion[:, -1])


@pytest.mark.golden("MoCoGAN-HD motion generator")
def test_the_motion_generator_is_mocogan_hds(golden, tmp_path):
    names, sizes = golden.json("names"), golden.json("constructor")
    torch.save({name: golden.parameter(name, shape) for name, shape in names.items()}, tmp_path / "modelR.pth")
    (product,) = open_foreign(tmp_path / "modelR.pth")
    found = product.config
    assert (found.w_dim, found.hidden_dim, found.num_directions) == (sizes["z_dim"], sizes["h_dim"], sizes["n_pca"])
    model = MocoganMotion(replace(found, step_size=sizes["w_residual"]))  # the only one that no file tells
    model.load_state_dict(product.tensors)

    width, num_frames = sizes["z_dim"], int(golden.metadata["n_frames"])
    rows, batch = int(golden.metadata["pca_rows_in_file"]), int(golden.metadata["batch"])
    pca = PrincipalComponents(golden.input("pca_comp", (rows, width)), golden.input("pca_stdev", (rows,)))
    z, noise = golden.input("z", (batch, width)), golden.input("eps", (num_frames - 1, batch, width))
    way, reconstructed = model.requires_grad_(False).rollout(z, noise.transpose(0, 1), pca)
    frames = range(num_frames) if golden["out"].shape[1] == num_frames else [0, 1, num_frames // 2, num_frames - 1]
    golden.check("out", way[:, frames])
    golden.check("e_rec", reconstructed.flatten(0, 1)[: len(golden["e_rec"])])
