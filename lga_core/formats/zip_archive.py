"""Zip archives, read strictly: the central directory, and members that lie where it says, side by side.

Python's zipfile accepts much that hides things: members twice, members in each other, bytes before and between them.
Nothing is unpacked here but by `Member.inflate`, to a limit.
"""

import zlib
from dataclasses import dataclass
from struct import Struct
from typing import NoReturn

from ..errors import CheckpointError
from .byte_source import AGAIN, OTHER, ByteSource

MAX_MEMBERS = 200_000

_END = Struct("<4s4H2LH")  # end of central directory
_END64 = Struct("<4sQ2H2L4Q")
_LOCATOR64 = Struct("<4sLQL")
_ENTRY = Struct("<4s6H3L5H2L")  # in the central directory
_LOCAL = Struct("<4s5H3L2H")
_EXTRA = Struct("<2H")
_DESCRIPTOR = 24  # the most that follows a member's data
_STORED, _DEFLATED = 0, 8


@dataclass(frozen=True)
class Member:
    """A file in the archive: its bytes, as stored, are those from `start` to `stop`."""

    name: str
    start: int
    stop: int
    size: int
    crc: int
    deflated: bool


def is_zip(source: ByteSource) -> bool:
    """Whether a file begins as zip archives do."""
    return source.data[:4] == b"PK\x03\x04"


def read_directory(source: ByteSource, where: str) -> dict[str, Member]:
    """The archive's members by name, in the order of the directory. Raises CheckpointError for an unusual archive."""
    return _Directory(source, where).read()


def check_crc(source: ByteSource, member: Member, where: str) -> None:
    """Raises CheckpointError if a stored member's bytes are not those that were written."""
    crc = 0
    for chunk in source.chunks(member.start, member.stop):
        crc = zlib.crc32(chunk, crc)
    refuse_crc(crc, member, where)


def refuse_crc(crc: int, member: Member, where: str) -> None:
    """Raises CheckpointError if this is not the member's checksum."""
    if crc != member.crc:
        raise CheckpointError(f"{where}: {member.name!r} in it is damaged (its checksum differs). {AGAIN}")


def inflate(source: ByteSource, member: Member, where: str) -> bytes:
    """A deflated member's bytes, which are as many as it says. Raises CheckpointError if not."""
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = machine.decompress(source.data[member.start : member.stop], member.size + 1)
    except zlib.error as err:
        raise CheckpointError(f"{where}: {member.name!r} in it cannot be unpacked ({err}). {AGAIN}") from err
    if len(content) != member.size or not machine.eof:
        raise CheckpointError(f"{where}: {member.name!r} in it is not as long as the archive says. {AGAIN}")
    refuse_crc(zlib.crc32(content), member, where)
    return content


class _Directory:
    def __init__(self, source: ByteSource, where: str):
        self.data, self.size, self.where = source.data, source.size, where

    def read(self) -> dict[str, Member]:
        begin, stop, count = self.bounds()
        at = begin
        members: dict[str, Member] = {}
        extents = []
        for _ in range(count):
            member, header, at = self.entry(at, stop)
            if member.name in members:
                self.refuse(f"holds {member.name[:80]!r} twice")
            members[member.name] = member
            extents.append((header, member.stop))
        if at != stop:
            self.refuse("has a directory of another length than it says")
        self.check_extents(sorted(extents), begin)
        return members

    def bounds(self) -> tuple[int, int, int]:
        """Where the central directory begins and ends, and how many entries it has."""
        end = self.size - _END.size
        if end < 0 or self.data[end : end + 4] != b"PK\x05\x06":
            self.refuse("breaks off before its end, or goes on after it", AGAIN)
        _, disk, start_disk, here, count, length, start, comment = _END.unpack_from(self.data, end)
        locator = end - _LOCATOR64.size
        if locator >= 0 and self.data[locator : locator + 4] == b"PK\x06\x07":
            end = locator - _END64.size
            at = _LOCATOR64.unpack_from(self.data, locator)[2]
            if end < 0 or at != end or self.data[end : end + 4] != b"PK\x06\x06":
                self.refuse("has a directory that contradicts itself")
            _, _, _, _, disk, start_disk, here, count, length, start = _END64.unpack_from(self.data, end)
        if disk or start_disk or here != count or comment or start + length != end or not 0 < count <= MAX_MEMBERS:
            self.refuse("has a directory that contradicts itself")
        return start, end, count

    def entry(self, at: int, stop: int) -> tuple[Member, int, int]:
        """The member that the directory describes at `at`, where its header begins, and where the next entry does."""
        if at + _ENTRY.size > stop or self.data[at : at + 4] != b"PK\x01\x02":
            self.refuse("has a broken directory")
        fields = _ENTRY.unpack_from(self.data, at)
        flags, method, crc = fields[3], fields[4], fields[7]
        stored, size, name_length, extra_length, comment_length, disk, header = (*fields[8:14], fields[16])
        name_at = at + _ENTRY.size
        extra_at = name_at + name_length
        following = extra_at + extra_length + comment_length
        if following > stop:
            self.refuse("has a broken directory")
        size, stored, header = self.wide(extra_at, extra_at + extra_length, size, stored, header)
        try:
            name = str(self.data[name_at:extra_at], "utf-8")
        except UnicodeDecodeError:
            self.refuse("holds a file whose name is not text")
        if flags & ~0x080E or disk or method not in (_STORED, _DEFLATED) or (method == _STORED and size != stored):
            self.refuse(f"holds {name[:80]!r} encrypted or packed in a way that no checkpoint is")
        start = self.data_start(header, name, method)
        if start + stored > self.size:
            self.refuse(f"breaks off in {name[:80]!r}", AGAIN)
        return Member(name, start, start + stored, size, crc, method == _DEFLATED), header, following

    def wide(self, at: int, stop: int, *fields: int) -> list[int]:
        """The fields, those that did not fit in 32 bits taken from the extra field 1, where they follow each other."""
        tag, length = 0, 0
        missing = 8 * fields.count(0xFFFFFFFF)
        while missing and tag != 1:
            at += length
            if at + 4 > stop:
                self.refuse("holds a file of unknown length")
            tag, length = _EXTRA.unpack_from(self.data, at)
            at += 4
        if missing and (length < missing or at + length > stop):
            self.refuse("holds a file of unknown length")
        wide = iter(range(at, at + missing, 8))
        return [self.number(next(wide)) if field == 0xFFFFFFFF else field for field in fields]

    def number(self, at: int) -> int:
        return int.from_bytes(self.data[at : at + 8], "little")

    def data_start(self, header: int, name: str, method: int) -> int:
        """Where a member's data begins, after its own header, which must agree with the directory."""
        if header + _LOCAL.size > self.size or self.data[header : header + 4] != b"PK\x03\x04":
            self.refuse(f"does not hold {name[:80]!r} where its directory says")
        fields = _LOCAL.unpack_from(self.data, header)
        name_at = header + _LOCAL.size
        if fields[3] != method or self.data[name_at : name_at + fields[9]] != name.encode():
            self.refuse(f"has another file in the place of {name[:80]!r}")
        return name_at + fields[9] + fields[10]

    def check_extents(self, extents: list[tuple[int, int]], directory: int) -> None:
        """Members fill the file up to the directory: none in another, nothing before, between or after them."""
        at = 0
        for start, stop in [*extents, (directory, directory)]:
            if not at <= start <= at + (_DESCRIPTOR if at else 0):
                self.refuse("holds files in each other, or bytes that belong to none")
            at = stop

    def refuse(self, what: str, remedy: str = OTHER) -> NoReturn:
        raise CheckpointError(f"{self.where} is a zip archive that {what}. {remedy}")
