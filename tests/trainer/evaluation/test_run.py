"""The paper's comparison on a tiny domain: every method measured once, cache, gone on with, and told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from functools import reduce
from pathlib import Path

import pytest
import torch

from lga_core import InputError, load_domain
from lga_core.baselines.mocogan_hd import MocoganConfig, MocoganMotion
from lga_core.baselines.styleclip.latent_optimization import OPTIMIZATIONS, LatentOptimization
from lga_core.checkpoints.models import save_mocogan, save_motion
from lga_core.clip import save_clip
from lga_core.formats.fingerprints import fingerprint
from lga_core.stylegan2.fused_ops import Passes
from lga_core.stylegan2.pca import principal_components
from lga_trainer.evaluation import run as evaluating
from lga_trainer.evaluation.benchmark import UserFiles, find_evaluation_setup, inception
from lga_trainer.evaluation.compare import compare
from lga_trainer.evaluation.fid import FrechetDistance, Moments
from lga_trainer.evaluation.methods import RandomWalk, TextPrompt, at_magnitude
from lga_trainer.evaluation.paper_claims import claims
from lga_trainer.evaluation.registry import NUM_SAMPLES, MethodFiles, choose_methods
from lga_trainer.evaluation.run import Evaluation, evaluate
from lga_trainer.evaluation.shards import Shard, ShardCache, all_shards, judge_verdicts
from lga_trainer.metrics.judges import JudgeVerdict

pytestmark = pytest.mark.long


@pytest.fixture
def asked(domain_folder, tmp_path, monkeypatch):
    for preset in OPTIMIZATIONS:
        monkeypatch.setitem(OPTIMIZATIONS, preset, LatentOptimization(steps=3))
    monkeypatch.setattr("lga_trainer.evaluation.registry.NUM_SAMPLES", 500)
    monkeypatch.setattr(
        "lga_core.stylegan2.frozen_synthesis.compiled_passes", lambda *_: Passes()
    )  # compiling takes a minute
    return Evaluation(
        tmp_path / "out",
        str(domain_folder),
        ("lga", "random"),
        num_faces=4,
        prompts=("smiling", "sad"),
        num_reference=8,
        at_once=2,
        device="cpu",
    )


def told(asked) -> dict:
    return json.loads((asked.out / "results.json").read_text())


def figures(asked) -> dict[tuple[str, ...], float]:
    """What methods were found to do, but for what depends on the clock."""
    return {
        (name, figure, key): value
        for name, row in told(asked)["methods"].items()
        for figure, found in row["means"].items()
        if "seconds" not in figure
        for key, value in found.items()
    }


def test_every_method_is_measured_on_all_faces_and_prompts(asked):
    evaluate(replace(asked, methods=("lga", "styleclip", "random")))
    methods = told(asked)["methods"]
    assert list(methods) == ["lga", "styleclip", "random", "random-equal"]
    for row in methods.values():
        assert set(row["prompts"]) == {"smiling", "sad"}
        assert {"acd", "magnitude", "identity", "flicker", "jerk", "seconds"} <= set(row["means"])
        assert row["means"]["acd"]["low"] <= row["means"]["acd"]["mean"] <= row["means"]["acd"]["high"]
        assert [len(row["curves"]["changes"][key]) for key in ("mean", "low", "high")] == [16] * 3
    clips = list((asked.out / "clips" / "lga").rglob("*.mp4"))
    assert len(clips) == 2 * 4


def in_two(*command: str) -> str:
    """What a command prints that a launcher starts twice."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([*launcher, *command], capture_output=True, text=True, timeout=400, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_processes_find_what_one_finds(asked, tmp_path, monkeypatch):
    monkeypatch.setattr("lga_trainer.evaluation.registry.NUM_SAMPLES", NUM_SAMPLES)
    evaluate(asked)
    words = ["evaluate", "--domain", asked.domain, "--methods", "lga,random", "--faces", "4", "--at-once", "2"]
    words += [
        "--prompts",
        "smiling",
        "sad",
        "--reference-count",
        "8",
        "--device",
        "cpu",
        "--out",
        str(tmp_path / "two"),
    ]
    assert in_two("-m", "lga_trainer.cli", *words).count("report:") == 1
    one, two = figures(asked), figures(replace(asked, out=tmp_path / "two"))
    assert two == pytest.approx(one, rel=1e-2, abs=1e-4)  # they may use another number of threads


def test_what_is_done_is_not_done_again(asked, monkeypatch):
    evaluate(asked)
    before = told(asked)
    done = []
    monkeypatch.setattr(evaluating, "run_shard", lambda shard, *_: done.append(shard))
    evaluate(asked)
    assert not done
    assert told(asked)["methods"] == before["methods"]


def test_a_stopped_evaluation_goes_on_where_it_was(asked, monkeypatch):
    whole = evaluating.run_shard
    done = []

    def until_the_third(shard, *rest):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(shard)
        whole(shard, *rest)

    monkeypatch.setattr(evaluating, "run_shard", until_the_third)
    with pytest.raises(KeyboardInterrupt):
        evaluate(asked)
    again = []
    monkeypatch.setattr(evaluating, "run_shard", lambda shard, *rest: again.append(shard) or whole(shard, *rest))
    evaluate(asked)
    assert not set(done) & set(again)
    assert len(done) + len(again) == 3 * 2 * 2  # methods, prompts, shards of faces


def test_a_method_can_be_added_later(asked):
    evaluate(replace(asked, methods=("lga",)))
    first = told(asked)["methods"]["lga"]
    evaluate(asked)
    assert told(asked)["methods"]["lga"] == first
    assert "random" in told(asked)["methods"]


def test_another_evaluation_in_the_same_folder_is_refused(asked):
    evaluate(replace(asked, methods=("lga",)))
    with pytest.raises(InputError, match="other prompts"):
        evaluate(replace(asked, prompts=("smiling",)))


def test_more_faces_go_on_from_fewer(asked, monkeypatch):
    only = replace(asked, methods=("lga",))
    evaluate(replace(only, num_faces=2))
    fewer = told(asked)["methods"]["lga"]["means"]["acd"]
    done, whole = [], evaluating.run_shard
    monkeypatch.setattr(evaluating, "run_shard", lambda shard, *rest: done.append(shard) or whole(shard, *rest))
    evaluate(only)
    assert {shard.first for shard in done} == {2}
    assert told(asked)["methods"]["lga"]["means"]["acd"] != fewer


def test_the_same_evaluation_gives_the_same_figures(asked, tmp_path):
    other = replace(asked, out=tmp_path / "again", at_once=4)
    evaluate(asked)
    evaluate(other)
    for ours, theirs in zip(told(asked)["methods"].values(), told(other)["methods"].values(), strict=True):
        assert ours["means"]["acd"]["mean"] == pytest.approx(theirs["means"]["acd"]["mean"], rel=1e-3)
    changes = compare(asked.out, other.out)
    assert {change.verdict for change in changes if "seconds" not in change.metric} == {"same"}


def test_a_method_without_its_file_is_missing_in_words(asked):
    report = evaluate(replace(asked, methods=("lga", "mocogan")))
    assert "lga train mocogan" in told(asked)["missing_methods"]["mocogan"]
    assert "lga train mocogan" in report.read_text()
    assert "not tested" in report.read_text()


def test_an_unknown_method_is_refused(asked):
    with pytest.raises(InputError, match="'lgb' is not a method"):
        evaluate(replace(asked, methods=("lgb",)))


def test_an_unknown_prompt_is_refused(asked):
    with pytest.raises(InputError, match="'flying' is not a prompt"):
        evaluate(replace(asked, prompts=("flying",)))


def test_mocogan_is_run_from_its_file(asked, tmp_path):
    file = tmp_path / "mocogan.safetensors"
    save_mocogan(file, MocoganMotion(MocoganConfig(16, 8, 4)))
    evaluate(replace(asked, methods=("lga", "mocogan"), mocogan=file))
    assert {"mocogan", "mocogan-equal"} <= set(told(asked)["methods"])
    (claim, *_) = claims(told(asked)["methods"])
    assert claim.met is not None


def test_an_ablation_reads_text_with_the_clip_that_it_was_trained_with(domain_folder, tmp_path):
    domain = load_domain(str(domain_folder))
    other = deepcopy(domain.clip)
    other.model.ln_final.weight.data *= 1.5
    path, beside = tmp_path / "no-path" / "motion.safetensors", tmp_path / "no-path" / "clip.safetensors"
    path.parent.mkdir()
    save_motion(path, domain.motion, clip_fingerprint=other.fingerprint)
    colours = other.mean.flatten().tolist(), other.std.flatten().tolist()
    save_clip(beside, other.model, other.config, other.known_tokens, *colours)
    methods, _ = choose_methods((), domain, MethodFiles(tmp_path, ablations=tmp_path))
    assert {name: method.clip.fingerprint for name, method in methods.items()} == {
        "ablation-no-path": other.fingerprint
    }
    save_motion(path, domain.motion, clip_fingerprint=domain.clip.fingerprint)
    methods, _ = choose_methods((), domain, MethodFiles(tmp_path, ablations=tmp_path))
    assert methods["ablation-no-path"].clip is domain.clip
    save_motion(path, domain.motion, clip_fingerprint=other.fingerprint)
    beside.unlink()
    with pytest.raises(InputError, match="no-path.*another CLIP"):
        choose_methods((), domain, MethodFiles(tmp_path, ablations=tmp_path))


def test_ablations_move_fewer_faces_and_are_reported_beside_the_methods(asked, tmp_path):
    domain = load_domain(asked.domain)
    (tmp_path / "no-path").mkdir()
    save_motion(tmp_path / "no-path" / "motion.safetensors", domain.motion)
    evaluate(replace(asked, methods=("lga",), ablations=tmp_path, num_ablated=2))
    found = told(asked)
    assert (found["num_faces"], found["num_ablated"]) == (4, 2)
    assert list(found["methods"]) == ["lga", "ablation-no-path"]
    count = {name: len(list((asked.out / "clips" / name).rglob("*.mp4"))) for name in found["methods"]}
    assert count == {"lga": 2 * 4, "ablation-no-path": 2 * 2}


def test_equal_strength_means_equal_movement(asked):
    evaluate(asked)
    means = {name: row["means"]["magnitude"]["mean"] for name, row in told(asked)["methods"].items()}
    assert means["random-equal"] == pytest.approx(means["lga"], rel=0.15)


def test_strength_is_found_where_movement_is_in_proportion(domain_folder):
    domain = load_domain(domain_folder)
    ws = domain.generator.sample(range(2))
    method = RandomWalk(principal_components(domain.generator, 300))

    def length(method) -> float:
        return method(ws, TextPrompt(0, "")).norm().item()

    found = at_magnitude(method, 5.0, length)
    assert length(found) == pytest.approx(5.0, rel=1e-3)


def test_random_motion_belongs_to_face_and_words(domain_folder):
    domain = load_domain(domain_folder)
    method, ws = RandomWalk(principal_components(domain.generator, 300)), domain.generator.sample(range(2))
    both = method(ws, TextPrompt(1, ""))
    assert torch.equal(both[1:], method(ws[1:], TextPrompt(1, "", first_face=1)))
    assert not torch.equal(both[0], both[1])
    assert not torch.equal(both, method(ws, TextPrompt(2, "")))


def test_shards_cover_every_face_once():
    whole = all_shards(["a", "b"], num_prompts=3, num_faces=7, at_once=3)
    faces = [(p.method, p.prompt, face) for p in whole for face in range(p.first, p.first + p.count)]
    assert len(faces) == len(set(faces)) == 2 * 3 * 7


def test_a_shard_is_done_only_when_all_of_it_is_there(tmp_path):
    cache, shard = ShardCache(tmp_path), Shard("a", 0, 0, 1)
    with pytest.raises(TypeError):
        cache.write(shard, [{"figure": object()}], {"x": torch.ones(1)})
    assert not cache.done(shard)
    cache.write(shard, [{"figure": 1.0}], {"x": torch.ones(1)})
    assert cache.done(shard)
    rows, tensors = cache.read(shard)
    assert rows == [{"figure": 1.0}]
    assert tensors["x"].item() == 1


def gaussian(n: int, mean: float, deviation: float, seed: int) -> torch.Tensor:
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = (x - x.mean(dim=0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T  # exactly N(0, 1)
    return x * deviation + mean


def test_the_frechet_distance_of_two_gaussians_is_the_formula_without_a_root():
    distance = FrechetDistance([gaussian(40, 0.0, 1.0, 0)])
    # |difference of means|^2 + trace(C1 + C2 - 2 sqrt(C1 C2)), three dimensions
    assert distance(Moments.of(gaussian(50, 2.0, 3.0, 1))) == pytest.approx(3 * (2.0**2 + (3 - 1) ** 2), rel=1e-4)
    assert distance(Moments.of(gaussian(60, 0.0, 1.0, 2))) == pytest.approx(0, abs=1e-4)


def test_the_frechet_distance_does_not_depend_on_chunks():
    real, drawn = gaussian(40, 0.0, 1.0, 0), gaussian(50, 1.0, 2.0, 1)
    parts = reduce(Moments.plus, map(Moments.of, drawn.split(9)))
    assert FrechetDistance(real.split(7))(parts) == pytest.approx(FrechetDistance([real])(Moments.of(drawn)), rel=1e-6)


def test_one_process_takes_a_frechet_distance_while_others_wait():
    assert float(in_two(str(Path(__file__).with_name("frechet_alone.py")))) == pytest.approx(4, abs=1e-3)


def test_a_frechet_distance_of_one_picture_is_refused():
    with pytest.raises(InputError, match="at least 2"):
        FrechetDistance([gaussian(40, 0.0, 1.0, 0)])(Moments.of(torch.zeros(1, 3)))


def test_the_interval_of_a_frechet_distance_is_as_wide_as_other_faces_scatter():
    """Twelve faces of four frames each, whose frames are alike: it is faces that are drawn again, not frames."""
    distance, rng = FrechetDistance([gaussian(200, 0.0, 1.0, 0)]), torch.Generator().manual_seed(1)

    def faces() -> list[Moments]:
        return [Moments.of(1 + torch.randn(1, 3, generator=rng) + torch.zeros(4, 3)) for _ in range(12)]

    intervals = [distance.interval(faces()) for _ in range(12)]
    scatter = torch.tensor([each["mean"] for each in intervals]).std().item()
    half = sum((each["high"] - each["low"]) / 2 for each in intervals) / len(intervals)
    assert half == pytest.approx(1.96 * scatter, rel=0.4)
    assert all(each["low"] < each["mean"] < each["high"] for each in intervals)


def row(**means: float) -> dict:
    return {"means": {name: {"mean": value, "low": value, "high": value} for name, value in means.items()}}


def test_claims_hold_or_fail_by_the_figures():
    methods = {
        "lga": row(fid=10.0, acd=0.3, judge_top1=0.9, seconds=0.01, drawing_seconds=0.02),
        "styleclip": row(fid=9.0, acd=0.2, judge_top1=0.5, seconds=9.0, drawing_seconds=0.02),
        "mocogan-equal": row(fid=20.0, acd=0.6),
        "mocogan": row(fid=20.0, acd=0.49),
    }
    assert [claim.met for claim in claims(methods)] == [True, False, False, True, True]
    methods["mocogan-equal"] = row(fid=20.0, acd=0.4)
    methods["styleclip"] = row(fid=11.0, acd=0.2, judge_top1=0.95, seconds=1.0, drawing_seconds=0.02)
    assert [claim.met for claim in claims(methods)] == [False, False, True, False, False]


def test_ablations_are_held_against_the_papers_settings_where_both_were_run():
    rises = {"no-contrastive": 0.1, "batch-2": 0.3, "paper": 0.5, "batch-8": 0.4}
    methods = {f"ablation-{name}": row(judge_rise=rise, first_step_share=0.2) for name, rise in rises.items()}
    assert [claim.met for claim in claims(methods)[5:]] == [True, False]
    methods["ablation-batch-8"] = row(judge_rise=0.6)
    methods["ablation-no-path"] = row(first_step_share=0.3)
    methods["ablation-first-order"] = row(first_step_share=0.1)
    assert [claim.met for claim in claims(methods)[5:]] == [True, True, True, False]


def test_a_claim_that_cannot_be_tried_says_why():
    found = claims({"lga": row(acd=0.3)})
    assert all(claim.met is None for claim in found)
    assert "mocogan was not run" in found[0].found


def test_without_inceptions_program_or_file_it_says_what_to_install_or_bring(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="There is no file"):
        inception(tmp_path / "none.pth")
    monkeypatch.setattr("torchmetrics.image.fid._TORCH_FIDELITY_AVAILABLE", False)
    (tmp_path / "inception.pth").write_bytes(b"")
    with pytest.raises(InputError, match="pip install torch-fidelity"):
        inception(tmp_path / "inception.pth")


class Watcher:
    """A judge that keeps what it is shown."""

    name, rule = "the watcher", "never"

    def verdict(self, prompt, before, after):
        self.before, self.after = before, after
        return JudgeVerdict(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))


def test_the_judge_is_shown_first_and_last_frames_in_that_order(domain_folder):
    domain, judge = load_domain(domain_folder), Watcher()
    setup = find_evaluation_setup(domain, UserFiles(), fingerprint(domain.generator))
    setup = replace(setup, networks=replace(setup.networks, judge=judge))
    clips = [torch.linspace(0, 1, 4)[:, None, None, None].expand(4, 3, 8, 8) - shift for shift in (0, 1)]
    found = judge_verdicts(clips, setup.prompts.prompts[0], judge)
    assert torch.equal(judge.before, torch.stack([clip[0] for clip in clips]))
    assert torch.equal(judge.after, torch.stack([clip[-1] for clip in clips]))
    assert found == [{"judge_rise": 1.0, "judge_top1": 0.0}, {"judge_rise": 0.0, "judge_top1": 1.0}]


def test_a_clip_that_is_brought_compares_frames_and_words(asked, domain_folder):
    evaluate(replace(asked, methods=("lga",), files=UserFiles(scorer=domain_folder / "clip.safetensors")))
    row = told(asked)["methods"]["lga"]
    assert 0 <= row["means"]["clip_top1"]["mean"] <= 1
    assert len(row["curves"]["alignments"]["mean"]) == 16
    assert "clip_top1" not in told(asked)["missing"]
