"""Files that are whole or not there: written aside, then renamed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lga_core import OutputError


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A path to write to; what is there afterwards becomes `path`, and nothing does if anything fails.

    Raises OutputError where nothing can be written.
    """
    made(path.parent)
    written = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        yield written
        written.replace(path)
    except OSError as err:
        raise OutputError(f"{path} could not be written ({err.strerror or err}). Make room, then try again.") from err
    finally:
        written.unlink(missing_ok=True)


def write(path: Path, content: bytes | str) -> Path:
    """The path, with this content. Raises OutputError."""
    with aside(path) as written:
        written.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def made(folder: Path) -> Path:
    """The folder, made if it was not there. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise OutputError(f"The folder {folder} cannot be made ({err.strerror or err}). Choose another --out.") from err
    return folder
