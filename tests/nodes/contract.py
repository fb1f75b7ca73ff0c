"""What saved workflows rely on: ids, names, types and orders. Kept in contract.json, which only grows."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pack import CLASSES, WIDGETS, inputs_of

FILE = Path(__file__).with_name("contract.json")
AFTER = "control_after_generate"
"""The value that the frontend saves after a seed's own: what becomes of it after a run."""


def declared() -> dict[str, dict]:
    """The contract as the code has it now, where no file of a person's is in any menu."""
    with in_an_empty_folder():
        return {id_: _node(id_) for id_ in CLASSES}


def frozen() -> dict[str, dict]:
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def _node(id_: str) -> dict:
    both = inputs_of(id_)
    return {
        "required": [[name, type_] for name, (type_, _) in inputs_of(id_, "required").items()],
        "optional": [[name, type_] for name, (type_, _) in inputs_of(id_, "optional").items()],
        "widgets": [entry for name, (type_, more) in both.items() for entry in _widgets(name, type_, more)],
        "menus": {name: more["options"] for name, (type_, more) in both.items() if type_ == "COMBO"},
        "outputs": [list(pair) for pair in zip(names_out(id_), CLASSES[id_].RETURN_TYPES, strict=True)],
    }


def _widgets(name: str, type_: str, options: dict) -> list[str]:
    if type_ not in WIDGETS or options.get("forceInput"):
        return []
    return [name, AFTER] if options.get(AFTER) else [name]


def names_out(id_: str) -> tuple[str, ...]:
    return getattr(CLASSES[id_], "RETURN_NAMES", CLASSES[id_].RETURN_TYPES)


def broken(old: dict[str, dict], new: dict[str, dict]) -> list[str]:
    """In words, what `new` took away from or moved in `old`: saved workflows would break."""
    found = []
    for id_, node in old.items():
        if id_ not in new:
            found.append(f"{id_} is gone")
            continue
        lists = {(part,): node[part] for part in ("required", "optional", "widgets", "outputs")}
        lists |= {("menus", name): options for name, options in node["menus"].items()}
        for keys, was in lists.items():
            now = new[id_]
            for key in keys:
                now = now.get(key, [])
            if now[: len(was)] != was:
                found.append(f"{id_}: {' '.join(keys)} began with {was}, but is {now}")
    return found


@contextlib.contextmanager
def in_an_empty_folder() -> Iterator[None]:
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
