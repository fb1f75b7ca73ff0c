"""What the nodes ask of ComfyUI, and what they make of its answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from fake_comfyui import FakeComfyUI, Interrupted
from pack import CLASSES, call, core, host, inputs_of, run, same, saved, tensors

KINDS = ("generators", "encoders", "motion", "clip", "domains", "mappers", "mocogan")


@pytest.fixture
def comfyui(here, monkeypatch) -> FakeComfyUI:
    """A ComfyUI whose files lie in a folder other than the current one."""
    fake = FakeComfyUI(here / "base")
    for folder in ("models", "input", "output", "temp"):
        (fake.base / folder).mkdir(parents=True)
    fake.install(monkeypatch)
    host.register_folders()
    return fake


def put(*path: str | Path) -> Path:
    file = Path(*path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return file


def menu(id_: str) -> list[str]:
    return next(iter(inputs_of(id_).values()))[1]["options"]


def movement(at, frames: int = 7):
    return core.Movement(torch.zeros(1, frames, 6, 16), at.generator.identity)


# Folders


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_folder_lies_in_models_lga_and_lists_models_only(kind, comfyui):
    place = comfyui.base / "models/lga" / kind
    for name in ("a.safetensors", "b.json", "c.txt", "d.SAFETENSORS"):
        put(place, name)
    paths, suffixes = comfyui.folders[f"lga_{kind}"]
    assert paths[0] == str(place)
    assert suffixes
    assert host.model_files(kind) == (["b.json"] if kind == "domains" else ["a.safetensors", "d.SAFETENSORS"])
    assert host.model_path(kind, host.model_files(kind)[0]).parent == place


def test_folders_of_extra_model_paths_come_first_and_stay(here, monkeypatch):
    fake = FakeComfyUI(here)
    fake.folders["lga_clip"] = (["/mine/clip", "/yours/clip"], set())
    fake.folders["stylegan"] = (["/mine/stylegan"], set())
    fake.install(monkeypatch)
    for _ in range(2):  # a second time changes nothing
        host.register_folders()
        assert fake.folders["lga_clip"][0] == ["/mine/clip", "/yours/clip", str(here / "models/lga/clip")]
        assert ".safetensors" in fake.folders["lga_clip"][1]
        assert fake.folders["lga_generators"][0] == [
            str(here / "models/lga/generators"),
            "/mine/stylegan",
            str(here / "models/stylegan"),
        ]
        assert fake.folders["stylegan"] == (["/mine/stylegan"], set())


def test_generators_of_other_packs_are_shown_too(comfyui):
    file = put(comfyui.base, "models/stylegan/ffhq.safetensors")
    put(comfyui.base, "models/stylegan/with code.pkl")
    put(comfyui.base, "models/lga/generators/own.safetensors")
    assert menu("LGA_LoadStyleGAN")[1:] == ["ffhq.safetensors", "own.safetensors", "with code.pkl"]
    assert menu("LGA_LoadEncoder")[1:] == []
    assert host.model_path("generators", "ffhq.safetensors") == file
    assert CLASSES["LGA_LoadStyleGAN"].VALIDATE_INPUTS(generator="ffhq.safetensors") is True
    assert "own.safetensors" in CLASSES["LGA_LoadStyleGAN"].VALIDATE_INPUTS(generator="gone.pkl")


def test_models_are_loaded_from_comfyuis_folders(comfyui, models):
    shutil.copytree(models, comfyui.base / "models", dirs_exist_ok=True)
    assert menu("LGA_LoadDomain") == ["doodle (embedded)", "other/domain.json", "tiny/domain.json"]
    assert run("LGA_LoadDomain", domain="tiny/domain.json")[3].name == "tiny"
    assert run("LGA_LoadStyleGAN", generator="other.safetensors")[0].identity.name == "other"


def test_what_is_saved_lies_in_comfyuis_output_folder_and_is_found_there(comfyui, tiny, here):
    faces = tiny.faces()
    names = [saved("LGA_SaveFaces", faces=faces, filename_prefix="mine/face") for _ in range(2)]
    assert names == [f"lga/faces/mine/face_0000{number}_.safetensors [output]" for number in (1, 2)]
    assert sorted(menu("LGA_LoadFaces")) == names
    assert (comfyui.base / "output/lga/faces/mine/face_00001_.safetensors").is_file()
    assert same(run("LGA_LoadFaces", file=names[0])[0].ws, faces.ws)
    assert [entry.name for entry in here.iterdir()] == ["base"]


def test_a_preview_lies_in_comfyuis_temp_folder(comfyui, tiny):
    inputs = {"generator": tiny.generator, "faces": tiny.faces(), "motion": movement(tiny)}
    (file,) = call("LGA_PreviewMotion", **inputs)["ui"]["images"]
    assert file["type"] == "temp"
    assert (comfyui.base / "temp" / file["subfolder"] / file["filename"]).is_file()


# Devices


def jobs(at, image) -> dict[str, tuple[dict, list]]:
    """Of each node that works on a device: its inputs, and the models that must be there."""
    text, faces, motion = at.text(), at.faces(2), movement(at)
    drawing = {"generator": at.generator, "faces": faces, "motion": motion}
    return {
        "LGA_SampleFace": ({"generator": at.generator}, [at.generator]),
        "LGA_InvertE4E": (
            {"generator": at.generator, "encoder": at.encoder, "image": image, "refine_steps": 2},
            [at.generator, at.encoder],
        ),
        "LGA_EncodeText": ({"clip": at.clip, "motion_model": at.motion_model, "image": image}, [at.clip]),
        "LGA_MotionRollout": ({"motion_model": at.motion_model, "text": text}, [at.motion_model]),
        "LGA_ChainExpressions": ({"motion_model": at.motion_model, "text": text}, [at.motion_model]),
        "LGA_SynthesizeFrames": (drawing, [at.generator]),
        "LGA_PreviewMotion": (drawing, [at.generator]),
    }


JOBS = (
    *("LGA_SampleFace", "LGA_InvertE4E", "LGA_EncodeText", "LGA_MotionRollout", "LGA_ChainExpressions"),
    *("LGA_SynthesizeFrames", "LGA_PreviewMotion"),
)


@pytest.mark.parametrize("id_", JOBS)
def test_a_model_that_works_was_given_to_comfyui_each_time_and_is_one_to_it(id_, comfyui, tiny, pictures):
    inputs, needed = jobs(tiny, pictures)[id_]
    seen = []
    for _ in range(2):
        comfyui.loads.clear()
        run(id_, **inputs)
        seen.append([patcher for patchers, _ in comfyui.loads for patcher in patchers])
        assert {id(patcher.model) for patcher in seen[-1]} == {id(part.model.module) for part in needed}
    assert all(a is b for a, b in zip(*seen, strict=True))
    assert len(comfyui.loads) == 1  # together, or one would push the other off the card


@pytest.mark.parametrize("id_", [id_ for id_ in JOBS if id_ != "LGA_PreviewMotion"])
def test_results_are_kept_where_comfyui_wants_them(id_, comfyui, tiny, pictures):
    inputs, _ = jobs(tiny, pictures)[id_]
    comfyui.keeps_results_on = torch.device("meta")
    for value in run(id_, **inputs):
        assert all(tensor.device.type == "meta" for tensor in tensors(value))


def test_where_memory_is_short_fewer_frames_are_drawn_at_once(comfyui, tiny):
    inputs = {"generator": tiny.generator, "faces": tiny.faces(), "motion": movement(tiny, 40)}
    steps = []
    for comfyui.free in (1e9, 3e5, 0):
        comfyui.bars.clear()
        run("LGA_SynthesizeFrames", **inputs)
        (bar,) = comfyui.bars
        assert bar.updates[-1] == bar.total == 40
        steps.append(len(bar.updates))
    assert steps[0] < steps[1] <= steps[2] == 40


# Progress, Cancel and messages


@pytest.mark.parametrize("layout", ["grid", "one after another"])
def test_the_progress_of_a_clip_counts_to_its_frames_with_a_picture_at_each_step(layout, comfyui, tiny):
    inputs = {"generator": tiny.generator, "faces": tiny.faces(3), "motion": movement(tiny), "layout": layout}
    comfyui.free = 0
    bar = progress(comfyui, "LGA_SynthesizeFrames", **inputs)
    assert bar.updates == list(range(1, 8 if layout == "grid" else 22))
    for kind, picture, size in bar.previews:
        assert kind == "JPEG"
        assert picture.size == ((32, 32) if layout == "grid" else (16, 16))
        assert size > 100


def test_the_progress_of_a_preview_counts_its_pictures(comfyui, tiny):
    inputs = {"generator": tiny.generator, "faces": tiny.faces(2), "motion": movement(tiny, 30)}
    assert progress(comfyui, "LGA_PreviewMotion", **inputs).total == 8


def test_the_progress_of_samples_counts_the_faces(comfyui, tiny):
    assert progress(comfyui, "LGA_SampleFace", generator=tiny.generator, batch_size=3).updates == [1, 2, 3]


@pytest.mark.parametrize("steps", [0, 3])
def test_the_progress_of_an_inversion_counts_its_steps_and_shows_the_face(steps, comfyui, tiny, pictures):
    inputs = {"generator": tiny.generator, "encoder": tiny.encoder, "image": pictures, "refine_steps": steps}
    bar = progress(comfyui, "LGA_InvertE4E", **inputs)
    assert bar.total >= 2 * (steps + 1)
    assert len(bar.updates) == bar.total
    assert sum(preview is not None for preview in bar.previews) >= 2 * steps


def progress(comfyui: FakeComfyUI, id_: str, **inputs):
    """The one progress bar of a node, which went up to its end."""
    comfyui.bars.clear()
    run(id_, **inputs)
    (bar,) = comfyui.bars
    assert bar.updates == sorted(set(bar.updates))
    assert bar.updates[-1] == bar.total
    return bar


@pytest.fixture
def draws(tiny, monkeypatch) -> list[int]:
    """How many faces were drawn in each call of the synthesis, be it by the engine or with gradients."""
    synthesis, engine, counts = tiny.generator.model.module.synthesis, core.stylegan2.inference.Engine.__call__, []
    draw = synthesis.forward
    monkeypatch.setattr(synthesis, "forward", lambda ws: counts.append(len(ws)) or draw(ws))
    monkeypatch.setattr(
        core.stylegan2.inference.Engine, "__call__", lambda self, ws: counts.append(len(ws)) or engine(self, ws)
    )
    return counts


def cancelled(comfyui: FakeComfyUI, draws: list[int], after: int, id_: str, **inputs) -> int:
    """How often a node drew, cancelled after so many steps."""
    comfyui.bars.clear()
    draws.clear()
    comfyui.cancel_after = after
    with pytest.raises(Interrupted):
        run(id_, **inputs)
    comfyui.cancel_after = None
    return len(draws)


def test_cancel_ends_a_clip_before_another_chunk_is_drawn(comfyui, tiny, draws):
    inputs = {"generator": tiny.generator, "faces": tiny.faces(), "motion": movement(tiny, 40)}
    comfyui.free = 0
    assert cancelled(comfyui, draws, 3, "LGA_SynthesizeFrames", **inputs) == 4
    assert draws == [1] * 4
    assert len(run("LGA_SynthesizeFrames", **inputs)[0]) == 40


def test_cancel_ends_whatever_else_draws(comfyui, tiny, draws, pictures):
    inputs = {"generator": tiny.generator, "faces": tiny.faces(), "motion": movement(tiny)}
    assert cancelled(comfyui, draws, 2, "LGA_PreviewMotion", **inputs) == 3
    assert cancelled(comfyui, draws, 2, "LGA_SampleFace", generator=tiny.generator, batch_size=9) == 3
    inputs = {"generator": tiny.generator, "encoder": tiny.encoder, "image": pictures, "refine_steps": 100}
    assert cancelled(comfyui, draws, 5, "LGA_InvertE4E", **inputs) < 10


def test_messages_appear_on_the_node_that_gives_them(comfyui, tiny, pictures):
    text = {"clip": tiny.clip, "motion_model": tiny.motion_model}
    run("LGA_EncodeText", **text, text="smiling", node="7")
    run("LGA_EncodeText", **text, text="smiling wumpus", node="8")
    report = run("LGA_InvertE4E", generator=tiny.generator, encoder=tiny.encoder, image=pictures, node="9")[2]
    run("LGA_SaveFaces", faces=tiny.faces(), node="10")
    said = {node: message for message, node in comfyui.texts}
    assert len(comfyui.texts) == 4
    assert said["7"] == "The cartoon face is smiling."
    assert said["8"].count("'wumpus'") == 1
    assert said["9"] == report
    assert said["10"] == "Saved lga/faces/face_00001_.safetensors"


def test_a_comfyui_that_shows_no_messages_is_no_error(comfyui, tiny):
    import server

    del server.PromptServer.instance.send_progress_text
    run("LGA_SaveFaces", faces=tiny.faces(), node="1")
    del server.PromptServer.instance
    run("LGA_SaveFaces", faces=tiny.faces(), node="1")
    assert not comfyui.texts
