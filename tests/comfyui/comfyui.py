"""A real ComfyUI of its own: on a free loopback port, on the CPU, with this pack and no other in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACK = "language-guided-animation"
# The order in which ComfyUI looks for the folder of templates; it serves files of the first that exists, and no other.
TEMPLATE_FOLDERS = ("example_workflows", "example", "examples", "workflow", "workflows")
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1", "CUDA_VISIBLE_DEVICES": ""}
# Without the first, the Templates dialog covers the canvas of a first visit; the map covers nodes in pictures.
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False}


class Server:
    """`python main.py` in `checkout`; its input, output, models and user files lie under `base`.

    In a `with` statement: it answers inside, and every process of it has ended outside.
    """

    def __init__(self, checkout: Path, python: Path, base: Path, pack: Path = ROOT):
        self.base, self.log_file = base, base / "comfyui.log"
        for folder in ("custom_nodes", "input", "output", "temp", "models", "user/default"):
            (base / folder).mkdir(parents=True, exist_ok=True)
        example = checkout / "input/example.png"  # ComfyUI's own, which new Load Image nodes show
        if example.exists():
            shutil.copy(example, base / "input")
        (base / "custom_nodes" / PACK).symlink_to(pack, target_is_directory=True)
        (base / "user/default/comfy.settings.json").write_text(json.dumps(SETTINGS))
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        words = ["--cpu", "--listen", "127.0.0.1", "--port", port, "--base-directory", base, "--log-stdout"]
        words += ["--disable-auto-launch", "--disable-api-nodes", "--database-url", f"sqlite:///{base}/user/comfyui.db"]
        with self.log_file.open("w") as log:
            self.process = subprocess.Popen(
                [str(word) for word in (python, "-u", "main.py", *words)],
                cwd=checkout,
                env=os.environ | OFFLINE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that its children can be ended with it
            )

    def __enter__(self) -> Server:
        try:
            self.wait_until_it_answers(seconds=180)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def wait_until_it_answers(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.url}/system_stats", timeout=5).close()
                return
            except OSError:
                time.sleep(0.2)
        code = self.process.poll()
        why = f"is silent after {seconds:.0f} s" if code is None else f"ended with {code}"
        raise RuntimeError(f"ComfyUI {why}. Its log ends:\n{self.log()[-4000:]}")

    def log(self) -> str:
        """What it has said so far, without the colours that newer ones use."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.log_file.read_text(errors="replace"))

    def memory(self) -> int:
        """Bytes that the server holds (RSS; Linux only)."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, how)
                self.process.wait(timeout=10)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self.process.wait(timeout=10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def checkout() -> Path | None:
    """The ComfyUI that the environment names."""
    return Path(os.environ["COMFYUI_DIR"]).resolve() if os.environ.get("COMFYUI_DIR") else None


def interpreter(checkout: Path) -> Path:
    """COMFYUI_PYTHON, else that of the checkout's own .venv, else the one that runs the tests."""
    own = checkout / ".venv/bin/python"
    return Path(os.environ.get("COMFYUI_PYTHON") or (own if own.exists() else sys.executable))


def chromium() -> str | None:
    """CHROMIUM, else the first that is on PATH."""
    found = map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))
    return os.environ.get("CHROMIUM") or next(filter(None, found), None)


def template_folder(pack: Path = ROOT) -> Path:
    """The folder that ComfyUI serves the pack's templates from."""
    return next(pack / name for name in TEMPLATE_FOLDERS if (pack / name).is_dir())


def workflow_files(pack: Path = ROOT) -> list[Path]:
    """The pack's templates, wherever they lie."""
    return sorted(file for name in TEMPLATE_FOLDERS for file in (pack / name).glob("*.json"))
