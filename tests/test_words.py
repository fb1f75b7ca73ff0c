"""The field's own words in names: what a newcomer would grep for, and not a private language."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRIVATE = {
    "looks": "augmentations",
    "unlikeliness": "mahalanobis",
    "tones": "coarse_color",
    "cast": "models",
    "pace": "schedule",
    "grounds": "evaluation setup",
    "kit": "plugin",
    "doubter": "adversarially trained CLIP",
    "tricks": "adversarial offsets",
    "wandering": "random walk",
    "likeness": "identity similarity",
    "finder": "detector",
    "finders": "detectors",
    "drawn_again": "bootstrap",
    "piece": "shard",
    "pieces": "shards",
}
"""A word of our own that the field has another for."""
FORMATS = {
    "unlikeliness": "trainer/motion/config.py",
    "unlikeliness_end": "trainer/motion/",
    "tones": "trainer/motion/config.py",
    "finder": "nodes/photo.py",
}
"""Keys of config.json, flags and inputs of nodes: file formats, which stay, and where they are read."""
FOUND_BY = {
    "residual schedule": "lga_core/motion/model.py",
    "text-aware mapper": "lga_core/motion/model.py",
    "visual mapper": "lga_core/motion/model.py",
    "InfoNCE": "trainer/motion/losses.py",
    "smoothness": "trainer/motion/losses.py",
    "PCA": "lga_core/stylegan2/pca.py",
    "EMA": "trainer/training/loop.py",
}
"""A term of the paper -> where its rule stands."""


def names(file: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(file.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string


def words(name: str) -> set[str]:
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    return {part.lower() for part in parts} | {name.lower()}


@pytest.mark.parametrize("folder", ["lga_core", "trainer", "nodes"])
def test_names_are_the_field_s(folder):
    private = [
        f"{file.relative_to(ROOT)}:{line} {name}: {PRIVATE[word]}"
        for file in sorted((ROOT / folder).rglob("*.py"))
        for line, name in names(file)
        if not str(file.relative_to(ROOT)).startswith(FORMATS.get(name, "nowhere"))
        for word in words(name) & PRIVATE.keys()
    ]
    assert not private


@pytest.mark.parametrize(("term", "file"), FOUND_BY.items())
def test_a_rule_of_the_paper_is_found_at_the_first_try(term, file):
    assert re.search(rf"\b{term}\b", (ROOT / file).read_text(encoding="utf-8"), re.IGNORECASE if term.islower() else 0)
