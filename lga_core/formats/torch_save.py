"""Files of torch.save: zip archives (since PyTorch 1.6), and the stream of five pickles before that."""

import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import torch

from ..errors import CheckpointError
from .byte_source import AGAIN, OTHER, ByteSource
from .pickle_values import LIMITS, Allowed, Limits
from .torch_storage import Storage, StorageId, as_dtype
from .unpickler import read_pickle
from .zip_archive import Member, check_crc, refuse_crc

_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY = re.compile(rb"\x80[\x02-\x05](?:\x95.{8})?\x8a\x0a" + re.escape(_MAGIC.to_bytes(10, "little")), re.DOTALL)
"""How a legacy stream begins: a pickle of that number."""

_PARTS = ("version", "byteorder", ".format_version", ".storage_alignment", ".data/serialization_id")


# Zip archives.


def read_zip(source: ByteSource, members: Mapping[str, Member], where: str, allowed: Allowed) -> Any:
    """The value that torch.save wrote in an archive. Raises CheckpointError."""
    prefix = _check_members(members, where)
    _check_byte_order(source, members.get(prefix + "byteorder"), where)
    program = members[prefix + "data.pkl"]
    check_crc(source, program, where)
    storages = _ZipStorages(source, members, prefix, where)
    value, end = read_pickle(source.data, program.start, program.stop, where, allowed, storages.find)
    if end != program.stop:
        raise CheckpointError(f"{where}: {program.stop - end:,} bytes follow its pickle, which ends there. {OTHER}")
    return value


def _check_members(members: Mapping[str, Member], where: str) -> str:
    """The folder that all members are in. Raises CheckpointError if this is not what torch.save writes."""
    names = set(members)
    prefix = next(iter(names)).split("/")[0] + "/"
    if any(name.startswith((prefix + "code/", prefix + "constants.pkl")) for name in names):
        raise CheckpointError(
            f"{where} is a TorchScript archive, which is a program. Download the weights in another form: for "
            "CLIP, the .safetensors file of the same model."
        )
    if prefix + "data.pkl" not in names:
        raise CheckpointError(f"{where} is a zip archive without data.pkl: not PyTorch's. Choose the file in it.")
    for name, member in members.items():
        part = name.removeprefix(prefix)
        known = part == "data.pkl" or part in _PARTS or (part.startswith("data/") and part[5:].isdigit())
        if not name.startswith(prefix) or not known:
            raise CheckpointError(
                f"{where} is a zip archive that holds {name[:80]!r}, as no PyTorch file does. {OTHER}"
            )
        if member.deflated:
            raise CheckpointError(
                f"{where} is a zip archive whose {name[:80]!r} is packed, as in no PyTorch file. {OTHER}"
            )
    return prefix


def _check_byte_order(source: ByteSource, member: Member | None, where: str) -> None:
    if member is not None and source.data[member.start : member.stop][:16] != b"little":
        raise CheckpointError(
            f"{where} was written on a machine with another byte order. Save it again on a common one."
        )


class _ZipStorages:
    def __init__(self, source: ByteSource, members: Mapping[str, Member], prefix: str, where: str):
        self.source, self.members, self.prefix, self.where = source, members, prefix, where
        self.found: dict[str, Storage] = {}

    def find(self, persistent_id: Any) -> Storage:
        wanted = StorageId.read(persistent_id, 5)
        storage = self.found.get(wanted.key)
        if storage is None:
            storage = self.found[wanted.key] = self.load(wanted)
        if storage.values.dtype != wanted.dtype or storage.values.numel() != wanted.numel:
            raise ValueError(f"the storage {wanted.key} is described in two ways")
        return storage

    def load(self, wanted: StorageId) -> Storage:
        member = self.members.get(f"{self.prefix}data/{wanted.key}")
        if member is None:
            raise ValueError(f"the storage {wanted.key} is not in the archive")
        if member.size != wanted.num_bytes:
            raise ValueError(f"the storage {wanted.key} has {member.size:,} bytes, but {wanted.num_bytes:,} are needed")
        raw = self.source.tensor(member.start, member.size)
        refuse_crc(zlib.crc32(raw.numpy().data), member, self.where)
        return Storage(as_dtype(raw, wanted.dtype))


# Legacy streams.


def is_legacy(source: ByteSource) -> bool:
    """Whether a file begins as those of PyTorch before 1.6 do."""
    return _LEGACY.match(source.data[:32]) is not None


def read_legacy(
    source: ByteSource, start: int, stop: int, where: str, allowed: Allowed, limits: Limits = LIMITS
) -> Any:
    """The value of a stream that fills the bytes from `start` to `stop`. Raises CheckpointError."""
    storages = _LegacyStorages(stop - start)

    def value_at(at: int, allowed: Allowed, persistent: Callable[[Any], Any] | None = None) -> tuple[Any, int]:
        return read_pickle(source.data, at, stop, where, allowed, persistent, limits)

    magic, at = value_at(start, {})
    version, at = value_at(at, {})
    system, at = value_at(at, {})
    if magic != _MAGIC or version != 1001 or not _is_little_endian(system):
        raise CheckpointError(f"{where}: not a stream of torch.save, or one of another byte order. {OTHER}")
    value, at = value_at(at, allowed, storages.find)
    keys, at = value_at(at, {})
    if type(keys) is not list or any(type(key) is not str for key in keys) or sorted(keys) != sorted(storages.found):
        raise CheckpointError(f"{where}: the list of its storages is not that of the storages in use. {OTHER}")
    storages.fill(source, at, stop, keys, where)
    return value


def _is_little_endian(system: Any) -> bool:
    return isinstance(system, dict) and system.get("little_endian") is True


class _LegacyStorages:
    """Storages whose bytes come after everything else."""

    def __init__(self, num_bytes: int):
        self.bytes_left = num_bytes
        self.found: dict[str, tuple[StorageId, torch.Tensor, Storage]] = {}

    def find(self, persistent_id: Any) -> Storage:
        wanted = StorageId.read(persistent_id, 6)
        if wanted.key in self.found:
            known, _, storage = self.found[wanted.key]
            if known != wanted:
                raise ValueError(f"the storage {wanted.key} is described in two ways")
            return storage
        self.bytes_left -= wanted.num_bytes + 8
        if self.bytes_left < 0:
            raise ValueError(
                f"the storage {wanted.key} of {wanted.num_bytes:,} bytes is larger than what the file has left"
            )
        raw = torch.empty(wanted.num_bytes, dtype=torch.uint8)
        storage = Storage(raw.view(wanted.dtype))
        self.found[wanted.key] = wanted, raw, storage
        return storage

    def fill(self, source: ByteSource, at: int, stop: int, keys: list[str], where: str) -> None:
        for key in keys:
            wanted, raw, _ = self.found[key]
            numel = int.from_bytes(source.data[at : min(at + 8, stop)], "little")
            at += 8
            if numel != wanted.numel or at + wanted.num_bytes > stop:
                raise CheckpointError(
                    f"{where}: the storage {key} should have {wanted.numel:,} values; {numel:,} are announced, and "
                    f"{max(0, stop - at):,} bytes are left. {AGAIN}"
                )
            source.read_into(raw, at)
            at += wanted.num_bytes
            try:
                as_dtype(raw, wanted.dtype)
            except ValueError as err:
                raise CheckpointError(f"{where}: {err}. {OTHER}") from err
        if at != stop:
            raise CheckpointError(f"{where}: {stop - at:,} bytes follow where it should end. {OTHER}")
