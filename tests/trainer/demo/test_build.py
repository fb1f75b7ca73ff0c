"""`lga demo build` goes on where it was, and refuses what it cannot do."""

import json
import shutil
from dataclasses import replace

import pytest

from lga_core import InputError
from lga_core.demo import EMBEDDED
from lga_trainer.demo import build as build_module
from lga_trainer.demo.build import build
from lga_trainer.demo.doodle.domain import DOMAIN
from lga_trainer.demo.doodle.recipe import STAGES
from lga_trainer.demo.embedded_domain import BuildFolder, Stage, embedded_domain_of
from lga_trainer.demo.publish import copy_weights


@pytest.fixture
def made(monkeypatch) -> list[str]:
    """Stages replaced by ones that write their file at once; the names of those that ran."""
    ran: list[str] = []

    def quick(name: str, stage: Stage) -> Stage:
        def make(folder):
            (folder.path / stage.product).parent.mkdir(exist_ok=True)
            (folder.path / stage.product).write_text(str(folder.effort))
            ran.append(name)

        return Stage(stage.product, make)

    quickly = replace(DOMAIN, stages={name: quick(name, stage) for name, stage in STAGES.items()})
    monkeypatch.setattr(build_module, "embedded_domain", lambda name: quickly)
    return ran


def test_stages_run_in_order_and_those_that_are_done_are_skipped(made, tmp_path):
    build(tmp_path)
    assert made == list(STAGES)
    (tmp_path / STAGES["clip"].product).unlink()
    made.clear()
    build(tmp_path)
    assert made == ["clip"]
    assert set(json.loads((tmp_path / "minutes.json").read_text())) == set(STAGES)


def test_named_stages_run_alone_with_the_effort_asked_for(made, tmp_path):
    build(tmp_path, ["judge"], effort=0.25)
    assert made == ["judge"]
    assert (tmp_path / STAGES["judge"].product).read_text() == "0.25"


def test_a_domain_s_folder_is_measured_as_the_domain_that_it_was_built_from(tmp_path):
    shutil.copytree(EMBEDDED["doodle"], tmp_path / "mine")
    assert embedded_domain_of("doodle") is DOMAIN and embedded_domain_of(str(tmp_path / "mine")) is DOMAIN
    card = tmp_path / "mine" / "domain.json"
    said = json.loads(card.read_text())
    card.write_text(json.dumps(said | {"name": "mine"}))
    assert embedded_domain_of(str(tmp_path / "mine")) is DOMAIN  # its generator is the same
    card.write_text(json.dumps(said | {"name": "mine", "fingerprint": "0" * 16}))
    with pytest.raises(InputError, match="'mine' has no renderer.*doodle"):
        embedded_domain_of(str(tmp_path / "mine"))


def test_an_unknown_domain_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(InputError, match="no embedded domain 'cats'.*doodle"):
        build(tmp_path / "new", domain="cats")
    assert not (tmp_path / "new").exists()


def test_publishing_puts_every_weight_in_its_place(tmp_path):
    """The scorers too: a motion is trained again on what ships."""
    for name in ("judge", "attribute_map", *DOMAIN.scorers):
        (tmp_path / f"{name}.safetensors").write_text(name)
    (tmp_path / "domain").mkdir()
    (tmp_path / "domain" / "clip.safetensors").write_text("clip")
    shipped = copy_weights(BuildFolder(DOMAIN, tmp_path), tmp_path / "there")
    assert shipped == tmp_path / "there" / "lga_core" / "demo"
    assert (shipped / "clip.safetensors").read_text() == "clip"
    assets = tmp_path / "there" / "trainer" / "demo" / "doodle" / "assets"
    assert {path.name for path in assets.iterdir()} == {path.name for path in DOMAIN.assets.glob("*.safetensors")}
    assert (assets / "doubter2.safetensors").read_text() == "doubter2"


def test_an_unknown_stage_and_no_effort_are_refused_before_anything_is_made(made, tmp_path):
    with pytest.raises(InputError, match="no stage 'juge'.*judge"):
        build(tmp_path / "new", ["juge"])
    with pytest.raises(InputError, match="above 0"):
        build(tmp_path / "new", effort=0)
    assert not made and not (tmp_path / "new").exists()
