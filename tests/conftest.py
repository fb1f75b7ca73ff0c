"""Options and fixtures shared by all tests."""

import os
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
OWN_GOLDEN = HERE / "golden"
if str(HERE) not in sys.path:  # importlib mode does not add it; tests say `from golden_rule import ...`
    sys.path.insert(0, str(HERE))

from golden_rule import GoldenFile  # noqa: E402


def pytest_addoption(parser):
    parser.addoption(
        "--golden-dir",
        type=Path,
        default=OWN_GOLDEN,
        help="folder of golden files (*.safetensors); another set made by the same rule passes through the same tests",
    )
    parser.addoption(
        "--face-model",
        type=Path,
        default=os.environ.get("LGA_FACE_LANDMARKER"),
        help="MediaPipe's face_landmarker.task, for the tests of faces on photographs (or LGA_FACE_LANDMARKER)",
    )
    parser.addoption("--hostile-dir", type=Path, default=None, help="folder of hostile model files to refuse")


def pytest_configure(config):
    config.addinivalue_line("markers", "golden(kind): run once for each golden file whose `kind` begins so")
    config.addinivalue_line("markers", "long: of several workers one begins with this file, so that all end together")
    if in_a_worker(config):
        torch.set_num_threads(1)


def in_a_worker(config) -> bool:
    """Whether pytest-xdist shares the tests out among several processes, of which this is one."""
    return hasattr(config, "workerinput")


def pytest_collection_modifyitems(config, items):
    if in_a_worker(config):
        items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_generate_tests(metafunc):
    """A test marked `golden(kind)` runs for each such file in --golden-dir; it gets it as the argument `golden`."""
    if "golden" not in metafunc.fixturenames:
        return
    kinds = tuple(kind for marker in metafunc.definition.iter_markers("golden") for kind in marker.args)
    files = [file for file in golden_files(metafunc.config) if file.kind.startswith(kinds)]
    if not files and metafunc.config.getoption("--golden-dir") == OWN_GOLDEN:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: no golden file is of the kind {kinds}")
    metafunc.parametrize("golden", files, ids=[file.path.stem for file in files], scope="module")


def golden_files(config) -> list[GoldenFile]:
    folder: Path = config.getoption("--golden-dir")
    files = [GoldenFile(path) for path in sorted(folder.glob("*.safetensors"))]
    if not files:
        raise pytest.UsageError(f"--golden-dir {folder} holds no *.safetensors files")
    return files


@pytest.fixture
def all_golden_files(pytestconfig) -> list[GoldenFile]:
    return golden_files(pytestconfig)


@pytest.fixture(scope="session")
def face_model(pytestconfig) -> Path:
    """MediaPipe's model file, where it and MediaPipe are there."""
    pytest.importorskip("mediapipe")
    if (path := pytestconfig.getoption("--face-model")) is None:
        pytest.skip("--face-model names no face_landmarker.task")
    return Path(path)


class Rng:
    """Random float64 tensors, the same in every run."""

    def __init__(self, seed: int = 0):
        self.generator = torch.Generator().manual_seed(seed)

    def randn(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def rand(self, *shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=self.generator, dtype=torch.float64)


@pytest.fixture
def rng() -> Rng:
    return Rng()
