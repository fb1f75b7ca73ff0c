"""Each benchmark runs once, at the smallest size, and what it says of its stand-in peers is what is known of them.

Nothing here is a matter of speed."""

import json
import sys
from types import ModuleType

import pytest
import torch

from benchmarks import clip, comparison, gpu, gradients, measuring, peers, synthesis
from benchmarks.reports import Column, Report, table
from lga_core import GeneratorConfig

pytestmark = pytest.mark.long

SMALLEST = ["--resolutions", "8", "--repeats", "1", "--threads", "1"]


def rows_of(folder, name):
    assert (folder / f"{name}.svg").read_text().rstrip().endswith("</svg>")
    kept = json.loads((folder / f"{name}.json").read_text())
    assert f"| {kept['rows'][-1]['variant']} |" in (folder / f"{name}.md").read_text()
    assert kept["facts"]["torch"] == torch.__version__
    return {row["variant"]: row for row in kept["rows"]}


def test_drawing_is_compared_with_both_peers(checkouts, tmp_path):
    synthesis.main([*SMALLEST, *checkouts, "--frames", "2", "--no-memory", "--out", str(tmp_path)])
    rows = rows_of(tmp_path, "synthesis")
    ours = ["ours, plain fp32", "ours, plain bf16", "ours, engine fp32", "ours, engine bf16"]
    assert [*rows] == ["NVIDIA", "community", synthesis.AUTOCAST, *ours]
    for name, row in rows.items():
        assert row["times_NVIDIA"] * row["cpu_ms"] == pytest.approx(rows["NVIDIA"]["cpu_ms"])
        if name != "NVIDIA":
            assert row["rms_error"] < (0.05 if "bf16" in name else 1e-5)
    assert rows["ours, plain bf16"]["rms_error"] > 1e-4


def test_gradients_are_compared_with_both_peers(checkouts, tmp_path):
    gradients.main([*SMALLEST, *checkouts, "--eager", "--no-memory", "--out", str(tmp_path)])
    rows = rows_of(tmp_path, "gradients")
    assert [*rows] == ["NVIDIA", "community", "ours, plain fp32", "ours, frozen fp32", "ours, frozen bf16"]
    assert rows["community"]["gradient_error"] < 1e-4
    assert rows["ours, frozen fp32"]["gradient_error"] < 2e-3 < rows["ours, frozen bf16"]["gradient_error"] < 0.5


def test_clips_of_two_lengths_are_drawn_and_written(tmp_path):
    clip.main(["--resolution", "8", "--frames", "3", "9", "--out", str(tmp_path)])
    rows = json.loads((tmp_path / "clip.json").read_text())["rows"]
    assert [row["frames"] for row in rows] == [3, 9]
    assert all(0 < row["synthesis_share"] < 1 and row["peak_mb"] >= 0 for row in rows)
    assert "9 frames took" in (tmp_path / "clip.md").read_text()


def test_a_dry_run_does_all_that_a_card_would(nvidia, tmp_path):
    arguments = ["--dry-run", "--resolutions", "8", "--batches", "1", "--nvidia", str(nvidia), "--out", str(tmp_path)]
    gpu.main(arguments)
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert {row["task"] for row in rows} == set(gpu.TASKS)
    assert {"NVIDIA", "ours, plain fp32", "ours, engine fp32"} < {
        row["variant"] for row in rows if row["task"] == "drawing"
    }
    assert all(row["ms"] >= row["least_ms"] > 0 for row in rows)
    assert all(row["max_error"] < 0.01 for row in rows if row["variant"].endswith("fp32"))
    assert "dry run" in (tmp_path / "gpu.md").read_text()


def test_steps_of_a_training_are_timed_until_the_time_is_up(tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr("benchmarks.training.ours", lambda options: (lambda: taken.append(options.resolution), 4))
    gpu.main(["--dry-run", "--train-steps", "5", "--out", str(tmp_path)])
    (row,) = json.loads((tmp_path / "gpu_training.json").read_text())["rows"]
    assert row["steps"] == len(taken) == 5
    gpu.main(["--dry-run", "--train-steps", "5", "--seconds", "0", "--out", str(tmp_path)])
    assert len(taken) == 6


def test_without_a_card_there_is_no_figure(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        gpu.main(["--out", str(tmp_path)])
    assert "--dry-run" in capsys.readouterr().err


def test_memory_is_measured_in_a_process_of_its_own(checkouts):
    folders = comparison.Folders(*(peers.Path(path) for path in checkouts[1::2]))
    rows = [{"variant": "community", "setting": "1 at a time"}]
    comparison.add_memory(rows, synthesis.prepare, 8, folders)
    assert 0 <= rows[0]["peak_mb"] < 200


def big(megabytes: int):
    return lambda: torch.ones(megabytes * 250_000).clone().sum()


def test_peak_memory_is_what_a_run_takes_at_once_above_what_stays():
    assert measuring.peak_above_resident(big, 100) == pytest.approx(200e6, rel=0.1)


def test_plugins_that_do_not_compile_end_a_measurement(nvidia, monkeypatch):
    """The first is compiled by torch and then imported by its name; the second says whether it is."""
    monkeypatch.setattr("torch.utils.cpp_extension.load", lambda name, sources: ModuleType(name))
    monkeypatch.delitem(sys.modules, "stand_in_plugin", raising=False)
    peer = peers.Nvidia(nvidia)
    peer.compile()
    peer._operations[1].COMPILES = False
    with pytest.raises(RuntimeError, match="upfirdn2d did not compile"):
        peer.compile()


def test_a_peer_with_other_parameters_is_refused(make_nvidia):
    checkout = make_nvidia(alter=lambda source: source.replace('"resample_filter"', '"something_else"'))
    peer = peers.Nvidia(checkout)
    with pytest.raises(RuntimeError, match="something_else"):
        peer.network(measuring.random_generator(GeneratorConfig(8, channel_max=8)))


def test_a_checkout_leaves_nothing_behind_and_another_may_follow(nvidia, make_nvidia):
    before = set(sys.modules)
    first = peers.Nvidia(nvidia)
    second = peers.Nvidia(make_nvidia("second"))
    assert first._networks.__file__ != second._networks.__file__
    left = {name.split(".")[0] for name in set(sys.modules) - before}
    assert not left & {"training", "torch_utils", "requests"}
    assert str(nvidia) not in sys.path


def test_each_round_begins_with_another():
    order = []
    works = {name: (lambda name=name: order.append(name)) for name in "abc"}
    samples = measuring.interleaved(works, repeats=3, warm_ups=0)
    assert "".join(order) == "abcbcacab"
    assert {len(taken) for taken in samples.values()} == {3}


def test_ratios_are_taken_within_rounds():
    assert measuring.median_ratio([4, 40, 400], [2, 20, 100]) == 2


def test_differences_are_in_deviations_of_the_reference():
    reference = torch.tensor([-1.0, 1.0]) * 3
    found = measuring.differences(reference + torch.tensor([0.0, 1.0]), reference)
    assert found["max_error"] == pytest.approx(1 / 18**0.5)
    assert found["rms_error"] == pytest.approx(1 / 6)


def test_a_table_leaves_out_what_no_row_has(tmp_path):
    rows = [{"name": "a", "x": 1.25}, {"name": "b"}]
    columns = [Column("name", "name"), Column("x", "x", ".1f"), Column("y", "y")]
    Report("figures", "Figures", {"cores": 2}, rows, columns).write(tmp_path)
    text = (tmp_path / "figures.md").read_text()
    assert table(rows, columns[:2]) in text
    assert table(rows, columns[:2]).splitlines()[2:] == ["| a | 1.2 |", "| b |  |"]
