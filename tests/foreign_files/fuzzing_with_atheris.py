"""Fuzzing that is led by what the reader's code does with a file. By hand; needs `pip install atheris`:

    python fuzzing_with_atheris.py CORPUS [-max_total_time=3600] [-artifact_prefix=found/]

CORPUS is a folder; good files are put into it first. A file that goes wrong is written by atheris itself.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["lga_core.checkpoints", "lga_core.formats"]):
    from foreign_files.opening import open_whatever

    from lga_core import CheckpointError

from foreign_files.assembler import pickled
from foreign_files.fuzzing import PICKLES, parts
from foreign_files.hostile_layouts import KINDS, good
from foreign_files.trees import tree, written

AT_HAND = Path(tempfile.mkdtemp()) / "a"


def try_one(content: bytes) -> None:
    AT_HAND.write_bytes(content)
    with suppress(CheckpointError):
        open_whatever(AT_HAND)


def main() -> None:
    corpus = Path(sys.argv[1])
    corpus.mkdir(exist_ok=True)
    for kind in KINDS:
        (corpus / kind).write_bytes(good(kind))
        (corpus / f"{kind}_values").write_bytes(pickled(written(tree(kind)), 4))
    for kind in PICKLES:
        steps, assemble = parts(kind)
        (corpus / f"{kind}_bare").write_bytes(assemble(b"".join(steps)))
    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
