"""Files opened in a process of their own, so that what they do there is seen from here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paths import ROOT, TESTS

HERE = Path(__file__).parent


def run(script: str, lines: list[str], *args: object, **environment: str) -> str:
    """Run a script beside this one in a process of its own; what it prints."""
    path = os.pathsep.join([str(ROOT), str(TESTS), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, args)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment},
    )
    assert done.returncode == 0, (
        f"{script} ended with {done.returncode} after:\n{done.stdout[-300:]}\n{done.stderr[-3000:]}"
    )
    return done.stdout


def opened(folder: Path, expected: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """How it went to open each file. One that should load may be no model of ours: it is only read."""
    lines = [f"{'read' if expect.startswith('load') else 'open'} {name}" for name, expect in expected.items()]
    results = [json.loads(line) for line in run("opening.py", lines, folder).splitlines()]
    return {result["name"]: result for result in results}
