"""`lga demo build` goes on where it was, and refuses what it cannot do."""

import json
from dataclasses import replace

import pytest

from lga_core import InputError
from lga_trainer.demo import build as build_module
from lga_trainer.demo.build import build
from lga_trainer.demo.doodle.domain import DOMAIN
from lga_trainer.demo.doodle.recipe import STAGES
from lga_trainer.demo.embedded_domain import Stage


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


def test_an_unknown_stage_and_no_effort_are_refused_before_anything_is_made(made, tmp_path):
    with pytest.raises(InputError, match="no stage 'juge'.*judge"):
        build(tmp_path / "new", ["juge"])
    with pytest.raises(InputError, match="above 0"):
        build(tmp_path / "new", effort=0)
    assert not made and not (tmp_path / "new").exists()
