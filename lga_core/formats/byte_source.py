"""The bytes of a foreign file: looked at in place, and read once where a tensor needs them."""

import codecs
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, FileIO
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ..errors import CheckpointError

AGAIN = "Download or copy it again."
OTHER = "The file is damaged, or made to deceive: get it from where it was first published."

Form = Literal["bytes", "text", "encoded"]

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Stretch:
    """A part of a source that is too long to copy. Text is in UTF-8; encoded text is bytes written as text.

    Pickles of protocol 2 write bytes so: as the characters 0 to 255.
    """

    start: int
    stop: int
    form: Form


class ByteSource:
    """`size` bytes: `data` to index and slice, which reads only what is touched, and `tensor` to copy out at once.

    Tensors are read past `data`, straight into memory of their own: a big file never counts twice, it may be moved or
    deleted once it is read, and what is done to a tensor never reaches it.
    """

    def __init__(self, data: bytes | mmap.mmap, file: FileIO | None = None):
        self.data = data
        self.size = len(data)
        self._file = file

    def tensor(self, start: int, num_bytes: int) -> Tensor:
        """[num_bytes] uint8, a copy."""
        content = torch.empty(num_bytes, dtype=torch.uint8)
        self.read_into(content, start)
        return content

    def read_into(self, content: Tensor, start: int) -> None:
        """Fill `content` [n] uint8 with the bytes from `start` on."""
        view = content.numpy().data
        if self._file is None:
            view[:] = memoryview(self.data)[start : start + len(view)]
            return
        self._file.seek(start)
        while view:
            count = self._file.readinto(view)
            if not count:
                raise OSError("it became shorter while it was read")
            view = view[count:]

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` to `stop`, up to 1 MiB at a time."""
        for at in range(start, stop, _CHUNK):
            end = min(at + _CHUNK, stop)
            if self._file is None:
                yield bytes(self.data[at:end])
            else:
                self._file.seek(at)
                yield self._file.read(end - at)

    def part(self, content: object) -> "tuple[ByteSource, int, int]":
        """Where the bytes that a pickle holds are: a source, and where in it. Raises ValueError if they are none."""
        if type(content) is bytes:
            return ByteSource(content), 0, len(content)
        if not isinstance(content, Stretch) or content.form == "text":
            raise ValueError("something else stands where data is needed")
        if content.form == "bytes":
            return self, content.start, content.stop
        decoded = BytesIO()
        decoder = codecs.getincrementaldecoder("utf-8")()
        for chunk in self.chunks(content.start, content.stop):
            decoded.write(decoder.decode(chunk).encode("latin-1"))
        decoder.decode(b"", final=True)
        source = ByteSource(decoded.getvalue())  # which does not copy
        return source, 0, source.size


@contextmanager
def open_source(path: Path) -> Iterator[ByteSource]:
    """Open a file to read. Raises CheckpointError for what is not a file, is empty, or cannot be read."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise CheckpointError(f"{path} is a folder; a model file is needed. Choose a file in it.")
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointError(f"{path} is not a regular file. Choose a model file.")
        if status.st_size == 0:
            raise CheckpointError(f"{path} is empty (0 bytes). {AGAIN}")
        with path.open("rb", buffering=0) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield ByteSource(data, file)
    except FileNotFoundError as err:
        raise CheckpointError(f"There is no file {os.fspath(path)}. Check the path.") from err
    except OSError as err:
        raise CheckpointError(f"{path} cannot be read ({err}). Check the file and its permissions.") from err
