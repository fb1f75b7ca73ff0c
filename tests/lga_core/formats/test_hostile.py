"""No file makes the reader run anything, use up the machine, or raise anything but an error that people understand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from foreign_files import hostile
from foreign_files.opening import MAX_BYTES, MAX_SECONDS
from foreign_files.subprocesses import opened, run

pytestmark = pytest.mark.long

CASES = {case.name: case for case in hostile.cases()}
EXECUTABLE = [case for case in CASES.values() if case.fires_with]


def check(result: dict[str, Any], expect: str) -> None:
    outcome = result["outcome"]
    assert outcome == "opened" or outcome.startswith("CheckpointError: "), outcome
    if "or load" not in expect and "or accept" not in expect:
        assert (outcome == "opened") == expect.startswith("load"), outcome
    assert result["seconds"] < MAX_SECONDS
    assert result["megabytes"] < MAX_BYTES / 2**20


# Our own suite.


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    """The suite, and its canary folder."""
    folder, canary = tmp_path_factory.mktemp("hostile"), tmp_path_factory.mktemp("canary")
    for _ in hostile.write_suite(folder, canary):
        pass
    return folder, canary


@pytest.fixture(scope="module")
def results(folders) -> dict[str, dict[str, Any]]:
    return opened(folders[0], {name: case.expect for name, case in CASES.items()})


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_refused_for_a_reason_soon_and_in_little_memory(name, results):
    check(results[name], CASES[name].expect)


def test_nothing_ran(results, folders):
    assert list(folders[1].iterdir()) == []


def test_reasons_are_sentences_that_name_the_file_and_are_fit_for_a_screen(results, folders):
    wrong = {}
    for name, result in results.items():
        text = result["outcome"].removeprefix("CheckpointError: ")
        named = text.startswith((str(folders[0] / name), "There is no"))
        if text != "opened" and not (named and text.endswith(".") and text.isprintable() and len(text) < 900):
            wrong[name] = text[:300]
    assert not wrong


@pytest.fixture(scope="module")
def fired(tmp_path_factory) -> set[str]:
    """Files that left a mark when the usual loaders opened them."""
    folder, canary = tmp_path_factory.mktemp("fired"), tmp_path_factory.mktemp("marks")
    run("firing.py", [f"{case.fires_with} {case.write(folder, canary)}" for case in EXECUTABLE])
    found = {path.name.removeprefix("mark_of_") for path in canary.iterdir()}
    return found | {"call_tempfile_mkdtemp.pkl"} if any(name.startswith("mark") for name in found) else found


@pytest.mark.parametrize("name", [case.name for case in EXECUTABLE])
def test_the_usual_loaders_run_what_ours_refuses(name, fired):
    assert name in fired


# Somebody else's.


def pytest_generate_tests(metafunc):
    """`foreign_file`: every name in the index of --hostile-dir, none without that option."""
    if "foreign_file" in metafunc.fixturenames:
        folder: Path | None = metafunc.config.getoption("--hostile-dir")
        index = json.loads((folder / "index.json").read_text()) if folder else {}
        metafunc.parametrize("foreign_file", sorted(index))


@pytest.fixture(scope="module")
def foreign(request) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The index of --hostile-dir, and how it went."""
    folder: Path = request.config.getoption("--hostile-dir")
    index = json.loads((folder / "index.json").read_text())
    return index, opened(folder, {name: entry["expect"] for name, entry in index.items()})


def test_a_hostile_file_of_another_set_is_as_its_index_says(foreign_file, foreign):
    index, results = foreign
    check(results[foreign_file], index[foreign_file]["expect"])
    canary = os.environ.get("CANARY")
    assert not canary or list(Path(canary).iterdir()) == []
