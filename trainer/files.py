"""Files that are whole or not there: written aside, then renamed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A path to write to; what is there afterwards becomes `path`, and nothing does if anything fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        yield written
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> Path:
    with aside(path) as written:
        written.write_text(text, encoding="utf-8")
    return path
