"""Fixtures of the tests that need a real ComfyUI; without one they are skipped.

    COMFYUI_DIR=/path/to/ComfyUI python -m pytest tests/comfyui --screenshots /tmp/screenshots

COMFYUI_PYTHON is its interpreter, if not .venv/bin/python there; it needs ComfyUI's requirements.txt and this pack's.
CHROMIUM is the browser, if none is on PATH. The tests themselves need the extra `comfyui`.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:  # importlib mode does not add it; tests say `from client import ...`
    sys.path.insert(0, str(HERE))

from browser import Browser  # noqa: E402
from client import Client  # noqa: E402
from comfyui import Server, checkout, chromium, interpreter  # noqa: E402
from prompts import Prompts  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--screenshots", type=Path, default=None, help="folder for pictures of the frontend (PNG)")


def pytest_collection_modifyitems(items):
    if checkout() is None:
        skip = pytest.mark.skip(reason="COMFYUI_DIR names no ComfyUI checkout to run the pack in.")
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(skip)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the end of the server's log."""
    report = yield
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and server:
        report.sections.append(("ComfyUI's log, the end of it", server.log()[-3000:]))
    return report


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends the tests ends the server too
    with Server(checkout(), interpreter(checkout()), tmp_path_factory.mktemp("comfyui")) as server:
        yield server


@pytest.fixture(scope="session")
def client(server) -> Client:
    return Client(server)


@pytest.fixture(scope="session")
def object_info(client) -> dict:
    return client.object_info()


@pytest.fixture(scope="session")
def prompts(object_info) -> Prompts:
    return Prompts(object_info)


@pytest.fixture(scope="session")
def browser(server):
    if not chromium():
        pytest.skip("There is no Chromium on PATH and CHROMIUM names none.")
    with Browser(server.url, chromium()) as browser:
        yield browser


@pytest.fixture(scope="session")
def screenshots(pytestconfig, tmp_path_factory) -> Path:
    folder = pytestconfig.getoption("--screenshots", default=None) or tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
