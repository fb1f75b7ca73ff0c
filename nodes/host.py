"""ComfyUI as the nodes see it: its folders, devices, progress bars and messages.

The one module that touches `comfy` and `folder_paths`, each where it is used, so that every node works without ComfyUI
too, on the CPU, below the current folder.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from ..lga_core import InputError, LgaError
from ..lga_core.checkpoints import FOREIGN_SUFFIXES, as_native
from ..lga_core.formats import read_metadata
from ..lga_core.rendering import free_bytes

LOG = logging.getLogger("language-guided-animation")
MODELS = "lga"
"""Our folder in ComfyUI's models/."""
WEIGHTS = FOREIGN_SUFFIXES - {".npy", ".npz"} | {".safetensors"}
FOLDERS = {
    "generators": WEIGHTS,
    "encoders": WEIGHTS,
    "motion": WEIGHTS,
    "clip": WEIGHTS,
    "domains": frozenset({".json"}),
    "identity": WEIGHTS,
    "face": frozenset({".task", ".pth", ".xml"}),
    "mappers": WEIGHTS,
    "mocogan": WEIGHTS,
}
"""Model folders under models/lga/, and what they list. In extra_model_paths.yaml: lga_generators, lga_encoders, ..."""
ALSO = {"generators": "stylegan"}
"""A folder of models/ that other packs use for the same files."""
PREVIEW_SIZE = 512

M = TypeVar("M", bound=nn.Module)


def in_comfyui() -> bool:
    try:
        import folder_paths  # noqa: F401
    except ImportError:
        return False
    return True


# Files


def register_folders() -> None:
    """Register our model folders with ComfyUI, beside those of the person's extra_model_paths.yaml."""
    import folder_paths

    for name, suffixes in FOLDERS.items():
        key = f"{MODELS}_{name}"
        given, _ = folder_paths.folder_names_and_paths.get(key, ([], set()))
        own = Path(folder_paths.models_dir, MODELS, name)
        also = [Path(folder_paths.models_dir, ALSO[name])] if name in ALSO else []
        theirs = folder_paths.folder_names_and_paths.get(ALSO.get(name, ""), ([], set()))[0]
        paths = list(dict.fromkeys([*given, str(own), *theirs, *map(str, also)]))
        folder_paths.folder_names_and_paths[key] = (paths, set(suffixes))


def model_files(name: str) -> list[str]:
    """Names of the files in a model folder (a key of `FOLDERS`), sorted."""
    if in_comfyui():
        import folder_paths

        return sorted(folder_paths.get_filename_list(f"{MODELS}_{name}"))
    folder = Path("models", MODELS, name)
    files = folder.rglob("*") if folder.is_dir() else []
    return sorted(file.relative_to(folder).as_posix() for file in files if file.suffix in FOLDERS[name])


def model_path(name: str, file: str) -> Path:
    """The path of a file of a model folder. Raises InputError for a missing one."""
    fault = missing_model(name, file)
    if fault:
        raise InputError(fault)
    if in_comfyui():
        import folder_paths

        return Path(folder_paths.get_full_path_or_raise(f"{MODELS}_{name}", file))
    return Path("models", MODELS, name, file)


def model_folders(name: str) -> list[Path]:
    """The folders behind a key of `FOLDERS` that exist."""
    paths = [Path("models", MODELS, name)]
    if in_comfyui():
        import folder_paths

        paths = [Path(path) for path in folder_paths.folder_names_and_paths[f"{MODELS}_{name}"][0]]
    return [path for path in paths if path.is_dir()]


def own_folder(name: str) -> Path:
    """The folder models/lga/`name`, for files that the nodes make; it need not exist yet."""
    models = Path("models")
    if in_comfyui():
        import folder_paths

        models = Path(folder_paths.models_dir)
    return models / MODELS / name


def native_path(path: Path, kind: str, node: str | None) -> Path:
    """The file itself, or its conversion, if it is another project's: made once, in models/lga/converted.

    Raises CheckpointError for a file of no use, whatever it is.
    """
    return as_native(path, kind, own_folder("converted"), lambda: say(f"Converting {path.name}, once …", node))


def missing_model(name: str, file: str) -> str | None:
    """The error text for a workflow that names a missing file; None if the file exists."""
    there = model_files(name)
    if file in there:
        return None
    suffixes = ", ".join(sorted(FOLDERS[name]))
    rest = f"Available: {', '.join(there[:8])}." if there else f"That folder holds no {suffixes} file yet."
    return (
        f"There is no '{file}' in models/{MODELS}/{name}. Put the file there (or name its folder as {MODELS}_{name} in "
        f"extra_model_paths.yaml) and press R to refresh, or choose another. {rest}"
    )


def file_state(*paths: Path) -> str:
    """A hash that changes when one of the files does, for IS_CHANGED.

    ComfyUI writes it into the videos that it saves, so it must not show the person's folders.
    """
    state = " ".join(f"{path}:{path.stat().st_mtime_ns}:{path.stat().st_size}" for path in paths)
    return hashlib.sha256(state.encode()).hexdigest()


def _directory(which: str) -> Path:
    """ComfyUI's "output", "input" or "temp" folder."""
    if in_comfyui():
        import folder_paths

        return Path(folder_paths.get_directory_by_type(which))
    return Path(which)


def new_output(prefix: str, suffix: str, which: str = "output") -> tuple[Path, dict[str, str]]:
    """A free, numbered path in ComfyUI's output (or temp) folder, and the frontend's reference to it."""
    if in_comfyui():
        import folder_paths

        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, str(_directory(which)))
    else:
        path = _directory(which) / prefix
        folder, name, subfolder = str(path.parent), path.name, str(Path(prefix).parent)
        taken = [file.name.removeprefix(f"{name}_").partition("_")[0] for file in path.parent.glob(f"{name}_*")]
        counter = max([0, *(int(number) for number in taken if number.isdigit())]) + 1
    Path(folder).mkdir(parents=True, exist_ok=True)
    file = f"{name}_{counter:05}_{suffix}"
    return Path(folder, file), {"filename": file, "subfolder": subfolder, "type": which}


def saved_files(kind: str) -> list[str]:
    """What Save nodes wrote, newest first, as "lga/faces/face_00001_.safetensors [output]"; and the same in input."""
    found = []
    for which in ("output", "input"):
        folder = _directory(which)
        for file in {*(folder / MODELS).rglob("*.safetensors"), *folder.glob("*.safetensors"), *_codes(folder, kind)}:
            if file.suffix != ".safetensors" or _kind(file, file_state(file)) == kind:
                found.append((file.stat().st_mtime, f"{file.relative_to(folder).as_posix()} [{which}]"))
    return [name for _, name in sorted(found, reverse=True)]


def _codes(folder: Path, kind: str) -> list[Path]:
    """Files in which other projects store W+ codes. Their contents are checked when they are loaded."""
    suffixes = (".npy", ".npz", ".pt") if kind == "faces" else ()
    return [file for suffix in suffixes for file in folder.glob(f"*{suffix}")]


@lru_cache(maxsize=4096)
def _kind(file: Path, state: str) -> str | None:
    try:
        return read_metadata(file)["kind"]
    except LgaError:
        return None


def saved_path(name: str) -> Path:
    """The path of a file that `saved_files` lists. Raises InputError for a missing one."""
    file, _, which = name.removesuffix("]").rpartition(" [")
    if which not in ("output", "input"):
        file, which = name, "input"
    folder = _directory(which)
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise InputError(
            f"There is no saved file '{file}' in ComfyUI's {which} folder. Save one with the Save node, or put one "
            "into the input folder, then press R to refresh and choose it."
        )
    return path


# Devices


class Model(Generic[M]):
    """A network under ComfyUI's memory management: on the GPU while it runs, offloaded when memory is needed."""

    def __init__(self, module: M):
        self.module = module
        self._patcher: Any = None

    def ready(self, memory: float = 0) -> M:
        """The network on the device it runs on, with about `memory` bytes left free there."""
        make_ready(self, memory=memory)
        return self.module

    @property
    def patcher(self) -> Any:
        """ComfyUI's handle of the network, which it moves between devices."""
        if self._patcher is None:
            from comfy import model_management
            from comfy.model_patcher import ModelPatcher

            load, offload = model_management.get_torch_device(), model_management.unet_offload_device()
            self._patcher = ModelPatcher(self.module, load_device=load, offload_device=offload)
        return self._patcher

    @property
    def device(self) -> torch.device:
        """The device it runs on."""
        if in_comfyui():
            from comfy import model_management

            return model_management.get_torch_device()
        return next(self.module.parameters()).device


def make_ready(*models: Model, memory: float = 0) -> None:
    """Move networks that run together to their device, all at once, so that none is offloaded for another."""
    if in_comfyui():
        from comfy import model_management

        # Weights that were moved in inference mode could not take part in an optimisation later.
        with torch.inference_mode(False):
            model_management.load_models_gpu([model.patcher for model in models], memory_required=memory)


def free_memory(device: torch.device) -> float:
    """Bytes that are free on `device`."""
    if in_comfyui():
        from comfy import model_management

        return float(model_management.get_free_memory(device))
    return free_bytes(device)


def result_device() -> torch.device:
    """The device of a node's results until the next node uses them."""
    if in_comfyui():
        from comfy import model_management

        return model_management.intermediate_device()
    return torch.device("cpu")


# Progress and messages


class Progress:
    """A progress bar on the node, with a preview. A step raises if the run was cancelled."""

    def __init__(self, total: int = 0):
        self.total, self.done, self._bar = total, 0, None

    def reach(self, done: int, total: int) -> None:
        """Set the number of steps done and their total, for work that counts both itself."""
        self.total = total
        self.step(done - self.done)

    def step(self, count: int = 1, picture: Image.Image | None = None) -> None:
        self.done += count
        if in_comfyui():
            from comfy.model_management import throw_exception_if_processing_interrupted
            from comfy.utils import ProgressBar

            throw_exception_if_processing_interrupted()
            self._bar = self._bar or ProgressBar(self.total)
            preview = None if picture is None else ("JPEG", picture, PREVIEW_SIZE)
            self._bar.update_absolute(self.done, self.total, preview)


def say(message: str, node: str | None, warning: bool = False) -> None:
    """Shows a message on the node, and writes it to the log."""
    LOG.log(logging.WARNING if warning else logging.INFO, message)
    if in_comfyui() and node is not None:
        from server import PromptServer

        server = getattr(PromptServer, "instance", None)
        if server is not None and hasattr(server, "send_progress_text"):
            server.send_progress_text(message, node)


@contextmanager
def warnings_caught() -> Iterator[list[str]]:
    """Yields a list that at the end contains each warning that the core gives inside, once."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield messages
        finally:
            messages += dict.fromkeys(str(entry.message) for entry in caught if entry.category is UserWarning)


@contextmanager
def warnings_shown(node: str | None) -> Iterator[list[str]]:
    """Shows each warning that the core gives inside, once, on the node; yields the list of them."""
    with warnings_caught() as messages:
        yield messages
    if messages:
        say("\n".join(messages), node, warning=True)


def image_of(drawing: Image.Image) -> Float[Tensor, "1 h w 3"]:
    """A drawing as ComfyUI's IMAGE."""
    pixels = torch.frombuffer(bytearray(drawing.convert("RGB").tobytes()), dtype=torch.uint8)
    return pixels.reshape(1, drawing.height, drawing.width, 3) / 255


def checked(check: Callable[[], Any]) -> bool | str:
    """For VALIDATE_INPUTS: True, or the core's error text."""
    try:
        check()
    except LgaError as err:
        return str(err)
    return True
