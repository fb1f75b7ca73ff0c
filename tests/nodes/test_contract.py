"""Nothing that a saved workflow relies on is ever taken away or moved."""

import json
from copy import deepcopy

import freeze
import pytest
from contract import AFTER, broken, declared, frozen


def test_saved_workflows_still_fit_the_nodes():
    assert not broken(frozen(), declared())


def test_all_that_the_nodes_have_is_frozen():
    assert declared() == frozen(), "What is new is frozen by `python tests/nodes/freeze.py`."


CHAIN, RENDER, DOMAIN = "LGA_ChainExpressions", "LGA_SynthesizeFrames", "LGA_LoadDomain"


def rename(pairs: list, index: int) -> None:
    pairs[index] = ["renamed", pairs[index][1]]


CHANGES = {
    "a node is gone": lambda new: new.pop(CHAIN),
    "an input is gone": lambda new: new[CHAIN]["required"].pop(),
    "an input has another name": lambda new: rename(new[CHAIN]["required"], 2),
    "an optional input has another name": lambda new: rename(new[CHAIN]["optional"], 0),
    "an input has another type": lambda new: new[CHAIN]["required"][1].__setitem__(1, "FLOAT"),
    "two inputs change places": lambda new: new[CHAIN]["required"].insert(1, new[CHAIN]["required"].pop(2)),
    "a widget comes between others": lambda new: new[CHAIN]["widgets"].insert(1, "speed"),
    "a seed loses its second value": lambda new: new["LGA_SampleFace"]["widgets"].remove(AFTER),
    "a choice is gone": lambda new: new[CHAIN]["menus"]["ease"].remove("bounce"),
    "a choice has another name": lambda new: new[RENDER]["menus"]["layout"].__setitem__(0, "side by side"),
    "a menu is gone": lambda new: new[RENDER]["menus"].pop("precision"),
    "an output is gone": lambda new: new[DOMAIN]["outputs"].pop(),
    "an output has another name": lambda new: rename(new[DOMAIN]["outputs"], 0),
    "two outputs change places": lambda new: new[DOMAIN]["outputs"].reverse(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_breaks_workflows_is_seen_where(change):
    new = deepcopy(frozen())
    CHANGES[change](new)
    assert broken(frozen(), new)


def test_growth_at_the_end_breaks_nothing():
    new = deepcopy(frozen())
    new["LGA_New"] = new[DOMAIN]
    new[CHAIN]["optional"].append(["image", "IMAGE"])
    new[CHAIN]["menus"]["ease"].append("elastic")
    new[DOMAIN]["outputs"].append(["report", "STRING"])
    assert not broken(frozen(), new)


@pytest.mark.parametrize("change", ["a choice is gone", "an input has another name"])
def test_what_would_break_workflows_is_not_frozen(change, here, monkeypatch):
    file = here / "contract.json"
    file.write_text("as it was")
    smaller = deepcopy(frozen())
    CHANGES[change](smaller)
    monkeypatch.setattr(freeze, "FILE", file)
    monkeypatch.setattr(freeze, "declared", lambda: smaller)
    with pytest.raises(SystemExit, match="nothing is written"):
        freeze.main()
    assert file.read_text() == "as it was"
    monkeypatch.undo()
    monkeypatch.setattr(freeze, "FILE", file)
    freeze.main()
    assert json.loads(file.read_text()) == declared()
