"""What a person is told when something does not fit: where, what was found, what was needed, what to do."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable

import pytest
import torch
from client import Client, Rejected
from PIL import Image
from prompts import Prompts

from lga_core import Faces, Movement, load_motion, save_faces, save_movement
from lga_core.checkpoints.models import save_motion
from lga_core.domain import read_domain
from lga_core.latents import ModelId

STRANGER = ModelId("0123456789abcdef", "strangers")


def complaint(client: Client, prompt: dict) -> str:
    """Everything ComfyUI says of a prompt that cannot be run, at validation or at the node."""
    try:
        run = client.run(prompt)
    except Rejected as rejected:
        return re.sub(r"\s+", " ", str(rejected).encode().decode("unicode_escape"))
    assert run.end == "execution_error", "it ran"
    return run.error


@pytest.fixture(scope="module", autouse=True)
def files(server) -> None:
    """Files in the server's folders that are not what they should be, and some that are another domain's."""
    save_faces(server.base / "input/strangers.safetensors", Faces(torch.zeros(1, 12, 512), STRANGER))
    save_movement(server.base / "input/tall.safetensors", Movement(torch.zeros(1, 5, 18, 512), None))
    models = {kind: server.base / "models/lga" / kind for kind in ("generators", "motion", "encoders", "clip")}
    for folder in models.values():
        folder.mkdir(parents=True, exist_ok=True)
    own = load_motion(read_domain("doodle").files["motion"])
    save_motion(models["motion"] / "other clip.safetensors", own, clip_fingerprint="0" * 16, clip="ViT-B-32")
    whole = read_domain("doodle").files["generator"].read_bytes()
    (models["generators"] / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    (models["generators"] / "code.pkl").write_bytes(pickle.dumps({"G_ema": print}))
    (models["encoders"] / "words.safetensors").write_text("not tensors at all")


def with_inputs(prompt: dict, id_: str, **inputs: object) -> dict:
    return prompt | {id_: {**prompt[id_], "inputs": prompt[id_]["inputs"] | inputs}}


def of_another_generator(p: Prompts) -> dict:
    return p.clip() | {"face": p.node("LGA_LoadFaces", file="strangers.safetensors [input]")}


def for_another_size(p: Prompts) -> dict:
    return p.clip() | {"motion": p.node("LGA_LoadMotion", file="tall.safetensors [input]")}


def with_another_clip(p: Prompts) -> dict:
    loader = p.node("LGA_LoadMotionModel", motion_model="other clip.safetensors")
    text = p.node("LGA_EncodeText", clip=("domain", 2), motion_model=("loader", 0))
    return p.clip() | {"loader": loader, "text": text}


def shaped(p: Prompts, **inputs: object) -> dict:
    node = p.node("LGA_ShapeMotion", motion=("motion", 0), **inputs)
    return p.clip() | {"shaped": node, "frames": p.synthesize("domain", "face", "shaped")}


def generator_file(p: Prompts, name: str) -> dict:
    return (
        p.clip()
        | {"domain": p.node("LGA_LoadStyleGAN", generator=name), "rest": p.node("LGA_LoadDomain")}
        | {
            "text": p.node("LGA_EncodeText", clip=("rest", 2), motion_model=("rest", 3)),
            "motion": p.node("LGA_MotionRollout", motion_model=("rest", 3), text=("text", 0)),
        }
    )


def encoder_file(p: Prompts) -> dict:
    nodes = {"domain": p.node("LGA_LoadDomain"), "picture": p.node("LGA_DemoFace")}
    encoder = p.node("LGA_LoadEncoder", encoder="words.safetensors")
    found = p.node("LGA_InvertE4E", generator=("domain", 0), encoder=("encoder", 0), image=("picture", 0))
    return p.shown(nodes | {"encoder": encoder, "found": found}, "found", 1)


def no_face(p: Prompts, **inputs) -> dict:
    picture = {"domain": p.node("LGA_LoadDomain"), "photo": p.node("LGA_DemoPhoto")}
    return p.shown(picture | {"found": p.node("LGA_FindFaces", image=("photo", 0), **inputs)}, "found", 1)


CASES: dict[str, tuple[Callable[[Prompts], dict], list[str]]] = {
    "a face of another generator": (of_another_generator, ["strangers", "doodle", "0123456789abcdef"]),
    "a motion for another number of rows": (for_another_size, ["18 style vectors", "1024 px", "12", "128 px"]),
    "a CLIP that the motion model does not know": (with_another_clip, ["ViT-B-32", "doodle", "other clip"]),
    "a text without words": (lambda p: p.clip(text="  "), ["text is empty", "smiling"]),
    "unknown words only": (lambda p: p.clip(text="xqzzt"), ["xqzzt", "vocabulary"]),
    "a weight that is no number": (lambda p: p.clip(text="smiling: much"), ["much"]),
    "a template without a place": (lambda p: with_inputs(p.clip(), "text", template="A face."), ["A face.", "{}"]),
    "keyframes that cannot be read": (lambda p: shaped(p, keyframes="0:0, soon:1"), ["soon:1", "0:0"]),
    "two keyframes at one frame": (lambda p: shaped(p, keyframes="3:0, 3:1"), ["3:0", "3:1"]),
    "layers that cannot be read": (lambda p: shaped(p, layers="custom", custom_layers="4-x"), ["4-x", "4-7:1"]),
    "layers that are not there": (lambda p: shaped(p, layers="custom", custom_layers="30:1"), ["30", "11"]),
    "a model that is not there": (lambda p: generator_file(p, "ffhq.pt"), ["ffhq.pt", "models/lga/generators"]),
    "a saved face that is not there": (
        lambda p: p.clip() | {"face": p.node("LGA_LoadFaces", file="gone.safetensors [output]")},
        ["gone.safetensors", "output"],
    ),
    "a way out of the folder": (
        lambda p: p.clip() | {"face": p.node("LGA_LoadFaces", file="../comfyui.log [output]")},
        ["no saved file"],
    ),
    "half a file": (lambda p: generator_file(p, "half.safetensors"), ["half.safetensors"]),
    "code in place of weights": (lambda p: generator_file(p, "code.pkl"), ["code.pkl"]),
    "words in place of weights": (encoder_file, ["words.safetensors"]),
    "a face that is not there": (
        lambda p: no_face(p, generator=("domain", 0), which="left to right", index=7),
        ["Face 7", "3 faces"],
    ),
    "points that are none": (lambda p: no_face(p, finder="by hand", points="here and there"), ["points"]),
    "a number out of its range": (lambda p: with_inputs(p.clip(), "motion", frames=0), ["frames", "min of 1"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_person_is_told_of(case, client, prompts):
    make, words = CASES[case]
    said = complaint(client, make(prompts))
    assert not [word for word in words if word not in said], said


def test_a_text_that_is_far_from_all_that_was_trained_says_so_on_the_node_and_runs(client, prompts):
    run = client.run(prompts.clip(text="smiling\ndancing the tango"))
    assert run.ok, run.error
    assert any("tango" in text for _, text in run.texts)


def test_a_picture_that_is_no_face_is_called_poor_on_the_node_and_in_the_report(client, prompts, tmp_path):
    Image.effect_noise((96, 64), 90).save(tmp_path / "noise.png")
    nodes = {
        "domain": prompts.node("LGA_LoadDomain"),
        "picture": prompts.node("LoadImage", image=client.upload(tmp_path / "noise.png")),
        "found": prompts.node(
            "LGA_InvertE4E", generator=("domain", 0), encoder=("domain", 1), image=("picture", 0), refine_steps=2
        ),
        "report": prompts.node("PreviewAny", source=("found", 2)),
    }
    run = client.run(nodes)
    assert run.ok, run.error
    assert any("poor" in text for _, text in run.texts)
    assert "poor" in run.outputs["report"]["text"][0]


def test_the_server_goes_on_after_all_that(client, prompts):
    assert client.run(prompts.clip()).ok
