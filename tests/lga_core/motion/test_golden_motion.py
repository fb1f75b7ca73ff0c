"""The motion model, variant `official`, equals the authors' published code."""

import re

import pytest
import torch

from lga_core import MotionConfig, MotionModel

OFFICIAL = {  # our names -> those of the reference code
    r"recurrent\.(fc\d)": r"\1",
    r"mapper\.motion\.(\d)": lambda match: f"t_mapper.{int(match[1]) + 1}",  # its index 0 is the normalisation
    r"mapper\.visual\.(\d)": lambda match: f"v_mapper.{int(match[1]) + 1}",
}


def official_name(name: str) -> str:
    for ours, theirs in OFFICIAL.items():
        name = re.sub(f"^{ours}", theirs, name)
    return name


def built(golden, parts: tuple[str, ...], **sizes) -> MotionModel:
    """The model of these sizes with the file's weights in the named parts."""
    with torch.device("meta"):
        model = MotionModel(MotionConfig.official(**sizes))
    state = {
        name: golden.parameter(official_name(name), tensor.shape)
        for name, tensor in model.state_dict().items()
        if name.startswith(parts)
    }
    model.load_state_dict(state, strict=False, assign=True)
    return model.requires_grad_(False)


def total_over_four_frames(w_residual: float) -> float:
    return 3 * w_residual  # r = 4 w / N, three steps of it at N = 4


@pytest.mark.golden("recurrent motion generator")
def test_the_recurrence_is_the_reference(golden):
    arguments = golden.json("constructor")
    model = built(
        golden,
        ("recurrent",),
        code_dim=arguments["z_dim"],
        hidden_dim=arguments["h_dim"],
        schedule_sum=total_over_four_frames(arguments["w_residual"]),
        num_ws=2,
    )
    checked = 0
    for name in golden.names:
        if match := re.fullmatch(r"(?:train|inference_(?P<schedule>\w+))_n(?P<n>\d+)", name):
            codes = model.rollout(golden["z"], int(match["n"]), golden["h_init"], match["schedule"] or "const")
            offsets = codes - codes[:, :1]
            golden.check(name, offsets[:, golden[f"frames_n{match['n']}"]])
            checked += 1
    assert checked


@pytest.mark.golden("W+ mappers")
def test_the_mappers_are_the_reference(golden):
    shapes, rows = golden.json("names"), int(golden.metadata["num_layers"])
    mapper_dim, code_dim = shapes["t_mapper.1.weight"]
    w_dim = shapes["t_mapper.3.weight"][0] // rows
    model = built(golden, ("mapper",), code_dim=code_dim, mapper_dim=mapper_dim, num_ws=rows, w_dim=w_dim)
    state = {official_name(name): list(tensor.shape) for name, tensor in model.state_dict().items()}
    assert {name: shape for name, shape in state.items() if "mapper" in name} == shapes
    golden.check("vis_wplus", model.visual(golden["vis"]))
    golden.check("txt_dwplus", model.mapper.motion(golden["txt"]))


@pytest.mark.golden("joined path")
def test_the_whole_model_is_the_reference(golden):
    arguments, num_frames = golden.json("constructor"), int(golden.metadata["n_frames"])
    model = built(
        golden,
        ("recurrent", "mapper"),
        code_dim=arguments["embed_dim"],
        hidden_dim=arguments["h_dim"],
        schedule_sum=total_over_four_frames(arguments["w_residual"]),
        num_ws=golden["img_ws"].shape[1],
        w_dim=golden["img_ws"].shape[2],
    )
    schedule = golden.metadata["choice"] if golden.metadata["is_inference"] == "true" else "const"
    text, image, h0 = golden["text_features"], golden["image_features"], golden["h_init"]

    codes = model.rollout(text + image, num_frames, h0, schedule)
    golden.check("motion", (codes - codes[:, :1])[:, [0, 1, num_frames - 1]])
    golden.check("img_ws", model.visual(image))
    golden.check("delta_wplus_first_last", model.offsets(codes)[:, [0, num_frames - 1]])
    motion = model(text, image, num_frames, h0=h0, schedule=schedule)
    golden.check("edited_wplus_last_no_latent", motion[:, -1])
