"""What the writers of foreign files share: pickling under other people's names, torch's containers, random models.

Pickles name classes and functions of packages that are not installed here. `ForeignPickler` writes such a name for a
stand-in without importing anything: neither the packages nor false modules in `sys.modules` are needed.
"""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any, Literal, TypeVar
from unittest import mock

import torch
from torch import Tensor, nn

Container = Literal["zip", "zip-2020", "legacy"]
"""`zip`: as this torch writes it. `zip-2020`: the members of torch 1.6's alone. `legacy`: five pickles and raw data."""

NumpyCore = Literal["numpy._core", "numpy.core"]
"""What numpy's inner module is called in a pickle: from numpy 2 on, and before."""

T = TypeVar("T")
_FOREIGN: dict[Any, tuple[str, str]] = {}


def foreign(module: str, name: str) -> Callable[[T], T]:
    """Decorator: pickles call this stand-in by that module and name."""

    def register(stand_in: T) -> T:
        _FOREIGN[stand_in] = (module, name)
        return stand_in

    return register


class ForeignPickler(pickle._Pickler):
    """Python's own pickler in Python, writing the names of stand-ins and one of numpy's two names."""

    numpy_core: NumpyCore = "numpy._core"

    def save_global(self, obj: Any, name: str | None = None) -> None:
        found = self._foreign_name(obj)
        if found is None:
            super().save_global(obj, name)
            return
        if self.proto >= 4:
            self.save(found[0])
            self.save(found[1])
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + "{}\n{}\n".format(*found).encode())
        self.memoize(obj)

    def _foreign_name(self, obj: Any) -> tuple[str, str] | None:
        if obj in _FOREIGN:
            return _FOREIGN[obj]
        module = getattr(obj, "__module__", None) or ""
        for core in ("numpy._core", "numpy.core"):
            if module.startswith(core):
                return self.numpy_core + module.removeprefix(core), obj.__qualname__
        return None

    dispatch = {**pickle._Pickler.dispatch, FunctionType: save_global}


def pickler(numpy_core: NumpyCore = "numpy._core") -> type[ForeignPickler]:
    return type("Pickler", (ForeignPickler,), {"numpy_core": numpy_core})


def write_pickle(path: Path, value: Any, protocol: int, numpy_core: NumpyCore = "numpy._core") -> Path:
    """One plain pickle and nothing after it."""
    with path.open("wb") as file:
        pickler(numpy_core)(file, protocol).dump(value)
    return path


def save_torch(
    path: Path,
    value: Any,
    container: Container = "zip",
    device: str = "cpu",
    numpy_core: NumpyCore = "numpy._core",
) -> Path:
    """torch.save, with stand-ins allowed. `device` is where the file says that its tensors were."""
    module = SimpleNamespace(__name__="pickle", Pickler=pickler(numpy_core), dump=pickle.dump)
    with mock.patch("torch.serialization.location_tag", lambda storage: device):
        torch.save(value, path, pickle_module=module, _use_new_zipfile_serialization=container != "legacy")
    if container == "zip-2020":
        _rewrite_as_2020(path)
    return path


def _rewrite_as_2020(path: Path) -> None:
    """Keep data.pkl, data/* and version only, each beginning at a multiple of 64 bytes as torch has it."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    kept = {name: data for name, data in members.items() if _in_2020(name.split("/", 1)[1])}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in kept.items():
            info = zipfile.ZipInfo(name)
            begin = archive.fp.tell() + 30 + len(name) + 4
            padding = -begin % 64
            info.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
            archive.writestr(info, data)


def _in_2020(name: str) -> bool:
    return name in ("data.pkl", "version") or name.startswith("data/")


def stream(value: Any) -> bytes:
    """A legacy torch stream in memory."""
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def fir_filter() -> Tensor:
    """[4, 4]: outer([1, 3, 3, 1]) / 64."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return taps.outer(taps) / 64


def randomised(model: nn.Module, seed: int) -> nn.Module:
    """The model, with the biases, gains, averages and statistics that start at a constant moved off it."""
    rng = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(1234)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=rng)
        elif tensor.ndim <= 1 or name.endswith("latent_avg"):
            tensor.add_(torch.randn(tensor.shape, generator=rng), alpha=0.1)
    return model.eval().requires_grad_(False)


def random_tensors(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Tensors for a state dict of these shapes: counters are whole numbers, variances positive."""
    rng = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            tensors[name] = torch.tensor(1234)
        else:
            tensors[name] = torch.rand(shape, generator=rng) + (0.5 if name.endswith("running_var") else -0.5)
    return tensors
