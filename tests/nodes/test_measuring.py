"""The node that measures a clip."""

from __future__ import annotations

import pytest
import torch
from fake_comfyui import FakeComfyUI, Interrupted
from pack import core, host, run


def clip(frames: int = 10) -> torch.Tensor:
    """A picture that becomes another, evenly."""
    ends = torch.rand(2, 24, 20, 3, generator=torch.Generator().manual_seed(0))
    return torch.lerp(ends[:1], ends[1:], torch.linspace(0, 1, frames)[:, None, None, None])


def figures(report: str) -> dict[str, float]:
    lines = (line.partition(":")[0].split(" ") for line in report.splitlines())
    return {words[0]: float(words[1]) for words in lines if len(words) == 2 and words[1][0] in "-0123456789"}


def test_figures_are_the_cores_and_each_is_explained(tiny):
    frames, network = clip(), tiny.clip.model.module
    plot, report = run("LGA_MeasureAnimation", frames=frames, words="It is happy.", clip=tiny.clip)
    with torch.no_grad():
        people = core.metrics.identity_similarity.color_texture_features(network, 64)
        words = network.encode_text(["It is happy."])
        expected = core.metrics.measure_clip(
            [core.imaging.to_nchw(frames)], people, network.encode_images, words
        ).figures()
    assert figures(report) == {name: pytest.approx(value, abs=6e-5) for name, value in expected.items()}
    assert plot.shape[0] == 1 and plot.std() > 0


def test_what_could_not_be_measured_says_what_to_bring(tiny):
    _, report = run("LGA_MeasureAnimation", frames=clip())
    assert set(figures(report)) == {"magnitude", "first_step_share", "flicker", "jerk"}
    assert "acd, identity: not measured" in report and "alignment: not measured. Connect clip" in report
    _, report = run("LGA_MeasureAnimation", frames=clip(), clip=tiny.clip)
    assert "acd" in figures(report) and "alignment: not measured. Connect clip" in report


def test_a_network_that_knows_people_goes_before_clip(tiny, with_models):
    (network,) = run("LGA_LoadIdentity", identity="tiny.safetensors")
    with_both, by_it, by_clip = (
        figures(run("LGA_MeasureAnimation", frames=clip(3), **given)[1])["acd"]
        for given in ({"identity": network, "clip": tiny.clip}, {"identity": network}, {"clip": tiny.clip})
    )
    assert with_both == by_it != by_clip


def test_a_single_frame_and_transparency_are_measured(tiny):
    frames = clip(1)
    with_alpha = torch.cat([frames, torch.ones_like(frames[..., :1])], dim=3)
    for given in (frames, with_alpha):
        assert figures(run("LGA_MeasureAnimation", frames=given, clip=tiny.clip)[1])["magnitude"] == 0
        assert "nan" not in run("LGA_MeasureAnimation", frames=given)[1]


def test_words_need_clip_and_frames_must_be_numbers(tiny):
    with pytest.raises(core.InputError, match="Connect clip"):
        run("LGA_MeasureAnimation", frames=clip(), words="It is happy.")
    with pytest.raises(core.InputError, match="does not know any word of 'wumpus'"):
        run("LGA_MeasureAnimation", frames=clip(), words="wumpus", clip=tiny.clip)
    with pytest.raises(core.InputError, match="not numbers"):
        run("LGA_MeasureAnimation", frames=clip() * float("nan"))


def test_measuring_counts_the_frames_and_can_be_cancelled(here, monkeypatch, tiny):
    comfyui = FakeComfyUI(here / "base")
    comfyui.install(monkeypatch)
    host.register_folders()
    _, report = run("LGA_MeasureAnimation", frames=clip(20), clip=tiny.clip, node="3")
    (bar,) = comfyui.bars
    assert bar.updates == [8, 16, 20] and bar.total == 20
    ((said, node),) = comfyui.texts
    assert node == "3"
    assert dict(part.split() for part in said.split(", ")) == {n: f"{v:.4f}" for n, v in figures(report).items()}
    comfyui.bars.clear()
    comfyui.cancel_after = 1
    with pytest.raises(Interrupted):
        run("LGA_MeasureAnimation", frames=clip(20))
    assert comfyui.steps == 1
