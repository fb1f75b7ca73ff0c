"""Opens files as the usual loaders do, each in a process of its own: what is in them RUNS. For the suite's own files.

python firing.py < lines of "pickle|torch|numpy PATH"
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.storage  # noqa: F401  (so that children find it loaded)


def reconstruct(meta: dict[str, Any]) -> object:
    """As NVIDIA's code does it: a module's source is run."""
    exec(meta["module_src"])
    return object()


class Network:
    """In place of the class of NVIDIA's TensorFlow code."""


def install_stand_ins() -> None:
    """Names that a person who uses NVIDIA's pickles has on the path."""
    for name, attributes in {
        "torch_utils.persistence": {"_reconstruct_persistent_obj": reconstruct},
        "dnnlib.util": {"EasyDict": dict},
        "dnnlib.tflib.network": {"Network": Network},
    }.items():
        parts = name.split(".")
        for i in range(len(parts)):
            sys.modules.setdefault(".".join(parts[: i + 1]), ModuleType(".".join(parts[: i + 1])))
        vars(sys.modules[name]).update(attributes)


def load(how: str, path: str) -> None:
    match how:
        case "pickle":
            with Path(path).open("rb") as file:
                pickle.load(file)
        case "torch":
            torch.load(path, weights_only=False)
        case "numpy":
            content = np.load(path, allow_pickle=True)
            _ = [content[name] for name in content] if path.endswith(".npz") else content


def main() -> None:
    install_stand_ins()
    for line in sys.stdin.read().splitlines():
        how, path = line.split(" ", 1)
        child = os.fork()
        if not child:
            try:
                os.dup2(os.open(os.devnull, os.O_RDWR), 0)
                os.dup2(0, 1)
                os.dup2(0, 2)
                load(how, path)
            finally:
                os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
