"""Files that are whole or not there, in folders that are made where they are missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lga_core import OutputError
from lga_core.atomic_files import written_aside


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """As `written_aside`; the folder is made if it is missing. Raises OutputError where nothing can be written."""
    made(path.parent)
    with written_aside(path) as part:
        yield part


def write(path: Path, content: bytes | str) -> Path:
    """The path, with this content. Raises OutputError."""
    with aside(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def made(folder: Path) -> Path:
    """The folder, made if it is missing. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise OutputError(f"The folder {folder} cannot be made ({err.strerror or err}). Choose another --out.") from err
    return folder
