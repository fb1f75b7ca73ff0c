"""Importing the pack defines classes and does nothing else."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from pack import CLASSES, ROOT

SCRIPT = """
import importlib.util, json, sys, types
root, comfyui = sys.argv[1], sys.argv[2] == "comfyui"
if comfyui:
    import torch, numpy, PIL.Image, PIL.ImageFont, safetensors.torch  # as ComfyUI does
    folder_paths = types.ModuleType("folder_paths")
    folder_paths.models_dir, folder_paths.folder_names_and_paths = "/models", {}
    sys.modules["folder_paths"] = folder_paths
before = set(sys.modules)
spec = importlib.util.spec_from_file_location("/custom_nodes/some-pack", root + "/__init__.py",
                                              submodule_search_locations=[root])
module = sys.modules["/custom_nodes/some-pack"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(json.dumps({
    "new": sorted(set(sys.modules) - before),
    "ids": list(getattr(module, "NODE_CLASS_MAPPINGS", ())),
    "named": sorted(getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", ())),
    "web": getattr(module, "WEB_DIRECTORY", None),
    "folders": sorted(folder_paths.folder_names_and_paths) if comfyui else [],
}))
"""
SMALL = {"jaxtyping", "lazy_loader", "wadler_lindig"}
"""What the pack brings beyond ComfyUI's own packages: annotations of shapes, and what prints them."""


def imported(where: str) -> dict:
    words = [sys.executable, "-c", SCRIPT, str(ROOT), where]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


@pytest.fixture(scope="module")
def in_comfyui() -> dict:
    return imported("comfyui")


def test_comfyui_finds_the_nodes_their_names_their_help_and_their_folders(in_comfyui):
    assert in_comfyui["ids"] == list(CLASSES)
    assert in_comfyui["named"] == sorted(CLASSES)
    assert (ROOT / in_comfyui["web"]).resolve() == ROOT / "web"
    folders = ("clip", "domains", "encoders", "face", "generators", "identity", "mappers", "mocogan", "motion")
    assert in_comfyui["folders"] == [f"lga_{name}" for name in folders]


def test_the_import_brings_nothing_heavy_and_no_second_copy_of_the_library(in_comfyui):
    tops = {name.split(".")[0] for name in in_comfyui["new"]}
    assert not tops & {"lga_core", "lga_trainer", "matplotlib", "open_clip", "av", "comfy", "server", "nodes"}


def test_the_import_brings_little_beyond_what_comfyui_has(in_comfyui):
    ours = {name for name in in_comfyui["new"] if name.startswith("/custom_nodes/some-pack")}
    tops = {name.split(".")[0] for name in set(in_comfyui["new"]) - ours}
    foreign = tops - set(sys.stdlib_module_names) - {"torch", "PIL", "numpy", "safetensors", "einops"}
    assert foreign <= SMALL
    assert not {name for name in in_comfyui["new"] if name.startswith(("torch._dynamo", "torch._inductor"))}


def test_whoever_else_imports_the_folder_gets_an_empty_module():
    found = imported("nobody")
    assert not found["ids"]
    assert found["web"] is None
    assert found["new"] == ["/custom_nodes/some-pack"]
