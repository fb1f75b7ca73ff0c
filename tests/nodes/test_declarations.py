"""Every node says what it is, what it takes and what it gives, and where its help is."""

from __future__ import annotations

import inspect
import re

import pytest
from contract import names_out
from pack import CLASSES, ROOT, WIDGETS, inputs_of, nodes

DOCS = ROOT / "web/docs"
SOCKETS = {
    *("LGA_GENERATOR", "LGA_ENCODER", "LGA_CLIP", "LGA_MOTION_MODEL", "LGA_FACES", "LGA_TEXT", "LGA_MOTION"),
    *("LGA_PLACES", "LGA_ALIGNMENT", "LGA_IDENTITY"),
    *("IMAGE", "MASK"),
}
MAY_READ_FILES = {"LGA_ReadExpressions", "LGA_StyleClipEdit", "LGA_RandomMotion"}
every_node = pytest.mark.parametrize("id_", CLASSES)


def parameters(function) -> dict[str, inspect.Parameter]:
    found = inspect.signature(function).parameters
    return {name: parameter for name, parameter in found.items() if name != "self"}


def test_each_node_is_another_class_with_a_name_of_its_own():
    names = nodes.NODE_DISPLAY_NAME_MAPPINGS
    assert set(names) == set(CLASSES)
    assert len(set(names.values())) == len(set(CLASSES.values())) == len(CLASSES)


@every_node
def test_a_node_introduces_itself(id_):
    node = CLASSES[id_]
    assert id_ == f"LGA_{node.__name__}"
    assert not nodes.NODE_DISPLAY_NAME_MAPPINGS[id_].startswith("LGA")
    assert re.fullmatch(r"language-guided animation/(loaders|faces|motion|render|photo)", node.CATEGORY)
    assert len(node.DESCRIPTION) > 20
    assert node.DESCRIPTION.endswith(".")
    assert len(node.SEARCH_ALIASES) > 1
    assert all(isinstance(alias, str) and alias for alias in node.SEARCH_ALIASES)


@every_node
def test_every_input_of_a_node_is_explained(id_):
    for name, (_, options) in inputs_of(id_).items():
        assert len(options.get("tooltip", "")) > 10, name


@every_node
def test_every_input_of_a_node_is_set_on_it_or_comes_through_a_known_socket(id_):
    for name, (type_, options) in inputs_of(id_).items():
        assert type_ in SOCKETS or type_ in WIDGETS, name
        if type_ in WIDGETS:
            assert "default" in options or "options" in options, name


@every_node
def test_every_output_of_a_node_is_named_and_explained(id_):
    node = CLASSES[id_]
    if not node.RETURN_TYPES:
        assert node.OUTPUT_NODE  # what gives nothing out must do something
        return
    assert len(node.RETURN_TYPES) == len(names_out(id_)) == len(node.OUTPUT_TOOLTIPS)
    assert set(node.RETURN_TYPES) <= SOCKETS | {"STRING", "FLOAT"}
    assert all(len(tooltip) > 5 for tooltip in node.OUTPUT_TOOLTIPS)


@every_node
def test_a_nodes_function_takes_its_inputs_and_no_others(id_):
    node = CLASSES[id_]
    found = parameters(getattr(node, node.FUNCTION))
    required, optional = (set(inputs_of(id_, kind)) for kind in ("required", "optional"))
    hidden = set(node.INPUT_TYPES().get("hidden", {}))
    assert {name for name, entry in found.items() if entry.default is inspect.Parameter.empty} == required
    assert {name for name, entry in found.items() if entry.default is None} == optional | hidden


@every_node
def test_what_is_asked_before_a_run_takes_the_nodes_inputs(id_):
    node = CLASSES[id_]
    if hasattr(node, "VALIDATE_INPUTS"):
        asked = inspect.getfullargspec(node.VALIDATE_INPUTS)  # as ComfyUI reads it
        assert set(asked.args) - {"cls"} <= set(inputs_of(id_))
        assert asked.varkw is None, "ComfyUI would check none of the node's inputs by itself any more"
    if hasattr(node, "IS_CHANGED"):  # ComfyUI hands it all of them
        everything = set(inputs_of(id_)) | set(node.INPUT_TYPES().get("hidden", {}))
        inspect.signature(node.IS_CHANGED).bind(**dict.fromkeys(everything))


@every_node
def test_a_menu_of_files_is_the_input_that_is_checked(id_):
    node = CLASSES[id_]
    if hasattr(node, "MENU"):
        assert inspect.getfullargspec(node.VALIDATE_INPUTS).args == [node.MENU.name]
        assert inputs_of(id_)[node.MENU.name][0] == "COMBO"


@every_node
def test_a_numbers_default_lies_within_its_bounds_and_on_a_step(id_):
    for name, (type_, options) in inputs_of(id_).items():
        if type_ in ("INT", "FLOAT"):
            kind = int if type_ == "INT" else float
            least, value, most = (options[key] for key in ("min", "default", "max"))
            assert all(isinstance(number, kind) for number in (least, value, most)), name
            assert least <= value <= most, name
            steps = (value - least) / options.get("step", 1)
            assert steps == pytest.approx(round(steps)), name


@every_node
def test_a_menu_has_words_to_choose_from_and_its_default_is_one_of_them(id_):
    for name, (type_, options) in inputs_of(id_).items():
        if type_ == "COMBO":
            assert all(isinstance(choice, str) and choice for choice in options["options"]), name
            assert len(set(options["options"])) == len(options["options"]), name
            assert "default" not in options or options["default"] in options["options"], name


@every_node
def test_what_a_person_writes_is_taken_as_written(id_):
    """The frontend would take {a|b} in a field for a choice to make at random."""
    for name, (type_, options) in inputs_of(id_).items():
        if type_ == "STRING" and (options.get("multiline") or options.get("placeholder")):
            assert options.get("dynamicPrompts") is False, name


@every_node
def test_a_seed_says_what_becomes_of_it_after_a_run(id_):
    for name, (_, options) in inputs_of(id_).items():
        sampled = id_ == "LGA_SampleFace" and name == "seed"
        assert bool(options.get("control_after_generate")) == sampled
        assert name != "seed" or "control_after_generate" in options  # or the frontend adds it by the name


@every_node
def test_what_a_file_decides_is_asked_for_anew_when_the_file_changes(id_):
    node = CLASSES[id_]
    by_file = id_.startswith("LGA_Load") or id_ in MAY_READ_FILES
    assert hasattr(node, "IS_CHANGED") == by_file


@every_node
def test_a_node_has_a_help_page_with_a_picture_that_is_there(id_):
    page = (DOCS / f"{id_}.md").read_text()
    pictures = re.findall(r"!\[[^\]]*\]\(([^)\s]+)[^)]*\)", page) + re.findall(r"<img[^>]*src=[\"']([^\"']+)", page)
    assert pictures, "no picture"
    assert not [picture for picture in pictures if not (DOCS / picture).is_file()]


@every_node
def test_a_help_page_names_every_input_and_output_of_its_node(id_):
    page = (DOCS / f"{id_}.md").read_text()
    names = (*inputs_of(id_), *(names_out(id_) if CLASSES[id_].RETURN_TYPES else ()))
    assert not [name for name in names if name not in page]


def test_there_is_no_help_page_of_a_node_that_is_not_there():
    assert {file.stem for file in DOCS.glob("*.md")} == set(CLASSES)
