"""Photographs for trainings: faces found and framed, once; what has none is named."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from lga_core import InputError, align, load_image
from lga_core.faces.alignment import Framing
from lga_core.faces.cropping import crop
from lga_core.faces.detection.types import FoundFace
from lga_trainer.data import alignment as aligning
from lga_trainer.data.alignment import Framer, aligned, framer_of

POINTS = torch.tensor([[30.0, 30.0], [50.0, 30.0], [40.0, 40.0], [33.0, 50.0], [47.0, 50.0]])


class Seer:
    """Sees a small and a large face in every picture that is not grey."""

    name = "the seer"

    def __init__(self):
        self.seen = 0

    def find(self, images):
        self.seen += 1
        if images.std() < 0.01:
            return []
        return [FoundFace(POINTS / 2, 0.9, self.name), FoundFace(POINTS, 0.8, self.name)]


@pytest.fixture
def seer():
    return Seer()


@pytest.fixture
def folder(tmp_path):
    rng = torch.Generator().manual_seed(0)
    (tmp_path / "in" / "more").mkdir(parents=True)
    for name in ("a.png", "b.jpg", "more/a.png"):
        pixels = torch.randint(256, (80, 100, 3), generator=rng, dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(tmp_path / "in" / name)
    Image.new("RGB", (64, 64), (90, 90, 90)).save(tmp_path / "in" / "grey.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "in"


def test_the_largest_face_is_cut_out_as_the_recipe_says(folder, tmp_path, seer):
    kept = aligned(folder, tmp_path / "kept", Framer([seer], Framing(), 24)).folder
    assert sorted(str(path.relative_to(kept)) for path in kept.rglob("*.png")) == [
        "a.png.png",
        "b.jpg.png",
        "more/a.png.png",
    ]
    photo = load_image(folder / "a.png")
    right = crop(photo, align(POINTS[None], 80, 100), 24)
    assert (load_image(kept / "a.png.png") - right.clamp(-1, 1)).abs().max() <= 1 / 127


def test_what_has_no_face_is_named_with_the_reason(folder, tmp_path, seer):
    skipped = dict(aligned(folder, tmp_path / "kept", Framer([seer], Framing(), 24)).skipped)
    assert set(skipped) == {folder / "grey.png", folder / "broken.png"}
    assert "the seer found none" in skipped[folder / "grey.png"]


def test_a_folder_is_gone_through_once(folder, tmp_path, seer):
    first = aligned(folder, tmp_path / "kept", Framer([seer], Framing(), 24))
    before = seer.seen
    again = aligned(folder, tmp_path / "kept", Framer([seer], Framing(), 24))
    assert seer.seen == before
    assert again == first


def test_a_folder_without_any_face_is_refused(tmp_path, seer):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "in" / "grey.png")
    with pytest.raises(InputError, match="No face was found"):
        aligned(tmp_path / "in", tmp_path / "kept", Framer([seer], Framing(), 24))


def test_the_doodle_domain_brings_its_finder_and_framing():
    framer = framer_of("doodle", 128)
    assert framer.framing != Framing()
    assert len(framer.detectors) >= 1


def test_without_any_finder_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(aligning, "installed_detectors", lambda *_: [])
    with pytest.raises(InputError, match="--align needs"):
        framer_of(str(tmp_path / "generator.safetensors"), 128)
