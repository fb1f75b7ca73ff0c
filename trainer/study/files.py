"""Folders and files of a study: a file appears whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from lga_core import OutputError, check_writable


def made(folder: Path) -> Path:
    """The folder, made if it was not there. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise OutputError(f"The folder {folder} cannot be made ({err.strerror or err}). Choose another --out.") from err
    return folder


def written(path: Path, content: bytes | str) -> Path:
    """Write aside and rename, so that an interrupted write leaves what was there before. Raises OutputError."""
    check_writable(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)
        return aside.replace(path)
    except OSError as err:
        raise OutputError(f"{path} could not be written ({err.strerror or err}). Make room, then try again.") from err
    finally:
        aside.unlink(missing_ok=True)
