"""What nodes that save and load have in common: faces, motions and tunings are kept as files in ComfyUI's folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .host import checked, choices, file_state, new_output, saved_files, saved_path, say


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
