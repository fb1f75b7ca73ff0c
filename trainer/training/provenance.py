"""Where a result came from: the versions, the machine and the time, as its file and its report keep them."""

from __future__ import annotations

import platform
import subprocess
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch


def made(seconds: float) -> dict[str, Any]:
    """When, how long and with what, for a model file."""
    return {"date": date.today().isoformat(), "minutes": round(seconds / 60, 1), **versions()}


def versions() -> dict[str, str]:
    return {"torch": torch.__version__, "python": platform.python_version(), "revision": revision()}


def machine(device: torch.device) -> str:
    """What a training ran on, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"


def revision() -> str:
    """The version of this code: git's if it is a checkout."""
    try:
        root = Path(__file__).resolve().parent.parent
        command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
        if (root / ".git").exists():
            return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        pass
    try:
        return version("language-guided-animation")
    except PackageNotFoundError:
        return "unknown"
