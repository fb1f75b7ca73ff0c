"""The pack in ComfyUI's own frontend: what a person sees and clicks."""

from __future__ import annotations

import json
import re

import pytest
from comfyui import PACK, workflow_files
from ui_format import api_format

FILES = workflow_files()
OWN_FILES = "My own StyleGAN"  # the workflow for a generator that the person brings

EMPTY = {"last_node_id": 0, "last_link_id": 0, "nodes": [], "links": [], "version": 0.4}


@pytest.fixture
def visit(browser):
    """A first visit to the frontend. Afterwards: nothing went wrong on the page, and nothing was asked of elsewhere."""
    with browser.visit() as visit:
        yield visit
        assert not visit.faults
        assert not visit.outside


def test_the_templates_dialog_shows_every_workflow_with_its_picture(visit, screenshots):
    thumbnails = visit.open_templates(PACK)
    visit.page.screenshot(path=screenshots / "templates.png")
    assert sorted(thumbnails) == [file.stem for file in FILES]
    assert all(width >= 300 for width in thumbnails.values()), thumbnails


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_template_opens_complete_and_runs_by_the_run_button(file, visit, client, screenshots, object_info):
    client.free()
    visit.open_templates(PACK)
    visit.click_template(file.stem)
    workflow = json.loads(file.read_text())
    assert sorted(visit.types()) == sorted(node["type"] for node in workflow["nodes"])
    assert not visit.missing()
    assert not visit.dialogs() + visit.alerts()
    assert not visit.overlaps()
    visit.picture(screenshots / f"{file.stem}, opened.png")
    assert visit.prompt(object_info) == api_format(workflow, object_info)
    end, said = visit.run()
    visit.picture(screenshots / f"{file.stem}.png")
    if OWN_FILES in file.stem:
        assert end == "rejected"
        assert "models/lga/generators" in said
        visit.faults = [fault for fault in visit.faults if not fault.endswith("/prompt")]
        return
    assert end == "execution_success", said
    assert all("/view?" in address for address in visit.shown_images("LGA_PreviewMotion"))
    assert not visit.overlaps()  # pictures and texts that came make nodes taller


def test_the_help_of_a_node_opens_with_its_picture(visit, client, screenshots):
    visit.load(EMPTY)
    visit.add("LGA_ChainExpressions")
    text, widths = visit.open_help("LGA_ChainExpressions")
    visit.picture(screenshots / "help.png")
    page = client.get(f"/extensions/{PACK}/docs/LGA_ChainExpressions.md").decode()
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    assert not [heading for heading in headings if heading not in text]
    assert widths
    assert all(widths)


def test_every_node_can_be_put_on_the_canvas_and_saved(visit, object_info):
    ours = [id_ for id_, node in object_info.items() if node["python_module"] == f"custom_nodes.{PACK}"]
    visit.load(EMPTY)
    for id_ in ours:
        visit.add(id_)
    assert sorted(visit.types()) == sorted(ours)
    saved = visit.page.evaluate("app.graph.serialize()")
    assert visit.prompt(object_info) == api_format(saved, object_info)
