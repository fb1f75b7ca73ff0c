"""Loaders, and what is saved and loaded again: what menus show, what is said of a file that is not there or damaged."""

from __future__ import annotations

import os
import re
import shutil

import pytest
import torch
from foreign_files import writers
from pack import CLASSES, core, inputs_of, run, same, saved, tensors

from lga_core import GeneratorConfig

EMBEDDED = "doodle (embedded)"
LOADERS = {  # id -> its input, the folder of models/lga/, which part of a domain it gives
    "LGA_LoadStyleGAN": ("generator", "generators", "generator"),
    "LGA_LoadEncoder": ("encoder", "encoders", "encoder"),
    "LGA_LoadCLIP": ("clip", "clip", "clip"),
    "LGA_LoadMotionModel": ("motion_model", "motion", "motion_model"),
}
MENUS = LOADERS | {"LGA_LoadDomain": ("domain", "domains", None)}
every_loader = pytest.mark.parametrize("id_", LOADERS)
every_menu = pytest.mark.parametrize("id_", MENUS)


def menu(id_: str) -> list[str]:
    return next(iter(inputs_of(id_).values()))[1]["options"]


def said_by(loaded) -> list:
    """What is known of a model besides its weights."""
    card = getattr(loaded, "card", None)
    known = [getattr(loaded, name, None) for name in ("identity", "name", "made_for")]
    return known + [getattr(card, name, None) for name in ("wording", "generator", "clip")]


def later(file) -> None:
    """Gives a file another time of its last change."""
    state = file.stat()
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 1_000_000))


@every_menu
def test_a_menu_shows_the_embedded_domain_first_and_then_the_files(id_, with_models):
    ending = "/domain.json" if id_ == "LGA_LoadDomain" else ".safetensors"
    assert menu(id_) == [EMBEDDED, f"other{ending}", f"tiny{ending}"]


@every_menu
def test_a_menu_shows_files_that_can_be_models_only_and_those_in_folders_too(id_, here):
    _, folder, _ = MENUS[id_]
    place = here / "models/lga" / folder / "mine"
    place.mkdir(parents=True)
    for name in ("a.safetensors", "b.pt", "c.pth", "d.pkl", "e.bin", "f.txt", "g.json", "readme.md", "put_here"):
        (place / name).touch()
    shown = ["g.json"] if folder == "domains" else ["a.safetensors", "b.pt", "c.pth", "d.pkl", "e.bin"]
    assert [name.rpartition("/")[2] for name in menu(id_)[1:]] == shown
    assert all(name.startswith("mine/") for name in menu(id_)[1:])


@every_loader
def test_the_embedded_part_is_the_embedded_domains(id_, doodle):
    name, _, part = LOADERS[id_]
    (loaded,) = run(id_, **{name: EMBEDDED})
    assert all(map(same, tensors(loaded), tensors(getattr(doodle, part))))
    assert said_by(loaded) == said_by(getattr(doodle, part))


@every_loader
def test_a_file_is_as_good_as_the_domain_it_comes_from(id_, tiny, with_models):
    name, _, part = LOADERS[id_]
    (loaded,) = run(id_, **{name: "tiny.safetensors"})
    assert all(map(same, tensors(loaded), tensors(getattr(tiny, part))))
    assert said_by(loaded) == said_by(getattr(tiny, part))


@every_menu
def test_a_model_that_is_not_there_is_named_with_its_folder_before_the_run(id_, with_models):
    name, folder, _ = MENUS[id_]
    said = CLASSES[id_].VALIDATE_INPUTS(**{name: "ffhq.pt"})
    for words in ("'ffhq.pt'", f"models/lga/{folder}", f"lga_{folder}", "extra_model_paths.yaml", "tiny"):
        assert words in said
    assert all(CLASSES[id_].VALIDATE_INPUTS(**{name: entry}) is True for entry in menu(id_))


@every_menu
def test_an_empty_folder_says_what_it_could_hold(id_):
    name, folder, _ = MENUS[id_]
    kinds = ".json" if folder == "domains" else ".bin, .pkl, .pt, .pth, .safetensors"
    said = CLASSES[id_].VALIDATE_INPUTS(**{name: "ffhq.pt"})
    assert f"holds no {kinds} file" in said
    with pytest.raises(core.InputError, match="There is no 'ffhq.pt'"):
        run(id_, **{name: "ffhq.pt"})


@every_menu
def test_a_menu_that_is_fed_by_a_link_is_not_checked_before_the_run(id_):
    """ComfyUI asks with None where it does not know the value yet."""
    assert CLASSES[id_].VALIDATE_INPUTS(**{MENUS[id_][0]: None}) is True


@every_menu
def test_what_a_video_keeps_of_a_files_state_names_no_folder(id_, with_models):
    """ComfyUI writes IS_CHANGED into the videos that it saves."""
    inputs = dict.fromkeys(inputs_of(id_)) | {MENUS[id_][0]: menu(id_)[-1]}
    assert re.fullmatch(r"[0-9a-f]{64}", CLASSES[id_].IS_CHANGED(**inputs))


@pytest.mark.parametrize(
    ("id_", "name"),
    [("LGA_ShapeMotion", "keyframes"), ("LGA_EncodeText", "template"), ("LGA_LoadFaces", "file")]
    + [("LGA_LoadMotion", "file")],
)
def test_a_field_that_is_fed_by_a_link_is_not_checked_before_the_run(id_, name):
    assert CLASSES[id_].VALIDATE_INPUTS(**{name: None}) is True


@every_loader
def test_a_damaged_file_is_named(id_, here):
    name, folder, _ = LOADERS[id_]
    place = here / "models/lga" / folder
    place.mkdir(parents=True)
    (place / "bad.safetensors").write_text("not tensors at all")
    with pytest.raises(core.CheckpointError, match="bad.safetensors"):
        run(id_, **{name: "bad.safetensors"})


@every_loader
def test_a_file_of_another_kind_is_named(id_, here, models):
    name, folder, _ = LOADERS[id_]
    place = here / "models/lga" / folder
    place.mkdir(parents=True)
    wrong = "clip" if folder != "clip" else "motion"
    shutil.copy(models / "lga" / wrong / "tiny.safetensors", place / "wrong.safetensors")
    with pytest.raises(core.CheckpointError, match="wrong.safetensors"):
        run(id_, **{name: "wrong.safetensors"})


def test_the_embedded_clip_has_no_other_architecture():
    with pytest.raises(core.InputError, match="not RN50. Choose 'from the file'"):
        run("LGA_LoadCLIP", clip=EMBEDDED, architecture="RN50")


@every_loader
def test_another_file_under_the_same_name_is_loaded_anew(id_, here, models):
    name, folder, _ = LOADERS[id_]
    shutil.copytree(models, here / "models")
    inputs = {key: "tiny.safetensors" if key == name else "from the file" for key in inputs_of(id_)}
    states = [CLASSES[id_].IS_CHANGED(**inputs) for _ in range(2)]
    later(here / "models/lga" / folder / "tiny.safetensors")
    states.append(CLASSES[id_].IS_CHANGED(**inputs))
    (here / "models/lga" / folder / "tiny.safetensors").write_text("shorter")
    states.append(CLASSES[id_].IS_CHANGED(**inputs))
    assert states[0] == states[1]
    assert len(set(states)) == 3


@pytest.mark.parametrize("part", ["generators", "encoders", "clip", "motion", "domains"])
def test_a_domain_is_loaded_anew_when_any_of_its_files_changes(part, here, models):
    shutil.copytree(models, here / "models")
    state = CLASSES["LGA_LoadDomain"].IS_CHANGED(domain="tiny/domain.json")
    assert CLASSES["LGA_LoadDomain"].IS_CHANGED(domain="tiny/domain.json") == state
    name = "tiny/domain.json" if part == "domains" else "tiny.safetensors"
    later(here / "models/lga" / part / name)
    assert CLASSES["LGA_LoadDomain"].IS_CHANGED(domain="tiny/domain.json") != state


# Saved and loaded again


def test_a_saved_face_is_the_same_when_it_is_loaded(tiny):
    faces = tiny.faces(3)
    (again,) = run("LGA_LoadFaces", file=saved("LGA_SaveFaces", faces=faces))
    assert same(again.ws, faces.ws)
    assert again.generator == faces.generator


def test_a_saved_motion_is_the_same_when_it_is_loaded(tiny, pictures):
    motion = tiny.motion(image=pictures)
    (again,) = run("LGA_LoadMotion", file=saved("LGA_SaveMotion", motion=motion))
    assert same(again.offsets, motion.offsets)
    assert again.generator == motion.generator


def test_a_motion_of_an_unknown_generator_stays_so(tiny):
    motion = core.Movement(torch.ones(1, 2, 6, 16), None)
    (again,) = run("LGA_LoadMotion", file=saved("LGA_SaveMotion", motion=motion))
    assert again.generator is None


def test_menus_show_what_was_saved_the_newest_first_each_kind_in_its_own(tiny, here):
    faces = [saved("LGA_SaveFaces", faces=tiny.faces(), filename_prefix=name) for name in ("b", "a", "c/d")]
    motion = saved("LGA_SaveMotion", motion=tiny.motion())
    for number, name in enumerate(faces):
        os.utime(here / "output" / name.removesuffix(" [output]"), (number, number))
    assert menu("LGA_LoadFaces") == faces[::-1]
    assert menu("LGA_LoadMotion") == [motion]


def test_files_in_the_input_folder_are_shown_and_loaded_too(tiny, here):
    file = here / "output" / saved("LGA_SaveFaces", faces=tiny.faces()).removesuffix(" [output]")
    (here / "input").mkdir(exist_ok=True)
    file.rename(here / "input/mine.safetensors")
    (here / "input/words.safetensors").write_text("not tensors at all")
    assert menu("LGA_LoadFaces") == ["mine.safetensors [input]"]
    assert same(run("LGA_LoadFaces", file="mine.safetensors [input]")[0].ws, tiny.faces().ws)


def test_no_saved_file_is_ever_written_over(tiny, here):
    names = [saved("LGA_SaveFaces", faces=tiny.faces()) for _ in range(3)]
    assert len(set(names)) == 3
    (here / "output" / names[0].removesuffix(" [output]")).unlink()
    assert saved("LGA_SaveFaces", faces=tiny.faces()) not in names[1:]


@pytest.mark.parametrize("id_", ["LGA_LoadFaces", "LGA_LoadMotion"])
@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("gone.safetensors [output]", "no saved file 'gone.safetensors' in ComfyUI's output folder"),
        ("gone.safetensors", "no saved file 'gone.safetensors' in ComfyUI's input folder"),
        ("../secret.safetensors [input]", "no saved file"),
        ("gone.safetensors [temp]", "no saved file"),
    ],
)
def test_a_saved_file_that_is_not_there_is_named_before_the_run(id_, file, said, here):
    (here / "secret.safetensors").touch()
    assert said in CLASSES[id_].VALIDATE_INPUTS(file=file)


def test_a_face_file_is_no_motion_file(tiny):
    file = saved("LGA_SaveFaces", faces=tiny.faces())
    with pytest.raises(core.CheckpointError, match="face_00001_.safetensors"):
        run("LGA_LoadMotion", file=file)


@pytest.mark.parametrize("id_", ["LGA_LoadFaces", "LGA_LoadMotion"])
def test_a_saved_file_that_changes_is_loaded_anew(id_, tiny, here):
    save = {"LGA_LoadFaces": ("LGA_SaveFaces", {"faces": tiny.faces()})}
    save |= {"LGA_LoadMotion": ("LGA_SaveMotion", {"motion": tiny.motion()})}
    name = saved(save[id_][0], **save[id_][1])
    state = CLASSES[id_].IS_CHANGED(file=name)
    assert CLASSES[id_].IS_CHANGED(file=name) == state
    later(here / "output" / name.removesuffix(" [output]"))
    assert CLASSES[id_].IS_CHANGED(file=name) != state


def test_a_generator_of_another_project_is_converted_once_and_draws_the_same(here, caplog):
    config = GeneratorConfig(16, z_dim=16, w_dim=16, channel_base=128, channel_max=8, mapping_layers=2)
    source, place = writers.random_generator(config, 3), here / "models/lga/generators"
    place.mkdir(parents=True)
    writers.write_rosinality(place / "mine.pt", source)
    caplog.set_level("INFO")
    for _ in range(2):
        (loaded,) = run("LGA_LoadStyleGAN", generator="mine.pt")
    said = [record.message for record in caplog.records if "Converting mine.pt" in record.message]
    assert len(said) == 1
    assert [file.suffix for file in (here / "models/lga/converted").iterdir()] == [".safetensors"]
    ws = torch.randn(1, 6, 16)
    with torch.no_grad():
        assert torch.equal(loaded.model.module.synthesis(ws), source.synthesis(ws))


def test_codes_of_another_project_are_faces(here):
    (here / "input").mkdir()
    ws = torch.randn(2, 8, 16)
    torch.save(ws, here / "input/codes.pt")
    assert "codes.pt [input]" in menu("LGA_LoadFaces")
    (faces,) = run("LGA_LoadFaces", file="codes.pt [input]")
    assert same(faces.ws, ws) and faces.generator is None
