"""Files that nodes save, load and choose from: in ComfyUI's output folder, and in the folders of models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..lga_core.formats import read_metadata
from ..lga_core.latents import ModelId
from .host import (
    checked,
    choices,
    file_state,
    missing_model,
    model_files,
    model_path,
    native_path,
    new_output,
    saved_files,
    saved_path,
    say,
)
from .types import LoadedGenerator


class Saves:
    """A node that writes what it is given into ComfyUI's output folder, below lga/, and gives nothing out."""

    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FUNCTION = "save"


def save_inputs(name: str, socket: str, tooltip: str, prefix: str) -> dict[str, Any]:
    """The declaration of a Save node's inputs: what is saved, and how the file is called."""
    file = ("STRING", {"default": prefix, "tooltip": "How the file's name begins."})
    return {
        "required": {name: (socket, {"tooltip": tooltip}), "filename_prefix": file},
        "hidden": {"node": "UNIQUE_ID"},
    }


def keep(folder: str, prefix: str, write: Callable[[Path], None], node: str | None) -> dict[str, Any]:
    """Calls `write` with a free place in output/lga/`folder`, and says on the node where that is."""
    path, shown = new_output(f"lga/{folder}/{prefix}", ".safetensors")
    write(path)
    say(f"Saved {shown['subfolder']}/{shown['filename']}", node)
    return {"ui": {"lga_files": [shown]}}


class Loads:
    """A node that reads what a Save node wrote; its input `file` says which."""

    FUNCTION = "load"

    @classmethod
    def VALIDATE_INPUTS(cls, file):
        return file is None or checked(lambda: saved_path(file))

    @classmethod
    def IS_CHANGED(cls, file):
        return file_state(saved_path(file))


def file_input(folder: str, kind: str) -> tuple[str, dict[str, Any]]:
    """The declaration of `file`: a menu of saved files of a kind."""
    where = f"A file in output/lga/{folder}, or one of the kind in ComfyUI's input folder."
    return choices(saved_files(kind), f"{where} The newest comes first.")


# Menus of model files whose first entry stands for none, as widgets of the nodes that can do without.


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
        owner = ModelId(str(made_for), str(said.get("generator", "its own")))
        owner.check(generator.identity, f"'{name}' was made for the generator", "the generator here is")
    return path
