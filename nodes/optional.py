"""Menus of model files whose first entry stands for none, as widgets of the nodes that can do without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..lga_core import Identity, read_metadata
from .host import choices, file_state, missing_model, model_files, model_path, native_path
from .sockets import LoadedGenerator


def file_or(none: str, folder: str, tooltip: str) -> tuple[str, dict[str, Any]]:
    """The declaration of a menu: `none`, then the files of a model folder."""
    return choices((none, *model_files(folder)), tooltip)


def valid(none: str, folder: str, name: str | None) -> bool | str:
    """For VALIDATE_INPUTS. A name that comes from another node (None) is not known yet."""
    return name is None or name == none or missing_model(folder, name) or True


def state(none: str, folder: str, name: str) -> str:
    """For IS_CHANGED."""
    return none if name == none else file_state(model_path(folder, name))


def chosen(folder: str, name: str, kind: str, generator: LoadedGenerator, node: str | None) -> Path:
    """The file, converted if another project wrote it.

    Raises CheckpointError for a file of no use, MismatchError where it says that it is for another generator.
    """
    path = native_path(model_path(folder, name), kind, node)
    said = read_metadata(path, kind)
    if (made_for := said.get("generator_fingerprint")) is not None:
        owner = Identity(str(made_for), str(said.get("generator", "its own")))
        owner.check(generator.identity, f"'{name}' was made for the generator", "the generator here is")
    return path
