"""The workflows that people open as templates, each run by a real ComfyUI to the video it promises."""

from __future__ import annotations

import json

import numpy as np
import pytest
from client import Rejected
from comfyui import PACK, template_folder, workflow_files
from prompts import decoded
from ui_format import api_format

FILES = workflow_files()
OWN_FILES = "My own StyleGAN"  # the workflow for a generator that the person brings


@pytest.fixture(params=[file for file in FILES if OWN_FILES not in file.stem], ids=lambda file: file.stem)
def prompt(request, object_info) -> dict:
    return api_format(json.loads(request.param.read_text()), object_info)


def test_comfyui_lists_the_workflows_and_serves_each_with_its_thumbnail(client):
    listed = client.json("/workflow_templates")[PACK]
    assert sorted(listed) == [file.stem for file in FILES]
    for file in FILES:
        address = f"/api/workflow_templates/{PACK}/{file.stem}".replace(" ", "%20")
        assert client.json(f"{address}.json")["nodes"]
        assert client.get(f"{address}.jpg").startswith(b"\xff\xd8")


def test_all_workflows_lie_in_the_one_folder_that_comfyui_serves():
    assert {file.parent for file in FILES} == {template_folder()}


def most_changed(frame: np.ndarray, first: np.ndarray) -> float:
    """Mean difference in the hundredth of the pixels that differ most."""
    changes = np.sort(abs(frame.astype(int) - first).max(axis=2), axis=None)
    return changes[-max(1, len(changes) // 100) :].mean()


def test_a_workflow_makes_a_video_that_moves_and_is_never_black(client, prompt):
    run = client.run(prompt)
    assert run.ok, run.error
    videos = run.files(".mp4")
    assert len(videos) == sum(node["class_type"] == "SaveVideo" for node in prompt.values()) > 0
    for video in videos:
        frames, _ = decoded(client.view(video))
        assert len(frames) > 4
        assert frames.shape[1] % 2 == frames.shape[2] % 2 == 0
        assert all(frame.std() > 10 and frame.mean() > 30 for frame in frames)
        # Of 255, in the hundredth of the picture that changes most: a face may be small in its photo, and a codec alone
        # changes less.
        assert max(most_changed(frame, frames[0]) for frame in frames) > 20


def test_a_video_has_the_frames_that_were_drawn_at_the_rate_that_was_asked_for(client, prompt):
    client.free()  # else nothing is drawn anew
    run = client.run(prompt)
    drawn = {node: of for _, node, _, of in run.progress if prompt[node]["class_type"] == "LGA_SynthesizeFrames"}
    for id_, node in prompt.items():
        if node["class_type"] != "SaveVideo":
            continue
        (source, _) = prompt[node["inputs"]["video"][0]]["inputs"]["fps"]
        frames, rate = decoded(client.view(run.outputs[id_]["images"][0]))
        assert len(frames) == drawn[source]
        assert rate == pytest.approx(prompt[source]["inputs"]["fps"])


def test_a_workflow_shows_pictures_on_the_node_while_it_draws(client, prompt):
    client.free()
    run = client.run(prompt)
    during = [time for time, picture in run.previews if picture[:2] == b"\xff\xd8" and time < run.seconds]
    assert len(during) > 1


def test_the_workflow_for_files_of_ones_own_says_which_is_missing_and_where_to_put_it(client, object_info):
    (file,) = (file for file in FILES if OWN_FILES in file.stem)
    with pytest.raises(Rejected) as rejected:
        client.run(api_format(json.loads(file.read_text()), object_info))
    assert "models/lga/generators" in str(rejected.value)
    assert "Put the file there" in str(rejected.value)
