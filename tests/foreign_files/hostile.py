"""The hostile suite: files that must be refused, and what each of them tries. `python hostile.py FOLDER` writes them.

A file that would run something makes a mark, a new file in the canary folder: a reader that runs any of it is caught.
The folder gets an index.json: file name -> {"what", "expect"}, as `--hostile-dir` takes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Case:
    """One file.

    make: its bytes, given the path of the mark that it makes when it runs.
    expect: "refuse ...", "refuse or load ...", "load ...".
    fires_with: which usual loader runs it: pickle.load, torch.load(weights_only=False), numpy.load(allow_pickle=True).
    """

    name: str
    what: str
    make: Callable[[str], bytes]
    expect: str = "refuse"
    fires_with: Literal["pickle", "torch", "numpy"] | None = None

    def write(self, folder: Path, canary: Path) -> Path:
        path = folder / self.name
        path.write_bytes(self.make(str(canary / f"mark_of_{self.name}")))
        return path


def cases() -> list[Case]:
    """Every file of the suite."""
    from foreign_files import hostile_containers, hostile_layouts, hostile_pickles

    modules = hostile_pickles, hostile_containers, hostile_layouts
    found = [*(case for module in modules for case in module.cases()), *found_by_fuzzing()]
    assert len({case.name for case in found}) == len(found), "two files of one name"
    return found


def found_by_fuzzing() -> Iterator[Case]:
    """Files that `fuzzing.py` has kept."""
    for path in sorted((Path(__file__).parent / "found").glob("*.bin")):
        yield Case(f"found_{path.name}", "went wrong once", lambda mark, path=path: path.read_bytes(), "refuse or load")


def write_suite(folder: Path, canary: Path) -> Iterator[Path]:
    """Write the suite and its index."""
    folder.mkdir(parents=True, exist_ok=True)
    index = {case.name: {"what": case.what, "expect": case.expect} for case in cases()}
    (folder / "index.json").write_text(json.dumps(index, indent=1))
    for case in cases():
        yield case.write(folder, canary)
