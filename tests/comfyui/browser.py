"""ComfyUI's own frontend in Chromium, driven as a person would: templates, Run, help. Nothing leaves loopback."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page

FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-dev-shm-usage"
    " --disable-sync --no-first-run"
)
# What the frontend asks for on a first visit, and pages of help in one language, need not be there.
OPTIONAL = r"/user\.css|/userdata\?dir=|/userdata/comfy\.templates\.json|/docs/\w+/[a-zA-Z-]+\.md$"
# Frontend 1.27 raises this once while it loads, with and without custom nodes.
OWN_ERRORS = ("Cannot read properties of undefined (reading 'id')",)
CARD = "template-workflow-"  # how the dialog calls a template's card, before its name
READABLE = 0.75  # zoom at which nodes are drawn with their texts
READY = "window.app?.graph && Object.keys(window.LiteGraph?.registered_node_types ?? {}).length > 50"
ENDS = "['execution_success', 'execution_error', 'execution_interrupted']"
WATCH = f"""() => {{
  window.ended = new Promise(tell => {{
    for (const end of {ENDS}) app.api.addEventListener(end, event => tell([end, JSON.stringify(event.detail)]))
  }})
}}"""
# [title, left, top, right, bottom] of every node as drawn, title bar included
BOXES = """() => app.graph.nodes.map(node => [node.title, node.pos[0], node.pos[1] - LiteGraph.NODE_TITLE_HEIGHT,
  node.pos[0] + node.size[0], node.pos[1] + (node.flags?.collapsed ? 0 : node.size[1])])"""
MISSING = """() => app.graph.nodes.map(node => node.type)
  .filter(type => !LiteGraph.registered_node_types[type] && !['Note', 'MarkdownNote'].includes(type))"""


class Browser:
    def __init__(self, url: str, executable: str):
        self.url, self.executable = url, executable

    def __enter__(self) -> Browser:
        from playwright.sync_api import sync_playwright

        self.playwright = sync_playwright().start()
        self.chromium = self.playwright.chromium.launch(executable_path=self.executable, args=FLAGS.split())
        return self

    def __exit__(self, *_) -> None:
        self.chromium.close()
        self.playwright.stop()

    def visit(self, width: int = 1600, height: int = 900, scale: float = 1) -> Visit:
        """A first visit: a new profile, the frontend loaded and ready."""
        context = self.chromium.new_context(
            viewport={"width": width, "height": height}, device_scale_factor=scale, service_workers="block"
        )
        visit = Visit(context, context.new_page())
        visit.watch()
        visit.page.goto(self.url, wait_until="domcontentloaded")
        visit.page.wait_for_function(READY, timeout=120_000)
        visit.page.wait_for_selector("canvas#graph-canvas", timeout=60_000)
        visit.page.wait_for_timeout(1500)
        return visit


@dataclass
class Visit:
    context: BrowserContext
    page: Page
    faults: list[str] = field(default_factory=list)  # errors on the page, replies that are errors
    outside: list[str] = field(default_factory=list)  # requests to other machines; none gets through

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_) -> None:
        self.context.close()

    def watch(self) -> None:
        self.context.route(re.compile(r"^(?!https?://127\.0\.0\.1[:/])(?!data:|blob:)"), self.block)
        self.page.on("response", lambda reply: self.note_reply(reply.status, reply.url))
        self.page.on("pageerror", lambda error: self.note_error(str(error)))

    def block(self, route) -> None:
        self.outside.append(route.request.url)
        route.abort()

    def note_reply(self, status: int, url: str) -> None:
        if status >= 400 and not re.search(OPTIONAL, url):
            self.faults.append(f"{status} {url}")

    def note_error(self, text: str) -> None:
        if not text.endswith(OWN_ERRORS):
            self.faults.append(text)

    def command(self, name: str) -> None:
        self.page.evaluate(f"app.extensionManager.command.execute('{name}')")
        self.page.wait_for_timeout(1000)

    def open_templates(self, pack: str) -> dict[str, int]:
        """Opens the dialog at the pack's templates; the width of each one's thumbnail as loaded, 0 if it is not."""
        self.command("Comfy.BrowseTemplates")
        self.page.get_by_text(pack, exact=True).first.click()
        cards = self.page.locator(f'[data-testid^="{CARD}"]')
        cards.first.wait_for(timeout=30_000)
        names = [str(name).removeprefix(CARD) for name in cards.evaluate_all("all => all.map(c => c.dataset.testid)")]
        return {name: self._thumbnail(cards.nth(place)) for place, name in enumerate(names)}

    def _thumbnail(self, card: Locator) -> int:
        """The width of a card's picture, which is loaded once it is seen."""
        card.scroll_into_view_if_needed()
        for _ in range(20):
            if width := card.evaluate("card => card.querySelector('img')?.naturalWidth ?? 0"):
                return width
            self.page.wait_for_timeout(500)
        return 0

    def click_template(self, name: str) -> None:
        """Opens a template from the dialog."""
        self.page.get_by_test_id(f"{CARD}{name}").first.click()
        self.page.get_by_test_id(f"{CARD}{name}").first.wait_for(state="detached")
        self.page.wait_for_timeout(1500)

    def load(self, workflow: dict) -> None:
        self.page.evaluate("async workflow => { await app.loadGraphData(workflow, true, true) }", workflow)
        self.page.wait_for_timeout(1000)

    def add(self, type_: str) -> None:
        """Puts a new node on the canvas."""
        self.page.evaluate("type => app.graph.add(LiteGraph.createNode(type))", type_)

    def dialogs(self) -> list[str]:
        """What the open dialogs say; there should be none over a workflow that opened well."""
        return [text for text in self.page.locator("[role=dialog]").all_inner_texts() if text.strip()]

    def alerts(self) -> list[str]:
        """What pops up in the corner, such as complaints about the workflow's file."""
        return self.page.locator(".p-toast-message").all_inner_texts()

    def types(self) -> list[str]:
        return self.page.evaluate("app.graph.nodes.map(node => node.type)")

    def missing(self) -> list[str]:
        return self.page.evaluate(MISSING)

    def overlaps(self) -> list[tuple[str, str]]:
        """Pairs of nodes that are drawn over each other."""
        boxes = self.page.evaluate(BOXES)
        return [
            (one, other)
            for i, (one, left, top, right, bottom) in enumerate(boxes)
            for other, left_, top_, right_, bottom_ in boxes[i + 1 :]
            if left < right_ and left_ < right and top < bottom_ and top_ < bottom
        ]

    def prompt(self, object_info: dict) -> dict:
        """What the Run button would post, without titles and what only the frontend knows of."""
        posted = self.page.evaluate("async () => (await app.graphToPrompt()).output")
        return {id_: known(node, object_info[node["class_type"]]) for id_, node in posted.items()}

    def run(self, seconds: float = 300) -> tuple[str, str]:
        """Presses Run; the name of the event that ended it and its details."""
        self.page.evaluate(WATCH)
        queue = self.page.get_by_test_id("queue-button")  # a group of buttons, or in newer frontends the button itself
        queue.and_(self.page.locator("button")).or_(queue.locator("button")).first.click()
        self.page.wait_for_timeout(1000)
        if self.dialogs():
            return "rejected", "\n".join(self.dialogs())
        late = f"new Promise(tell => setTimeout(() => tell(['no end', '{seconds} s']), {seconds * 1000}))"
        end = self.page.evaluate(f"Promise.race([window.ended, {late}])")
        self.page.wait_for_timeout(1500)  # the last pictures are still being drawn
        return tuple(end)

    def picture(self, path: Path) -> None:
        """Writes what a window would show that has room for the whole graph, large enough to read."""
        before = self.page.viewport_size
        left, top, right, bottom = zip(*[box[1:] for box in self.page.evaluate(BOXES)], strict=True)
        width, height = READABLE * (max(right) - min(left)) + 400, READABLE * (max(bottom) - min(top)) + 300
        self.page.set_viewport_size({"width": max(1200, round(width)), "height": max(700, round(height))})
        self.page.wait_for_timeout(1000)
        self.command("Comfy.Canvas.FitView")
        self.page.screenshot(path=path)
        self.page.set_viewport_size(before)

    def shown_images(self, type_: str) -> list[str]:
        """Addresses of the picture that each node of a type shows, "" for none; blob: is a live preview."""
        show = "type => app.graph.nodes.filter(node => node.type === type).map(node => node.imgs?.[0]?.src ?? '')"
        return self.page.evaluate(show, type_)

    def open_help(self, type_: str) -> tuple[str, list[int]]:
        """Opens the help panel of the first node of a type; its text, and the widths of its pictures as loaded."""
        self.command("Comfy.Canvas.FitView")  # its toolbar must be within the window
        self.page.evaluate("type => app.canvas.selectNode(app.graph.nodes.find(node => node.type === type))", type_)
        self.page.get_by_test_id("info-button").first.click()
        panel = self.page.locator(".node-help-content")
        panel.wait_for(timeout=30_000)
        self.page.wait_for_timeout(1500)
        widths = panel.locator("img").evaluate_all("pictures => pictures.map(picture => picture.naturalWidth)")
        return panel.inner_text(), widths


def known(node: dict, definition: dict) -> dict:
    """A node of a prompt with the inputs that the server knows."""
    names = {name for inputs in definition["input"].values() for name in inputs}
    inputs = {name: value for name, value in node["inputs"].items() if name in names}
    return {"class_type": node["class_type"], "inputs": inputs}
