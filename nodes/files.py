"""Files that nodes read and write: menus of them, what ComfyUI asks about a menu, and where results are saved."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from ..lga_core.formats import read_metadata
from ..lga_core.latents import ModelId
from .host import (
    checked,
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
from .widgets import Widget, choices


class Menu(Protocol):
    """A menu of files, the node's input `name`. Some entries may need no file."""

    @property
    def name(self) -> str: ...

    def declared(self) -> Widget:
        """The declaration of the input."""
        ...

    def fault(self, entry: str) -> str | None:
        """The error text for a workflow that names a missing file; None where nothing is wrong."""
        ...

    def files(self, entry: str) -> list[Path]:
        """The files that decide what the node gives. Raises InputError for a missing one."""
        ...


@dataclass(frozen=True)
class ModelMenu:
    """The model files of models/lga/`folder` that end in `suffix`, after `others`: entries that need no file there."""

    name: str
    folder: str
    tooltip: str
    others: tuple[str, ...] = ()
    suffix: str = ""

    def declared(self) -> Widget:
        found = [file for file in model_files(self.folder) if file.endswith(self.suffix)]
        return choices((*self.others, *found), self.tooltip)

    def fault(self, entry: str) -> str | None:
        return None if entry in self.others else missing_model(self.folder, entry)

    def files(self, entry: str) -> list[Path]:
        return [] if entry in self.others else [model_path(self.folder, entry)]

    def native(self, entry: str, kind: str, node: str | None) -> Path:
        """The file in our own format, converted first if another project wrote it. Raises CheckpointError."""
        return native_path(self.files(entry)[0], kind, node)

    def made_for(self, generator: LoadedGenerator, entry: str, kind: str, node: str | None) -> Path:
        """The same. Raises MismatchError where the file says that it was made for another generator."""
        path = self.native(entry, kind, node)
        owner = ModelId.in_metadata(read_metadata(path, kind))
        if owner is not None:
            owner.check(generator.identity, f"'{entry}' was made for the generator", "the generator here is")
        return path


@dataclass(frozen=True)
class SavedMenu:
    """The files of a kind that Save nodes wrote, newest first: the input `file`."""

    folder: str
    kind: str
    name: str = "file"

    def declared(self) -> Widget:
        where = f"A file in output/lga/{self.folder}, or one of the same kind in ComfyUI's input folder."
        return choices(saved_files(self.kind), f"{where} The newest comes first.")

    def fault(self, entry: str) -> str | None:
        found = checked(lambda: saved_path(entry))
        return found if isinstance(found, str) else None

    def files(self, entry: str) -> list[Path]:
        return [saved_path(entry)]


class ReadsFile:
    """A node that reads the file chosen in its `MENU`.

    A missing file is reported before the run, and a file that has changed is read again.
    """

    MENU: ClassVar[Menu]
    VALIDATE_INPUTS: ClassVar[Callable[..., bool | str]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "MENU" in vars(cls):
            cls.VALIDATE_INPUTS = _Validation(cls.MENU)

    @classmethod
    def IS_CHANGED(cls, **inputs: Any) -> str:
        return file_state(*cls.MENU.files(inputs[cls.MENU.name]))


class _Validation:
    """VALIDATE_INPUTS of a menu.

    ComfyUI passes the inputs that the signature names, and stops checking those itself: it must name the menu alone.
    """

    def __init__(self, menu: Menu):
        self.menu = menu
        entry = inspect.Parameter(menu.name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self.__signature__ = inspect.Signature([entry])

    def __call__(self, **inputs: str | None) -> bool | str:
        entry = inputs[self.menu.name]
        return entry is None or self.menu.fault(entry) or True  # None: it comes from another node, not known yet


class SavesFile:
    """A node that writes its input into ComfyUI's output folder, below lga/, and has no outputs."""

    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FUNCTION = "save"


def save_inputs(name: str, socket: str, tooltip: str, prefix: str) -> dict[str, Any]:
    """The declaration of a Save node's inputs: what to save, and the name of the file."""
    file = ("STRING", {"default": prefix, "tooltip": "Prefix of the file's name; a number follows it."})
    return {
        "required": {name: (socket, {"tooltip": tooltip}), "filename_prefix": file},
        "hidden": {"node": "UNIQUE_ID"},
    }


def save_file(folder: str, prefix: str, write: Callable[[Path], None], node: str | None) -> dict[str, Any]:
    """Call `write` with a free path in output/lga/`folder`, and show that path on the node."""
    path, shown = new_output(f"lga/{folder}/{prefix}", ".safetensors")
    write(path)
    say(f"Saved {shown['subfolder']}/{shown['filename']}", node)
    return {"ui": {"lga_files": [shown]}}
