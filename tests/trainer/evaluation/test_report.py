"""What an evaluation tells: its page, its table, and the comparison of two."""

from __future__ import annotations

import csv
import json
import re

import pytest
import torch

from lga_core import InputError
from lga_trainer.evaluation.compare import compare, markdown
from lga_trainer.evaluation.figures import flow_colors
from lga_trainer.evaluation.report import write_report
from lga_trainer.evaluation.results import method_metrics, write_results
from lga_trainer.evaluation.shards import ShardCache, all_shards

PROMPTS = ["smiling", "sad <b>"]


def rows(rise: float) -> dict:
    return {
        **dict.fromkeys(("acd", "acd_consecutive", "magnitude", "identity", "distance", "flicker", "jerk"), 0.1),
        "first_step_share": 0.07,
        "seconds": 0.5,
        "processor_seconds": 0.6,
        "drawing_seconds": 0.2,
        "judge_rise": rise,
        "judge_top1": 1.0,
        "peak": 1e8,
        "changes": [0.0, 0.1, 0.2],
    }


@pytest.fixture
def evaluation(tmp_path):
    cache, rng = ShardCache(tmp_path), torch.Generator().manual_seed(0)
    methods = {}
    for name, rise in (("lga", 1.0), ("styleclip", 0.0), ("mocogan", 0.0), ("ablation-first_order", 0.5)):
        own = all_shards([name], 2, 4, 4)
        for shard in own:
            pictures = torch.randint(256, (4, 16, 3, 32, 32), generator=rng, dtype=torch.uint8)
            cache.write(shard, [rows(rise)] * 4, {"pictures": pictures, "paths": torch.randn(4, 16, 2, generator=rng)})
        methods[name] = {"label": name.upper(), "about": f"about {name}", "heeds_words": name != "mocogan"}
        methods[name] |= method_metrics(own, PROMPTS, cache)
        methods[name]["means"]["fid"] = {"mean": 3.0, "low": 2.0, "high": 4.0}
    told = {
        "num_faces": 4,
        "num_ablated": 2,
        "num_prompts": 2,
        "num_reference": 9,
        "reference": "renders",
        "identity": "somebody",
        "distance": "edges",
        "features": "a layer",
        "scorer": None,
        "judge": "the judge",
        "methods": methods,
        "missing": {"clip_top1": "bring a CLIP"},
        "missing_methods": {"mapper": "needs --mappers DIR."},
        "domain": "doodle",
        "machine": "a machine",
        "versions": {"torch": "2"},
    }
    write_results(tmp_path, told)
    return told, cache, write_report(tmp_path, told, cache, 4).read_text()


def test_the_page_is_whole_and_asks_nothing_of_the_network(evaluation):
    page = evaluation[2]
    assert page.count("<html") == page.count("</html>") == 1
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "<script" not in page
    assert "sad &lt;b&gt;" in page
    assert "sad <b>" not in page


@pytest.mark.parametrize(
    "heading",
    ["Claims of the paper", "All methods", "Example clips", "Results by prompt", "Change over time"]
    + ["Paths in W+", "Optical flow", "Ablations", "Time and memory", "Failures", "Missing"],
)
def test_each_part_is_on_the_page(evaluation, heading):
    assert f"<h2>{heading}</h2>" in evaluation[2]


def test_failures_are_named(evaluation):
    failed = evaluation[2].split("<h2>Failures</h2>")[1].split("</section>")[0]
    failed = " ".join(failed.split())
    assert "STYLECLIP</strong>: smiling (0" in failed
    assert "LGA</strong>: no prompt" in failed
    assert "MOCOGAN" not in failed, "it does not use text"


def test_the_paper_stands_beside(evaluation):
    assert "0.258" in evaluation[2]
    assert "0.451" in evaluation[2]


def test_what_to_bring_is_said(evaluation):
    assert "bring a CLIP" in evaluation[2]
    assert "needs --mappers DIR" in evaluation[2]


def test_ablations_have_a_table_of_their_own(evaluation):
    methods = evaluation[2].split("<h2>All methods</h2>")[1].split("</section>")[0]
    assert "ABLATION-FIRST_ORDER" not in methods
    assert "ABLATION-FIRST_ORDER" in evaluation[2].split("<h2>Ablations</h2>")[1].split("</section>")[0]


def test_the_table_has_a_row_for_every_figure(evaluation, tmp_path):
    with (tmp_path / "results.csv").open() as file:
        found = {(row["method"], row["figure"]): float(row["mean"]) for row in csv.DictReader(file)}
    assert found["lga", "judge_rise"] == 1
    assert found["styleclip", "fid"] == 3


def changed(tmp_path, told, **means) -> dict[str, str]:
    other = json.loads(json.dumps(told))
    for name, value in means.items():
        other["methods"]["lga"]["means"][name] = {"mean": value, "low": value, "high": value}
    (tmp_path / "other").mkdir()
    write_results(tmp_path / "other", other)
    return {c.metric: c.verdict for c in compare(tmp_path, tmp_path / "other") if c.method == "lga"}


def test_a_comparison_knows_which_way_is_better(evaluation, tmp_path):
    found = changed(tmp_path, evaluation[0], judge_rise=0.5, acd=0.05, magnitude=0.7, seconds=99.0)
    assert found["judge_rise"] == "worse"
    assert found["acd"] == "better"
    assert found["magnitude"] == found["seconds"] == "other"
    assert found["flicker"] == "same"
    said = markdown(compare(tmp_path, tmp_path / "other"))
    assert "Worse: lga's judge_rise." in said


def test_evaluations_of_two_domains_are_not_compared(evaluation, tmp_path):
    (tmp_path / "other").mkdir()
    write_results(tmp_path / "other", {**evaluation[0], "domain": "dog"})
    with pytest.raises(InputError, match="differ in their domain"):
        compare(tmp_path, tmp_path / "other")


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), ("{", "not JSON"), ("[]", "no methods")])
def test_a_folder_without_an_evaluation_is_refused(tmp_path, content, words):
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    with pytest.raises(InputError, match=words):
        compare(tmp_path, tmp_path)


def test_what_stands_still_is_white_and_opposite_ways_differ():
    moved = torch.zeros(3, 2, 4, 4)
    moved[1, 0], moved[2, 0] = 0.1, -0.1
    still, right, left = flow_colors(moved).float()
    assert (still == 255).all()
    assert (right - left).abs().mean() > 50


def test_a_judge_that_knows_some_prompts_only_has_no_opinion_of_the_others(tmp_path, evaluation):
    told, cache = dict(evaluation[0]), ShardCache(tmp_path)
    own = all_shards(["lga"], 2, 4, 4)
    silent = [{name: value for name, value in row.items() if "judge" not in name} for row in [rows(1.0)] * 4]
    for shard in own:
        tensors = cache.read(shard)[1]
        cache.write(shard, silent if shard.prompt == 0 else [rows(1.0)] * 4, tensors)
    told["methods"] = {"lga": told["methods"]["lga"] | method_metrics(own, PROMPTS, cache)}
    first, second = told["methods"]["lga"]["prompts"].values()
    assert "judge_rise" not in first
    assert second["judge_rise"]["mean"] == told["methods"]["lga"]["means"]["judge_rise"]["mean"] == 1
    assert "no opinion" in write_report(tmp_path, told, cache, 4).read_text()
