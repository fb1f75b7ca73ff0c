"""Tensors as pickles describe them: which bytes, of which type, seen through which shape. All of it is checked.

What a pickle of PyTorch says of a tensor is a storage, an offset, a size and strides; where the storage's bytes lie
depends on the container (`torch_files`).
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from .pickle_values import Call, Constant

MAX_TENSORS = 200_000
MAX_RANK = 5

_STORAGE_CLASSES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


@dataclass(frozen=True)
class StorageClass:
    """A class of torch's that a persistent id names."""

    dtype: torch.dtype


STORAGE_CLASSES = {("torch", name): Constant(StorageClass(dtype)) for name, dtype in _STORAGE_CLASSES.items()}


@dataclass(frozen=True)
class Storage:
    """Values in a row [numel]; they may be filled in later."""

    values: Tensor


@dataclass(frozen=True)
class StorageId:
    """What a persistent id says: ('storage', class, key, location, numel). The location, a device, does not matter."""

    key: str
    dtype: torch.dtype
    numel: int

    @property
    def num_bytes(self) -> int:
        return self.numel * self.dtype.itemsize

    @classmethod
    def read(cls, value: Any, length: int) -> "StorageId":
        """Raises ValueError for anything but `length` such values, the sixth being None."""
        if type(value) is not tuple or len(value) != length or any(entry is not None for entry in value[5:]):
            raise ValueError("a reference to data is not of the form that PyTorch writes")
        word, storage_class, key, location, numel = value[:5]
        if type(word) is not str or word != "storage" or not isinstance(storage_class, StorageClass):
            raise ValueError("a reference to data does not name a storage that checkpoints have")
        if type(key) is not str or not (key.isascii() and key.isdigit() and len(key) <= 20):
            raise ValueError("a reference to data has a key that is not a number")
        if type(location) is not str or len(location) > 64:
            raise ValueError("a reference to data has a location that is not a device")
        if type(numel) is not int or not 0 <= numel < 1 << 40:
            raise ValueError("a reference to data has an impossible length")
        return cls(key, storage_class.dtype, numel)


def as_dtype(raw: Tensor, dtype: torch.dtype) -> Tensor:
    """Bytes [n] as values [n / size], sharing memory. Raises ValueError for booleans that are neither."""
    if dtype is torch.bool and raw.numel() and int(raw.max()) > 1:
        raise ValueError("a tensor of booleans holds other values")
    return raw.view(dtype)


class Tensors:
    """Makes a file's tensors, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def allowed(self) -> dict[tuple[str, str], Call | Constant]:
        """The names in pickles that stand for this."""
        return {
            ("torch._utils", "_rebuild_tensor_v2"): Call(self.tensor, 6, 7),
            ("torch._utils", "_rebuild_parameter"): Call(parameter, 3, 3),
            **STORAGE_CLASSES,
        }

    def tensor(
        self, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, metadata: Any = None
    ) -> Tensor:
        """A view of a storage. Raises ValueError unless every element lies in it, and no more than it has."""
        self.count += 1
        if self.count > MAX_TENSORS:
            raise ValueError(f"it holds more than {MAX_TENSORS:,} tensors")
        if not isinstance(storage, Storage):
            raise ValueError("a tensor is made of something else than a storage")
        if type(requires_grad) is not bool or not _is_empty(hooks) or not (metadata is None or _is_empty(metadata)):
            raise ValueError("a tensor comes with hooks or attributes, which no checkpoint needs")
        if not is_shape(size) or not is_shape(stride) or not is_shape((offset,)) or len(size) != len(stride):
            raise ValueError(f"a tensor's size, strides or offset are not up to {MAX_RANK} sensible numbers")
        room = storage.values.numel()
        if 0 in size:
            return storage.values.new_empty(size)
        last, numel = offset, 1
        for length, step in zip(size, stride, strict=True):
            last, numel = last + (length - 1) * step, numel * length
        if last >= room or numel > room:
            raise ValueError(f"a tensor of the size {list(size)} does not fit in its storage of {room:,} values")
        return storage.values.as_strided(size, stride, offset)


def parameter(tensor: Any, requires_grad: Any, hooks: Any) -> Tensor:
    """A Parameter is its tensor. Raises ValueError for anything else in it."""
    if not isinstance(tensor, Tensor) or type(requires_grad) is not bool or not _is_empty(hooks):
        raise ValueError("a parameter is made of something else than a tensor")
    return tensor


def is_shape(numbers: Any) -> bool:
    """Whether these are sizes (or strides) of a tensor: up to `MAX_RANK` of them, with which it is safe to reckon."""
    return (
        type(numbers) is tuple
        and len(numbers) <= MAX_RANK
        and all(type(number) is int and number >= 0 for number in numbers)
        and prod(number or 1 for number in numbers) < 1 << 60
    )


def _is_empty(table: Any) -> bool:
    return isinstance(table, dict) and not table
