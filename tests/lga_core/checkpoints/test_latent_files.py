"""Faces and movements: saved and loaded again, and what is said where they do not fit."""

import pytest
import torch

from lga_core import (
    CheckpointError,
    Faces,
    Generator,
    GeneratorConfig,
    MismatchError,
    Movement,
    load_faces,
    load_movement,
    save_faces,
    save_movement,
)
from lga_core.checkpoints.models import save_generator
from lga_core.formats.header import read_metadata
from lga_core.formats.native import save_checkpoint
from lga_core.latents import ModelId

OWN, OTHER = ModelId("0123456789abcdef", "doodle"), ModelId("fedcba9876543210", "horses")


@pytest.fixture
def faces(rng):
    return Faces(rng.randn(3, 6, 8).float(), OWN)


@pytest.fixture
def movement(rng):
    return Movement(rng.randn(1, 5, 6, 8).float(), OWN)


def test_faces_are_the_same_when_they_are_loaded_again(faces, tmp_path):
    save_faces(tmp_path / "a.safetensors", faces, note="mine")
    again = load_faces(tmp_path / "a.safetensors")
    assert torch.equal(again.ws, faces.ws)
    assert again.generator == OWN
    assert read_metadata(tmp_path / "a.safetensors", "faces")["note"] == "mine"


@pytest.mark.parametrize("owner", [OWN, None])
def test_a_movement_is_the_same_when_it_is_loaded_again(movement, tmp_path, owner):
    save_movement(tmp_path / "a.safetensors", Movement(movement.offsets, owner))
    again = load_movement(tmp_path / "a.safetensors")
    assert torch.equal(again.offsets, movement.offsets)
    assert again.generator == owner
    assert again.num_frames == 5


def test_what_is_loaded_is_in_full_precision_however_it_was_saved(movement, tmp_path):
    save_movement(tmp_path / "a.safetensors", Movement(movement.offsets.half(), OWN))
    again = load_movement(tmp_path / "a.safetensors").offsets
    assert again.dtype == torch.float32
    assert torch.equal(again, movement.offsets.half().float())


def test_a_movement_is_widened_by_styles_that_do_not_move_where_both_are_of_one_generator(movement, rng):
    wide = Movement(rng.randn(1, 5, 6, 11).float(), ModelId(OWN.fingerprint, "the same by another name"))
    widened = movement.as_wide_as(wide)
    assert torch.equal(widened.offsets[..., :8], movement.offsets)
    assert widened.offsets.shape[-1] == 11 and not widened.offsets[..., 8:].any()
    assert wide.as_wide_as(movement) is wide
    for owner in (OTHER, None):
        assert movement.as_wide_as(Movement(wide.offsets, owner)) is movement
    for owner in (OWN, None):
        unsigned = Movement(movement.offsets, None)
        assert unsigned.as_wide_as(Movement(wide.offsets, owner)) is unsigned


def test_others_can_be_put_in_place_of_ws_and_offsets(faces, movement):
    assert faces.with_ws(faces.ws[:1]).ws.shape == (1, 6, 8)
    assert faces.with_ws(faces.ws[:1]).generator == OWN
    assert movement.with_offsets(movement.offsets[:, :2]).num_frames == 2
    assert movement.with_offsets(movement.offsets[:, :2]).generator == OWN


@pytest.mark.parametrize("load", [load_faces, load_movement])
def test_a_file_of_another_kind_is_refused_by_name(load, faces, movement, tmp_path):
    save_generator(tmp_path / "generator.safetensors", Generator(GeneratorConfig(16, 8, w_dim=8, channel_max=8)))
    save_faces(tmp_path / "faces.safetensors", faces)
    save_movement(tmp_path / "movement.safetensors", movement)
    wrong = {"generator", "faces", "movement"} - {load.__name__.removeprefix("load_")}
    for name in wrong:
        with pytest.raises(CheckpointError, match=f"{name}.safetensors"):
            load(tmp_path / f"{name}.safetensors")
    with pytest.raises(CheckpointError, match="absent.safetensors"):
        load(tmp_path / "absent.safetensors")


MARK = {"generator_fingerprint": OWN.fingerprint, "generator": OWN.name}


@pytest.mark.parametrize(
    ("tensors", "found"),
    [
        ({"other": torch.zeros(1, 6, 8)}, "holds none"),
        ({"faces": torch.zeros(6, 8)}, r"shape \[6, 8\]"),
        ({"faces": torch.zeros(1, 5, 8)}, r"shape \[1, 5, 8\]"),
        ({"faces": torch.zeros(1, 6, 9)}, r"shape \[1, 6, 9\]"),
        ({"faces": torch.zeros(0, 6, 8)}, r"shape \[0, 6, 8\]"),
        ({"faces": torch.zeros(1, 2, 6, 8)}, r"shape \[1, 2, 6, 8\]"),
    ],
)
def test_a_file_without_the_tensor_it_promises_says_what_it_holds(tensors, found, tmp_path):
    save_checkpoint(tmp_path / "a.safetensors", "faces", tensors, {"num_ws": 6, "w_dim": 8}, **MARK)
    with pytest.raises(CheckpointError, match=rf"a.safetensors: .*3 axes .* \(6, 8\) .*{found}.*again"):
        load_faces(tmp_path / "a.safetensors")


def test_a_movement_of_no_frames_is_refused(tmp_path):
    save_checkpoint(
        tmp_path / "a.safetensors", "movement", {"movement": torch.zeros(1, 0, 6, 8)}, {"num_ws": 6, "w_dim": 8}
    )
    with pytest.raises(CheckpointError, match="4 axes"):
        load_movement(tmp_path / "a.safetensors")


def test_faces_that_do_not_say_whose_they_are_are_checked_by_their_size(tmp_path):
    save_checkpoint(tmp_path / "a.safetensors", "faces", {"faces": torch.zeros(1, 6, 8)}, {"num_ws": 6, "w_dim": 8})
    faces = load_faces(tmp_path / "a.safetensors")
    assert faces.generator is None
    faces.check_drawable(ModelId("0" * 16, "any"), 6)
    with pytest.raises(MismatchError, match="6 style vectors"):
        faces.check_drawable(ModelId("0" * 16, "any"), 8)


def test_codes_of_other_projects_are_faces_too(tmp_path):
    ws = torch.randn(2, 6, 8)
    torch.save({"a.jpg": ws[0], "b.jpg": ws[1]}, tmp_path / "codes.pt")
    assert torch.equal(load_faces(tmp_path / "codes.pt").ws, ws)
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError):
        load_faces(tmp_path / "other.pt")


def said(check, *inputs) -> str:
    with pytest.raises(MismatchError) as caught:
        check(*inputs)
    return str(caught.value)


def test_what_fits_is_let_through(faces, movement):
    faces.check_drawable(OWN, 6)
    movement.check_fits(faces)
    Movement(movement.offsets, None).check_fits(faces)
    Movement(movement.offsets.expand(3, -1, -1, -1), OWN).check_fits(faces)
    same_model = ModelId(OWN.fingerprint, "another name")
    faces.check_drawable(same_model, 6)


def test_another_generator_is_named_with_both_fingerprints(faces, movement):
    message = said(faces.check_drawable, OTHER, 6)
    assert "The faces were made for the generator 'doodle' (0123456789abcdef)" in message
    assert "the generator here is 'horses' (fedcba9876543210)" in message
    message = said(movement.check_fits, Faces(faces.ws, OTHER))
    assert "The motion was made for the generator 'doodle' (0123456789abcdef)" in message
    assert "the faces belong to 'horses' (fedcba9876543210)" in message


def test_other_numbers_of_rows_are_named_with_the_sizes_of_their_generators(faces):
    assert "The faces have 6 style vectors, as for 16 px" in said(faces.check_drawable, OWN, 18)
    assert "18 (1024 px) are needed" in said(faces.check_drawable, OWN, 18)
    tall = Movement(torch.zeros(1, 5, 12, 8), None)
    assert "The motion has 12 style vectors, as for 128 px" in said(tall.check_fits, faces)
    assert "6 (16 px) are needed" in said(tall.check_fits, faces)


def test_other_widths_and_numbers_of_faces_are_named(faces):
    assert "are 4 numbers wide, but the faces' are 8" in said(Movement(torch.zeros(1, 5, 6, 4), None).check_fits, faces)
    assert "offsets for each of 2 faces, but there are 3 faces" in said(
        Movement(torch.zeros(2, 5, 6, 8), None).check_fits, faces
    )


def test_joined_movements_are_of_the_generator_that_either_names(movement):
    unknown = Movement(movement.offsets, None)
    assert movement.joined(unknown).generator == unknown.joined(movement).generator == OWN
    assert unknown.joined(unknown).generator is None
    assert torch.equal(unknown.joined(movement).offsets, movement.offsets)
    message = said(movement.joined, Movement(movement.offsets, OTHER))
    assert "'doodle' (0123456789abcdef)" in message
    assert "'horses' (fedcba9876543210)" in message


def test_faces_of_two_generators_do_not_mix(faces):
    faces.check_same_generator(faces)
    message = said(faces.check_same_generator, Faces(faces.ws, OTHER))
    assert "Faces a are of the generator 'doodle' (0123456789abcdef)" in message
    assert "faces b are of 'horses' (fedcba9876543210)" in message


def test_metadata_names_the_model_that_a_file_was_made_for():
    said = {"generator_fingerprint": "0123456789abcdef", "generator": "doodle", "clip_fingerprint": "77"}
    assert ModelId.in_metadata(said) == OWN
    assert ModelId.in_metadata(said, "clip") == ModelId("77", "unnamed")
    assert ModelId.in_metadata({}) is None
