"""The workflows that people open as templates fit the nodes, and can be read: see what they do in tests/comfyui."""

from __future__ import annotations

import inspect
import itertools
import json
import re
from pathlib import Path

import pytest
from contract import AFTER, in_an_empty_folder, names_out
from pack import CLASSES, ROOT, WIDGETS, inputs_of
from PIL import Image

FILES = sorted((ROOT / "workflows").glob("*.json"))
OWN_FILES = "My own"
"""In the name of the workflow that is about files which a person brings."""
TITLE = 30
"""Height of the bar that the frontend draws above a node's position."""
NOTES = ("Note", "MarkdownNote")
FPS, WORDS = {"min": 1.0, "max": 120.0}, {}
CORE: dict[str, tuple[dict[str, tuple[str, dict]], list[tuple[str, str]]]] = {
    "LoadImage": ({"image": ("STRING", {})}, [("IMAGE", "IMAGE"), ("MASK", "MASK")]),
    "PreviewImage": ({"images": ("IMAGE", {})}, []),
    "SaveImage": ({"images": ("IMAGE", {}), "filename_prefix": ("STRING", WORDS)}, []),
    "ImageBatch": ({"image1": ("IMAGE", {}), "image2": ("IMAGE", {})}, [("IMAGE", "IMAGE")]),
    "ImageStitch": (
        {
            "image1": ("IMAGE", {}),
            "direction": ("COMBO", {"options": ["right", "down", "left", "up"]}),
            "match_image_size": ("BOOLEAN", {}),
            "spacing_width": ("INT", {"min": 0, "max": 1024}),
            "spacing_color": ("COMBO", {"options": ["white", "black", "red", "green", "blue"]}),
            "image2": ("IMAGE", {"optional": True}),
        },
        [("IMAGE", "IMAGE")],
    ),
    "PreviewAny": ({"source": ("*", {})}, []),
    "CreateVideo": (
        {"images": ("IMAGE", {}), "fps": ("FLOAT", FPS), "audio": ("AUDIO", {"optional": True})},
        [("VIDEO", "VIDEO")],
    ),
    "SaveVideo": (
        {
            "video": ("VIDEO", {}),
            "filename_prefix": ("STRING", WORDS),
            "format": ("COMBO", {"options": ["auto", "mp4"]}),
            "codec": ("COMBO", {"options": ["auto", "h264"]}),
        },
        [],
    ),
    "SaveAnimatedWEBP": (
        {
            "images": ("IMAGE", {}),
            "filename_prefix": ("STRING", WORDS),
            "fps": ("FLOAT", {"min": 0.01, "max": 1000.0}),
            "lossless": ("BOOLEAN", {}),
            "quality": ("INT", {"min": 0, "max": 100}),
            "method": ("COMBO", {"options": ["default", "fastest", "slowest"]}),
        },
        [],
    ),
}
"""Inputs and outputs of ComfyUI's own nodes, as the contract has ours."""


def inputs(type_: str) -> dict[str, tuple[str, dict]]:
    if type_ in CORE:
        return CORE[type_][0]
    with in_an_empty_folder():
        return inputs_of(type_)


def outputs(type_: str) -> list[tuple[str, str]]:
    if type_ in CORE:
        return CORE[type_][1]
    return list(zip(names_out(type_), CLASSES[type_].RETURN_TYPES, strict=True))


def required(type_: str) -> set[str]:
    if type_ in CLASSES:
        return set(inputs_of(type_, "required"))
    return {name for name, (_, options) in inputs(type_).items() if not options.get("optional")}


def values(node: dict) -> list[tuple[str, str, dict, object]]:
    """Name, type, options and saved value of each widget; a seed's second value has the name of it and a star."""
    slots = []
    for name, (type_, options) in inputs(node["type"]).items():
        if type_ in WIDGETS:
            slots.append((name, type_, options))
            if options.get(AFTER):
                slots.append((f"{name}*", "COMBO", {"options": ["fixed"]}))
    saved = node.get("widgets_values", [])
    if node["type"] == "LoadImage" and saved[1:] == ["image"]:
        saved = saved[:1]  # what follows is the upload button's, and may be left out
    assert len(saved) == len(slots), f"{where(node)}: {saved} for {[name for name, _, _ in slots]}"
    return [(*slot, value) for slot, value in zip(slots, saved, strict=True)]


def where(node: dict) -> str:
    return f"node {node['id']} ({node['type']})"


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def file(request) -> Path:
    return request.param


@pytest.fixture
def workflow(file) -> dict:
    return json.loads(file.read_text())


@pytest.fixture
def working(workflow) -> list[dict]:
    """The nodes that do something."""
    return [node for node in workflow["nodes"] if node["type"] not in NOTES]


def test_there_are_workflows_and_they_are_numbered():
    assert len(FILES) >= 8
    assert [int(file.stem.split()[0]) for file in FILES] == list(range(1, len(FILES) + 1))


def test_a_workflow_has_a_thumbnail(file):
    with Image.open(file.with_suffix(".jpg")) as picture:
        assert picture.format == "JPEG"
        assert min(picture.size) >= 200
    assert file.with_suffix(".jpg").stat().st_size < 200_000


def test_every_node_is_ours_or_comfyuis_and_says_so(working):
    for node in working:
        assert node["type"] in CLASSES or node["type"] in CORE, where(node)
        said = node["properties"]
        assert said["cnr_id"] == ("language-guided-animation" if node["type"] in CLASSES else "comfy-core"), where(node)
        assert re.fullmatch(r"\d+\.\d+\.\d+", said["ver"]), where(node)
        assert said["Node name for S&R"] == node["type"]
        assert node["mode"] == 0, f"{where(node)} is switched off"


def test_a_workflow_explains_itself_beside_its_nodes(workflow):
    notes = [node for node in workflow["nodes"] if node["type"] in NOTES]
    assert notes
    assert all(len(note["widgets_values"][0]) > 40 for note in notes)


def test_the_sockets_of_a_node_are_its_classs(working):
    for node in working:
        declared = inputs(node["type"])
        sockets = [(slot["name"], slot["type"]) for slot in node["inputs"] if "widget" not in slot]
        assert sockets == [(n, type_) for n, (type_, _) in declared.items() if type_ not in WIDGETS], where(node)
        for slot in node["inputs"]:
            if "widget" in slot:
                assert slot["widget"]["name"] == slot["name"], where(node)
                assert slot["type"] == declared[slot["name"]][0], where(node)
        assert [(slot["name"], slot["type"]) for slot in node["outputs"]] == outputs(node["type"]), where(node)


def test_every_required_input_gets_something(working):
    for node in working:
        linked = {slot["name"] for slot in node["inputs"] if slot["link"] is not None}
        on_node = {name for name, _, _, _ in values(node)}
        assert required(node["type"]) <= linked | on_node, where(node)


def test_every_value_on_a_node_is_one_that_it_takes(working, file):
    for node in working:
        for name, type_, options, value in values(node):
            said = f"{where(node)}: {name} is {value!r}"
            if type_ in ("INT", "FLOAT"):
                assert isinstance(value, int if type_ == "INT" else (int, float)) and value is not True, said
                assert options["min"] <= value <= options["max"], said
            elif type_ == "COMBO":
                brought = OWN_FILES in file.stem and node["type"].startswith("LGA_Load") and isinstance(value, str)
                assert value in options["options"] or brought, said
            else:
                assert isinstance(value, bool if type_ == "BOOLEAN" else str), said


def test_what_a_node_would_refuse_before_the_run_is_not_in_a_workflow(working, file):
    for node in working:
        check = getattr(CLASSES.get(node["type"]), "VALIDATE_INPUTS", None)
        if check is not None and OWN_FILES not in file.stem:
            asked = set(inspect.getfullargspec(check).args) - {"cls"}  # as ComfyUI reads it
            assert check(**{name: value for name, _, _, value in values(node) if name in asked}) is True, where(node)


def test_links_are_the_same_seen_from_either_end(workflow):
    nodes = {node["id"]: node for node in workflow["nodes"]}
    links = {link[0]: link for link in workflow["links"]}
    assert len(nodes) == len(workflow["nodes"])
    assert len(links) == len(workflow["links"])
    assert workflow["last_node_id"] == max(nodes)
    assert workflow["last_link_id"] >= max(links)
    for id_, source, out, target, into, type_ in workflow["links"]:
        start, end = nodes[source]["outputs"][out], nodes[target]["inputs"][into]
        assert id_ in start["links"]
        assert end["link"] == id_
        assert start["type"] == type_
        assert end["type"] in (type_, "*")
    ends = {slot["link"] for node in nodes.values() for slot in node.get("inputs", []) if slot["link"] is not None}
    starts = [id_ for node in nodes.values() for slot in node.get("outputs", []) for id_ in slot["links"] or ()]
    assert ends == set(starts) == set(links)
    assert len(starts) == len(links)


def test_nodes_run_in_an_order_in_which_each_has_what_it_needs(workflow):
    order = {node["id"]: node["order"] for node in workflow["nodes"]}
    assert len(set(order.values())) == len(order)
    assert all(order[source] < order[target] for _, source, _, target, _, _ in workflow["links"])


def test_no_two_nodes_overlap(workflow):
    boxes = {}
    for node in workflow["nodes"]:
        (left, top), (width, height) = node["pos"], node["size"]
        boxes[where(node)] = (left, top - TITLE, left + width, top + height)
    for (a, one), (b, two) in itertools.combinations(boxes.items(), 2):
        apart = one[2] <= two[0] or two[2] <= one[0] or one[3] <= two[1] or two[3] <= one[1]
        assert apart, f"{a} and {b} overlap"


def test_a_workflow_reads_from_left_to_right(workflow):
    left = {node["id"]: node["pos"][0] for node in workflow["nodes"]}
    assert all(left[source] <= left[target] for _, source, _, target, _, _ in workflow["links"])


def test_a_workflow_ends_in_a_video_at_the_rate_of_its_frames(workflow, working):
    types = {node["id"]: node["type"] for node in working}
    sources = {(target, slot): source for _, source, _, target, slot, _ in workflow["links"]}
    videos = [node for node in working if node["type"] == "CreateVideo"]
    assert videos
    for node in videos:
        slots = {slot["name"]: index for index, slot in enumerate(node["inputs"])}
        images, rate = (sources[node["id"], slots[name]] for name in ("images", "fps"))
        assert types[rate] == "LGA_SynthesizeFrames"
        assert images == rate or types[images] in ("LGA_PasteBack", "ImageStitch")
    assert sum(type_ == "SaveVideo" for type_ in types.values()) == len(videos)


def test_together_the_workflows_show_most_of_the_nodes():
    used = {node["type"] for file in FILES for node in json.loads(file.read_text())["nodes"]}
    files_of_ones_own = {f"LGA_{verb}{kind}" for verb in ("Save", "Load") for kind in ("Faces", "Motion", "Tuning")}
    files_of_ones_own |= {"LGA_LoadIdentity", "LGA_ReadExpressions"}
    takes_long = {"LGA_GlobalDirection"}
    assert len(set(CLASSES) - used - files_of_ones_own - takes_long) <= 2
