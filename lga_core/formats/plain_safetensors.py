"""Safetensors files of whatever origin: a table of plain tensors. Ours, with their metadata, are `native`'s."""

import json
from itertools import pairwise
from math import prod
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError
from .byte_source import AGAIN, OTHER, ByteSource
from .pickle_values import shown
from .torch_storage import MAX_TENSORS, as_dtype, is_shape

MAX_HEADER = 16 << 20

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def is_safetensors(source: ByteSource) -> bool:
    """It begins with the length of its header, which begins with a brace."""
    return source.data[8:9] == b"{" and int.from_bytes(source.data[:8], "little") < 1 << 48


def read_safetensors(source: ByteSource, where: str) -> dict[str, Tensor]:
    """The tensors by name. Raises CheckpointError for a file that they do not fill exactly, one after another."""
    begin = 8 + int.from_bytes(source.data[:8], "little")
    if begin > min(source.size, 8 + MAX_HEADER):
        raise CheckpointError(f"{where} has {source.size:,} bytes, but a header of {begin - 8:,}. {AGAIN}")
    header = _header(source.data[8:begin], where)
    try:
        tensors = {name: _Entry(entry) for name, entry in header.items() if name != "__metadata__"}
        if len(tensors) > MAX_TENSORS:
            raise ValueError(f"it describes more than {MAX_TENSORS:,} tensors")
        bounds = sorted((entry.start, entry.stop) for entry in tensors.values())
        if any(a[1] != b[0] for a, b in pairwise([(0, 0), *bounds, (source.size - begin,) * 2])):
            raise ValueError("its tensors do not fill the file one after another")
        return {
            name: as_dtype(source.tensor(begin + entry.start, entry.stop - entry.start), entry.dtype).reshape(
                entry.shape
            )
            for name, entry in tensors.items()
        }
    except ValueError as err:
        raise CheckpointError(f"{where}: {err}. {AGAIN}") from err


def _header(content: bytes, where: str) -> dict[str, Any]:
    try:
        header = json.loads(content, object_pairs_hook=_unique, parse_int=_small)
    except (ValueError, RecursionError) as err:
        raise CheckpointError(f"{where}: its header is not a table of tensors ({shown(str(err))}). {OTHER}") from err
    if not isinstance(header, dict):
        raise CheckpointError(f"{where}: its header is not a table of tensors. {OTHER}")
    return header


class _Entry:
    """What the header says of a tensor. Raises ValueError if that cannot be."""

    def __init__(self, entry: Any):
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise ValueError("a tensor is not described by its type, shape and place")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise ValueError(f"a tensor is of the type {shown(dtype)}; {', '.join(_DTYPES)} are read")
        if (
            not isinstance(shape, list)
            or not isinstance(offsets, list)
            or not is_shape(tuple(shape))
            or len(offsets) != 2
        ):
            raise ValueError("a tensor has an impossible shape or place")
        self.dtype, self.shape, (self.start, self.stop) = _DTYPES[dtype], shape, offsets
        if not is_shape(tuple(offsets)) or self.stop - self.start != prod(shape) * self.dtype.itemsize:
            raise ValueError(f"a tensor of the shape {shape} has another number of bytes than it needs")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name occurs twice")
    return table


def _small(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError("a number is too large")
    return int(digits)
