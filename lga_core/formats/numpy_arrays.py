"""NumPy's arrays as tensors: in .npy and .npz files, and inside pickles. Nothing in them is unpickled, ever."""

import re
from collections.abc import Mapping
from math import prod
from struct import unpack
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError
from .byte_source import AGAIN, OTHER, ByteSource
from .pickle_values import Call, Constant, Unfinished, same, shown
from .torch_storage import MAX_TENSORS, as_dtype, is_shape
from .zip_archive import Member, check_crc, inflate

_DTYPES = {
    "f2": torch.float16,
    "f4": torch.float32,
    "f8": torch.float64,
    "i4": torch.int32,
    "i8": torch.int64,
    "u1": torch.uint8,
    "b1": torch.bool,
}
_SCALARS = {"f2": "<e", "f4": "<f", "f8": "<d", "i4": "<i", "i8": "<q", "u1": "<B", "b1": "<?"}

MAX_INFLATED = 64 << 20
"""Bytes that a packed .npz file may unpack to."""

_NPY_MAGIC = b"\x93NUMPY"
_NPY_HEADER = re.compile(
    r"\{'descr': '([<|])([a-z]\d)', 'fortran_order': (True|False), 'shape': \(((?:\d{1,10}L?,? ?)*)\),? ?\} *\n?"
)
_MAX_HEADER = 4096


# Files.


def is_npy(source: ByteSource) -> bool:
    return source.data[: len(_NPY_MAGIC)] == _NPY_MAGIC


def read_npy(source: ByteSource, start: int, stop: int, where: str) -> Tensor:
    """The array that fills the bytes from `start` to `stop`. Raises CheckpointError."""
    data = source.data
    if stop - start < 12 or data[start : start + 6] != _NPY_MAGIC or data[start + 6] not in (1, 2, 3):
        raise CheckpointError(f"{where} is not a NumPy array, or only the beginning of one. {AGAIN}")
    size = 2 if data[start + 6] == 1 else 4
    begin = start + 8 + size
    end = begin + int.from_bytes(data[start + 8 : begin], "little")
    if end > stop or end - begin > _MAX_HEADER:
        raise CheckpointError(f"{where}: its header of {end - begin:,} bytes is not that of an array. {OTHER}")
    header = str(data[begin:end], "latin-1")
    match = _NPY_HEADER.fullmatch(header)
    if match is None or match[2] not in _DTYPES:
        raise CheckpointError(
            f"{where}: its header says {shown(header.strip())}. Only arrays of {', '.join(_DTYPES)} (little-endian) "
            "are read, and never Python objects. Save it again as float32."
        )
    shape = tuple(int(number) for number in re.findall(r"\d+", match[4]))
    try:
        return _array(source, end, stop, match[2], shape, match[3] == "True")
    except ValueError as err:
        raise CheckpointError(f"{where}: {err}. {AGAIN}") from err


def read_npz(source: ByteSource, members: Mapping[str, Member], where: str) -> dict[str, Tensor]:
    """The arrays of an .npz file by name, packed ones too. Raises CheckpointError."""
    arrays, room = {}, MAX_INFLATED
    for name, member in members.items():
        inside = f"{where}: {name[:80]!r} in it"
        if not name.endswith(".npy"):
            raise CheckpointError(f"{inside} is not an array. Choose an .npz file that holds arrays only.")
        if not member.deflated:
            check_crc(source, member, where)
            arrays[name[:-4]] = read_npy(source, member.start, member.stop, inside)
            continue
        room -= member.size
        if room < 0:
            raise CheckpointError(
                f"{where} unpacks to more than {MAX_INFLATED:,} bytes. Save it with numpy.savez, unpacked."
            )
        content = ByteSource(inflate(source, member, where))
        arrays[name[:-4]] = read_npy(content, 0, content.size, inside)
    return arrays


def _array(source: ByteSource, start: int, stop: int, code: str, shape: tuple[int, ...], fortran: bool) -> Tensor:
    """Raises ValueError unless the bytes are exactly those of such an array."""
    dtype = _DTYPES[code]
    if not is_shape(shape) or prod(shape) * dtype.itemsize != stop - start:
        raise ValueError(f"an array of the shape {list(shape)} and type {code} cannot have {stop - start:,} bytes")
    values = as_dtype(source.tensor(start, stop - start), dtype)
    if not fortran:
        return values.reshape(shape)
    return values.reshape(shape[::-1]).permute(*reversed(range(len(shape))))


# In pickles.


class _Dtype(Unfinished):
    """numpy.dtype(code, False, True), then BUILD with the byte order."""

    __slots__ = ("code",)

    def __init__(self, code: Any, align: Any, copy: Any):
        super().__init__()
        if type(code) is not str or code not in _DTYPES:
            raise ValueError(f"an array's type is not one of {', '.join(_DTYPES)}")
        if (type(align), type(copy)) not in ((bool, bool), (int, int)) or align or not copy:
            raise ValueError("an array's type is described in an unknown way")
        self.code = code

    def build(self, state: Any) -> "_FullDtype":
        if not any(same(state, (3, order, None, None, None, -1, -1, 0)) for order in "<|"):
            raise ValueError("an array's type has another byte order, fields or parts")
        return _FullDtype(self.code)


class _FullDtype:
    __slots__ = ("code",)

    def __init__(self, code: str):
        self.code = code


class _Arrays:
    """Makes a file's arrays, and counts them."""

    def __init__(self, source: ByteSource):
        self.source = source
        self.count = 0

    def begin(self, cls: Any, shape: Any, code: Any) -> "_Array":
        if cls is not _NDARRAY or not same(shape, (0,)) or not same(code, b"b"):
            raise ValueError("an array is begun in an unknown way")
        self.count += 1
        if self.count > MAX_TENSORS:
            raise ValueError(f"it holds more than {MAX_TENSORS:,} arrays")
        return _Array(self.source)


class _Array(Unfinished):
    """An empty array, then BUILD with (1, shape, dtype, whether in Fortran's order, bytes)."""

    __slots__ = ("source",)

    def __init__(self, source: ByteSource):
        super().__init__()
        self.source = source

    def build(self, state: Any) -> Tensor:
        if type(state) is not tuple or len(state) != 5 or not same(state[0], 1) or type(state[3]) is not bool:
            raise ValueError("an array is described in an unknown way")
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _FullDtype) or not is_shape(shape):
            raise ValueError("an array has an impossible shape or type")
        source, start, stop = self.source.part(content)
        return _array(source, start, stop, dtype.code, shape, fortran)


def _scalar(dtype: Any, content: Any) -> float | int | bool:
    if not isinstance(dtype, _FullDtype) or type(content) is not bytes or len(content) != _DTYPES[dtype.code].itemsize:
        raise ValueError("a number of NumPy's is described in an unknown way")
    return unpack(_SCALARS[dtype.code], content)[0]


class _NdarrayClass:
    pass


_NDARRAY = _NdarrayClass()


def allowed_arrays(source: ByteSource) -> dict[tuple[str, str], Call | Constant]:
    """The names in pickles that stand for NumPy's arrays and numbers, of NumPy 1 and 2."""
    arrays = _Arrays(source)
    names: dict[tuple[str, str], Call | Constant] = {
        ("numpy", "ndarray"): Constant(_NDARRAY),
        ("numpy", "dtype"): Call(_Dtype, 3, 3),
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        names[module, "_reconstruct"] = Call(arrays.begin, 3, 3)
        names[module, "scalar"] = Call(_scalar, 2, 2)
    return names
