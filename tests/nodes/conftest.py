"""Two tiny domains of random networks, and the one that comes with the pack, as the loaders give them out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:  # importlib mode does not add it; tests say `from pack import ...`
    sys.path.insert(0, str(HERE))

from domains import Loaded, loaded, make_domain  # noqa: E402


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """A folder of models with the domains `tiny` and `other`. Not to be changed."""
    folder = tmp_path_factory.mktemp("comfyui") / "models"
    make_domain(folder, "tiny", seed=0)
    make_domain(folder, "other", seed=1)
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    """Without ComfyUI, the nodes read and write below the current folder: a new one for each test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def with_models(here, models) -> Path:
    """The current folder, with the models in it. What nodes keep beside them stays in this folder."""
    (here / "models/lga").mkdir(parents=True)
    for folder in (models / "lga").iterdir():
        (here / "models/lga" / folder.name).symlink_to(folder, target_is_directory=True)
    return here


@pytest.fixture(scope="session")
def tiny(models) -> Loaded:
    return loaded(models.parent, "tiny/domain.json")


@pytest.fixture(scope="session")
def other(models) -> Loaded:
    """As large as `tiny`, with other weights in each part."""
    return loaded(models.parent, "other/domain.json")


@pytest.fixture(scope="session")
def doodle(models) -> Loaded:
    return loaded(models.parent, "doodle (embedded)")


@pytest.fixture
def pictures() -> torch.Tensor:
    """An IMAGE of two pictures [2 24 20 3]."""
    return torch.rand(2, 24, 20, 3, generator=torch.Generator().manual_seed(0))
