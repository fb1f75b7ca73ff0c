"""Whatever is changed in a good file, it opens or is refused for a reason. `fuzzing.py` tries as long as one likes."""

from __future__ import annotations

import os
import random
from pathlib import Path

import hypothesis.strategies as st
import pytest
from foreign_files.assembler import pickled
from foreign_files.fuzzing import (
    PICKLES,
    change_bytes,
    change_instructions,
    change_values,
    outcome,
    parts,
    random_instructions,
)
from foreign_files.hostile_layouts import KINDS, good
from foreign_files.trees import tree, written
from hypothesis import HealthCheck, given, settings

EXAMPLES = int(os.environ.get("LGA_FUZZ_EXAMPLES", "0"))
"""How many files each test tries; without it a few, and always the same."""

RNG = st.randoms(use_true_random=False)


def tries(few: int):
    return settings(
        max_examples=EXAMPLES or few,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "a"


def check(content: bytes, path: Path) -> None:
    text = outcome(content, path)
    assert text == "opened" or (str(path) in text and text.isprintable() and len(text) < 1500), text


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_with_other_bytes_opens_or_is_refused(kind, path):
    @tries(15)
    @given(rng=RNG)
    def test(rng):
        check(change_bytes(good(kind), rng), path)

    test()


@pytest.mark.parametrize("kind", PICKLES)
def test_a_file_with_other_instructions_opens_or_is_refused(kind, path):
    @tries(60)
    @given(rng=RNG)
    def test(rng):
        check(change_instructions(kind, rng), path)

    test()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_with_other_values_opens_or_is_refused(kind, path):
    @tries(60)
    @given(rng=RNG)
    def test(rng):
        check(change_values(kind, rng), path)

    test()


@pytest.mark.parametrize("kind", PICKLES)
def test_a_file_of_random_instructions_opens_or_is_refused(kind, path):
    @tries(60)
    @given(rng=RNG)
    def test(rng):
        check(random_instructions(kind, rng), path)

    test()


@pytest.mark.parametrize("kind", PICKLES)
def test_the_files_that_are_changed_are_good_ones(kind, path):
    steps, assemble = parts(kind)
    assert outcome(good(kind), path) == "opened"
    assert outcome(assemble(b"".join(steps)), path) == "opened"
    assert outcome(pickled(written(tree(kind)), 4), path) == "opened"


def test_changes_reach_beyond_the_first_check(path):
    """Else the tests above would try one refusal again and again."""
    rng = random.Random(0)
    texts = [outcome(change_instructions("nvidia", rng), path) for _ in range(60)]
    assert len({text.split(": ", 2)[-1] for text in texts}) > 15 and "opened" in texts
