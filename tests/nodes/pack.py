"""The pack, loaded as ComfyUI loads it, and its nodes, run as ComfyUI's executor runs them."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
NAME = "lga_pack"
"""What ComfyUI would call the pack: any name but that of the library, of which tests elsewhere have a copy."""


def load() -> ModuleType:
    if NAME not in sys.modules:
        where = ROOT / "__init__.py"
        spec = importlib.util.spec_from_file_location(NAME, where, submodule_search_locations=[str(ROOT)])
        assert spec is not None and spec.loader is not None
        sys.modules[NAME] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[NAME])
    return importlib.import_module(f"{NAME}.nodes")


nodes = load()
core = importlib.import_module(f"{NAME}.lga_core")
for _module in pkgutil.walk_packages(core.__path__, f"{core.__name__}."):  # `core.motion.Wording` needs no import
    importlib.import_module(_module.name)
host = importlib.import_module(f"{NAME}.nodes.host")
CLASSES: dict[str, Any] = nodes.NODE_CLASS_MAPPINGS
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
"""Types of input that are set on the node itself."""


def inputs_of(id_: str, kind: str | None = None) -> dict[str, tuple[str, dict]]:
    """Inputs of a node, in order: name -> type, options. `kind` is "required" or "optional"; None takes both."""
    declared = CLASSES[id_].INPUT_TYPES()
    kinds = ("required", "optional") if kind is None else (kind,)
    return {
        name: (entry[0], entry[1] if len(entry) > 1 else {})
        for kind in kinds
        for name, entry in declared.get(kind, {}).items()
    }


def first_value(options: dict) -> Any:
    """What a widget shows on a new node."""
    return options["default"] if "default" in options else next(iter(options.get("options", ())), "")


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """Every tensor in what travels between nodes, weights too."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, host.Model):
        yield from value.module.state_dict().values()
    elif isinstance(value, (tuple, list)):
        for entry in value:
            yield from tensors(entry)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from tensors(getattr(value, field.name))


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal bit by bit; what is no number equals itself."""
    return a.shape == b.shape and torch.allclose(a.float(), b.float(), rtol=0, atol=0, equal_nan=True)


def call(id_: str, **inputs: Any) -> Any:
    """What a node's function returns, in inference mode. An input that is not given takes its first value.

    Every call checks that the node left what it was given, which ComfyUI keeps for other nodes, as it was.
    """
    kind = CLASSES[id_]
    fresh = {name: first_value(options) for name, (type_, options) in inputs_of(id_).items() if type_ in WIDGETS}
    inputs = fresh | inputs
    given = [tensor for value in inputs.values() for tensor in tensors(value)]
    before = [tensor.clone() for tensor in given]
    try:
        with torch.inference_mode():
            return getattr(kind(), kind.FUNCTION)(**inputs)
    finally:
        assert all(map(same, before, given)), f"{id_} changed what it was given"


def run(id_: str, **inputs: Any) -> tuple:
    """A node's outputs; see `call`."""
    result = call(id_, **inputs)
    return tuple(result.get("result", ()) if isinstance(result, dict) else result)


def saved(id_: str, **inputs: Any) -> str:
    """Runs a Save node; the file's name as the Load nodes list it."""
    (file,) = call(id_, **inputs)["ui"]["lga_files"]
    return f"{file['subfolder']}/{file['filename']} [{file['type']}]"
