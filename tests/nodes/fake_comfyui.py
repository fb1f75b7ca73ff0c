"""As much of ComfyUI as the nodes touch: its modules' names, and what these functions do there."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch


class Interrupted(Exception):
    """What ComfyUI raises in a node when the person cancels."""


class ModelPatcher:
    def __init__(self, model, load_device, offload_device):
        self.model, self.load_device, self.offload_device = model, load_device, offload_device


@dataclass
class FakeComfyUI:
    """Its state, which a test looks at and changes."""

    base: Path
    folders: dict[str, tuple[list[str], set[str]]] = field(default_factory=dict)
    loads: list[tuple[list[ModelPatcher], float]] = field(default_factory=list)
    bars: list[Any] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    keeps_results_on: torch.device = torch.device("cpu")
    free: float = 2e9
    cancel_after: int | None = None
    """Steps of a progress bar after which the person cancels."""

    @property
    def steps(self) -> int:
        return sum(len(bar.updates) for bar in self.bars)

    def install(self, monkeypatch) -> None:
        for name, module in self._modules().items():
            monkeypatch.setitem(sys.modules, name, module)

    def _modules(self) -> dict[str, ModuleType]:
        comfy = _module("comfy", __path__=[])
        comfy.model_management = self._model_management()
        comfy.model_patcher = _module("comfy.model_patcher", ModelPatcher=ModelPatcher)
        comfy.utils = self._utils()
        modules = [
            comfy,
            comfy.model_management,
            comfy.model_patcher,
            comfy.utils,
            self._server(),
            self._folder_paths(),
        ]
        return {module.__name__: module for module in modules}

    def _model_management(self) -> ModuleType:
        cpu = torch.device("cpu")

        def throw_exception_if_processing_interrupted() -> None:
            if self.cancel_after is not None and self.steps >= self.cancel_after:
                raise Interrupted

        def load_models_gpu(models, memory_required=0, **_) -> None:
            assert not torch.is_inference_mode_enabled()
            self.loads.append((models, memory_required))

        return _module(
            "comfy.model_management",
            get_torch_device=lambda: cpu,
            unet_offload_device=lambda: cpu,
            intermediate_device=lambda: self.keeps_results_on,
            get_free_memory=lambda device: self.free,
            load_models_gpu=load_models_gpu,
            throw_exception_if_processing_interrupted=throw_exception_if_processing_interrupted,
        )

    def _utils(self) -> ModuleType:
        bars = self.bars

        class ProgressBar:
            def __init__(self, total):
                self.total, self.updates, self.previews = total, [], []
                bars.append(self)

            def update_absolute(self, value, total=None, preview=None):
                assert total in (None, self.total)
                self.updates.append(value)
                self.previews.append(preview)

        return _module("comfy.utils", ProgressBar=ProgressBar)

    def _server(self) -> ModuleType:
        class PromptServer:
            pass

        PromptServer.instance = PromptServer()
        PromptServer.instance.send_progress_text = lambda text, node_id: self.texts.append((text, node_id))
        return _module("server", PromptServer=PromptServer)

    def _folder_paths(self) -> ModuleType:
        def get_filename_list(key: str) -> list[str]:
            paths, suffixes = self.folders[key]
            return sorted(
                {
                    str(file.relative_to(path))
                    for path in map(Path, paths)
                    for file in path.rglob("*")
                    if file.is_file() and (not suffixes or file.suffix.lower() in suffixes)
                }
            )

        def get_full_path_or_raise(key: str, name: str) -> str:
            found = [str(Path(path, name)) for path in self.folders[key][0] if Path(path, name).is_file()]
            if not found:
                raise FileNotFoundError(name)
            return found[0]

        def get_save_image_path(prefix: str, folder: str) -> tuple[str, str, int, str, str]:
            subfolder, name = os.path.split(prefix)
            path = Path(folder, subfolder)
            path.mkdir(parents=True, exist_ok=True)
            taken = [int(file.stem.removeprefix(f"{name}_").split("_")[0]) for file in path.glob(f"{name}_*")]
            return str(path), name, max(taken, default=0) + 1, subfolder, prefix

        return _module(
            "folder_paths",
            models_dir=str(self.base / "models"),
            folder_names_and_paths=self.folders,
            get_filename_list=get_filename_list,
            get_full_path_or_raise=get_full_path_or_raise,
            get_save_image_path=get_save_image_path,
            get_directory_by_type=lambda kind: str(self.base / kind),
        )


def _module(name: str, **content: Any) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(content)
    return module
