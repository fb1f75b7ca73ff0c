"""The values of a file as they were read, to be changed and written again: what a layout is told, whatever it is."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from foreign_files.assembler import PERSISTENT, Code, array, array_type, built, call, code, name, new
from foreign_files.hostile_layouts import good

from lga_core.formats.foreign import PERSISTENCE, read_foreign
from lga_core.formats.pickle_values import Record


@lru_cache
def tree(kind: str) -> Any:
    """The value of a good file of this kind."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(good(kind))
        return read_foreign(path).value


def thawed(value: Any) -> Any:
    """A copy that can be changed, with lists for tuples."""
    match value:
        case Record():
            return Record(value.module, value.name, (), thawed(value.state))
        case dict():
            return {key: thawed(item) for key, item in value.items()}
        case tuple() | list():
            return [thawed(item) for item in value]
    return value


def inside(value: Any) -> Any:
    """What holds the parts of a value: the attributes of a record, else itself."""
    return value.state if isinstance(value, Record) else value


def with_value(kind: str, path: tuple[Any, ...], new_value: Any) -> Any:
    """The value of a good file with another one in this place."""
    root = thawed(tree(kind))
    parent = root
    for key in path[:-1]:
        parent = inside(parent)[key]
    inside(parent)[path[-1]] = new_value
    return tuple(root) if isinstance(root, list) else root


def written(value: Any) -> Code:
    """The instructions for such a value. Tensors become arrays."""
    match value:
        case Code() | None | bool() | int() | float() | str() | bytes():
            return code(value)
        case torch.dtype():
            return name("torch", str(value).removeprefix("torch."))
        case torch.Tensor():
            content = value.contiguous().numpy()
            kind = array_type(content.dtype.str[1:], (3, content.dtype.str[0], None, None, None, -1, -1, 0))
            return array(tuple(value.shape), kind, content.tobytes())
        case Record() if value.module == PERSISTENCE:
            meta = {"type": "class", "version": 6, "module_src": "", "class_name": value.name}
            return call(PERSISTENT, {**meta, "state": written(value.state)})
        case Record():
            made = new(name(value.module, value.name))
            return made if value.state is None else built(made, written(value.state))
        case tuple():
            return code(tuple(map(written, value)))
        case list():
            return code(list(map(written, value)))
        case set():
            return call(name("builtins", "set"), list(value))
        case dict():
            return code({key: written(item) for key, item in value.items()})
    raise TypeError(type(value))
