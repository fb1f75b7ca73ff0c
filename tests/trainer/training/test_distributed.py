"""Several processes train as one would: two on the CPU, launched as anyone would launch them, talking through gloo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import toy_training
from toy_training import Toy, run

from lga_core import InputError
from lga_core.formats.native import load_checkpoint
from lga_trainer.training.distributed import Share, TrainingError, Workers

pytestmark = pytest.mark.long

LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
SCRIPT = toy_training.__file__


def launched(folder: Path, processes: int, **options) -> subprocess.CompletedProcess:
    words = [*LAUNCHER, str(processes), SCRIPT, str(folder), json.dumps(options)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(words, capture_output=True, text=True, timeout=400, env=environment)


def state(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "state.safetensors", "training").tensors


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


# Two processes


@pytest.fixture(scope="module")
def two(tmp_path_factory, domain_folder):
    """The folder of two processes that trained the toy and took one step of a motion's training."""
    folder = tmp_path_factory.mktemp("two")
    done = launched(folder, 2, batch=2, domain=str(domain_folder))
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture(scope="module")
def one(tmp_path_factory, domain_folder):
    """The same in this process, with twice the batch."""
    folder = tmp_path_factory.mktemp("one")
    run(folder / "toy", Toy(batch=4), preview_every=4)
    run(folder / "motion", toy_training.motion_task(str(domain_folder), 4), steps=1)
    return folder


@pytest.mark.parametrize("objective", ["motion", "discriminator"])
def test_two_processes_have_the_gradients_of_one_with_twice_the_batch(one, two, objective):
    """Adam without a first moment keeps the last gradient itself."""
    ours, theirs = state(one / "motion"), state(two[0] / "motion")
    names = [name for name in ours if name.startswith(f"{objective}!") and name.endswith("/exp_avg")]
    assert len(names) > 7
    for name in names:
        torch.testing.assert_close(theirs[name], ours[name], atol=1e-5, rtol=1e-4)
    assert any(ours[name].abs().max() > 1e-3 for name in names)


def test_two_processes_log_the_losses_of_one_with_twice_the_batch(one, two):
    for kind in ("toy", "motion"):
        for ours, theirs in zip(rows(one / kind), rows(two[0] / kind), strict=True):
            assert ours.keys() == theirs.keys()
            for name in ours.keys() - {"seconds", "frames_per_second", "memory_mb"}:
                assert theirs[name] == pytest.approx(ours[name], rel=1e-3, abs=1e-6), name


def test_two_processes_go_where_one_goes(one, two):
    ours, theirs = state(one / "toy"), state(two[0] / "toy")
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(theirs[name], ours[name], atol=1e-4, rtol=1e-3)


def test_the_first_process_alone_speaks_and_writes(two):
    folder, said = two
    assert said.count("a toy: 6 steps") == 1
    assert [row["step"] for row in rows(folder / "toy")] == [2, 4, 6]
    assert [path.name for path in (folder / "toy" / "previews").iterdir()] == ["step_000004.png"]


def test_a_process_that_is_killed_ends_the_other_with_a_sentence_and_a_whole_state(tmp_path):
    done = launched(tmp_path, 2, kill=[3, 1])
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if "error: " in line and "has lost another" in line]
    assert len(said) == 1, done.stderr
    assert "Process 0 of 2 has lost another one" in said[0]
    assert f"The state of the last save is whole in {tmp_path / 'toy'}" in said[0]
    assert load_checkpoint(tmp_path / "toy" / "state.safetensors", "training").metadata["step"] == 2
    run(tmp_path / "toy", Toy(batch=4))  # one process with twice the batch can go on
    assert [row["step"] for row in rows(tmp_path / "toy")] == [2, 4, 6]


# One process


def test_shares_are_equal_parts_in_order():
    whole = torch.arange(12)
    assert [Share(i, 3).of(whole).tolist() for i in range(3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert Share(0, 1).of(whole) is not None and len(Share(0, 1).of(whole)) == 12


def test_a_process_s_parts_are_its_own_in_order(monkeypatch):
    workers = Workers("cpu")
    assert workers.shares(2) == [Share(0, 2), Share(1, 2)]
    monkeypatch.setattr(Workers, "rank", 2)
    monkeypatch.setattr(Workers, "count", 4)
    assert workers.shares(3) == [Share(6, 12), Share(7, 12), Share(8, 12)]


def test_one_process_is_first_and_agrees_with_itself():
    workers = Workers("cpu")
    tensors = [torch.tensor([1.0, 2.0]), torch.tensor(3.0)]
    workers.mean_(tensors)
    assert tensors[0].tolist() == [1.0, 2.0] and tensors[1] == 3.0
    assert workers.is_first and workers.count == 1 and workers.device.type == "cpu"
    assert workers.any(True) and not workers.any(False)


def test_a_mean_over_processes_is_one_exchange_and_keeps_each_shape(monkeypatch):
    workers = Workers("cpu")
    monkeypatch.setattr(Workers, "count", 2)
    exchanged = []

    def reduce(flat, reduction):
        exchanged.append((len(flat), reduction))
        return flat * 10

    monkeypatch.setattr(workers.accelerator, "reduce", reduce)
    tensors = [torch.ones(2, 3), torch.tensor(2.0), torch.full((1,), 3.0)]
    workers.mean_(tensors)
    assert exchanged == [(8, "mean")]
    assert [tensor.flatten()[0].item() for tensor in tensors] == [10, 20, 30]
    assert [tensor.shape for tensor in tensors] == [(2, 3), (), (1,)]


def test_a_lost_process_is_a_sentence(monkeypatch):
    workers = Workers("cpu")
    monkeypatch.setattr(Workers, "count", 2)

    def reduce(*_, **__):
        raise RuntimeError("[gloo] Connection closed by peer\nmore")

    monkeypatch.setattr(workers.accelerator, "reduce", reduce)
    with pytest.raises(
        TrainingError, match=r"^Process 0 of 2 has lost another one \(.gloo. Connection closed by peer\).$"
    ):
        workers.mean_([torch.ones(1)])


@pytest.mark.parametrize("device", ["gpu", "cuda"])
def test_a_device_that_is_not_there_is_a_sentence(device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="The device is .*(auto, cpu, cuda or mps|Take --device auto or cpu)"):
        Workers(device)
