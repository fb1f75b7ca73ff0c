"""Opens the files of a folder one after another as whatever they are, in a process of its own, and says what happened.

python opening.py FOLDER < names     # one JSON object a line: name, outcome, message, seconds, megabytes
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch

from lga_core.checkpoints.conversion import open_foreign
from lga_core.formats.foreign import read_foreign
from lga_core.formats.header import is_native, read_metadata
from lga_core.formats.native import load_checkpoint

MAX_SECONDS = 5
MAX_BYTES = 1 << 30


def open_whatever(path: Path) -> Any:
    """What a person's file is opened with, whatever it is. Raises CheckpointError."""
    return load_checkpoint(path, read_metadata(path)["kind"]) if is_native(path) else open_foreign(path)


HOW = {"read": read_foreign, "open": open_whatever}
"""`read` goes as far as the values in the container, `open` makes models of them."""


def attempt(how: str, path: Path) -> dict[str, Any]:
    reset_peak()
    before, began, outcome = memory("VmRSS"), time.process_time(), "opened"
    try:
        HOW[how](path)
    except BaseException as err:  # whatever it is, the test shows it
        outcome = f"{type(err).__name__}: {err}"[:2000]
    seconds = time.process_time() - began
    megabytes = (memory("VmHWM") - before) / 2**20
    return {"name": path.name, "outcome": outcome, "seconds": seconds, "megabytes": megabytes}


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def memory(field: str) -> int:
    """VmRSS, VmHWM (its peak) or VmSize, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    torch.zeros(4).numpy()
    limit = memory("VmSize") + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in sys.stdin.read().splitlines():
        how, name = line.split(" ", 1)
        print(json.dumps(attempt(how, folder / name)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
