"""Files that are whole or not there: written aside, then renamed. Everything this project writes goes through here."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A path in the same folder to write to, with the same suffix; it becomes `path` when the block ends.

    If anything is raised, what was at `path` stays as it is and the file written aside is removed. Raises OutputError
    where the folder is missing or the file cannot be written.
    """
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}. Create it first.")
    part = path.with_name(f".{secrets.token_hex(8)}.part{path.suffix}")
    try:
        yield part
        part.chmod(0o666 & ~_umask())  # some writers give their files to their owner alone
        with part.open("rb+") as file:
            os.fsync(file.fileno())  # before the rename: a power failure leaves the old file, or the new one
        part.replace(path)
    except OSError as err:
        raise OutputError(
            f"{path} cannot be written ({err.strerror or err}). Make room, or choose another place."
        ) from err
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)  # there is no way to ask but to set
    os.umask(mask)
    return mask
