"""The study in a real Chromium, from the first pair to the tally; without one, or without playwright, it is skipped.

    python -m pytest tests/trainer/study/test_browser.py

CHROMIUM is the browser, if none is on PATH; playwright comes with the extra `comfyui`.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from studies import ASKED, BLUE, PROMPTS, RED, draw_methods, read_key

from lga_trainer.study import build as making
from lga_trainer.study.build import make
from lga_trainer.study.tally import tally

FLAGS = "--no-sandbox --disable-gpu --disable-background-networking --disable-dev-shm-usage --no-first-run"
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
# Which method a clip is of: the red one has more red than blue.
IS_RED = """video => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 32, height: 32}).getContext('2d')
  canvas.drawImage(video, 0, 0, 32, 32)
  const [red, , blue] = canvas.getImageData(30, 1, 1, 1).data
  return red > blue
}"""
READY = "[...document.querySelectorAll('video')].every(video => video.readyState >= 2)"
TIMES = "[...document.querySelectorAll('video')].map(video => video.currentTime)"


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("There is no Chromium on PATH and CHROMIUM names none.")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    make(*draw_methods(folder / "clips"), folder / "study", seed=2)
    return folder / "study"


@contextmanager
def opened(chromium, study: Path, **options):
    """A new person's browser with the page in it. Afterwards: no error on the page, and nothing asked of elsewhere."""
    context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}} | options)
    context.set_default_timeout(15_000)
    page, faults, asked = context.new_page(), [], []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type in ("error", "warning") else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto((study / "index.html").as_uri())
    yield page
    context.close()
    assert not faults
    assert not [url for url in asked if not url.startswith((study.as_uri(), "blob:", "data:"))]


def until(page, holds: str) -> None:
    """Waits for what `holds` says; the page's policy lets playwright's own waiting evaluate nothing."""
    for _ in range(300):
        if page.evaluate(holds):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"It never came to be that {holds}")


def begin(page, code: str) -> None:
    page.get_by_label("Your code").fill(code)
    page.get_by_role("button", name="Start").click()


def red_side(page) -> str:
    """The side on which the red method's clip is."""
    until(page, READY)
    left, right = (page.locator(f"#{side} video").evaluate(IS_RED) for side in ("left", "right"))
    assert left != right
    return "left" if left else "right"


def key_of(side: str, other: bool = False) -> str:
    return {"left": "1", "right": "2"}[side] if not other else {"left": "ArrowRight", "right": "ArrowLeft"}[side]


def rate_by_keys(page) -> None:
    """Red for the words and the person, blue for what is real."""
    side = red_side(page)
    page.keyboard.press(key_of(side))
    page.keyboard.press(key_of(side))
    page.keyboard.press(key_of(side, other=True))
    page.keyboard.press("Enter")


def saved(page, folder: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save my answers").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_two_raters_from_the_first_pair_to_the_tally(chromium, study, tmp_path):
    with opened(chromium, study) as page:
        begin(page, "r1")
        for number in range(4):
            assert page.locator("#where").inner_text() == f"Pair {number + 1} of 4"
            assert page.locator("#words").inner_text() in ("closing eyes", "smiling")
            rate_by_keys(page)
        by_keys = saved(page, tmp_path)
        shown = page.locator("html").inner_text() + page.get_by_label("The file's text").input_value()
        assert RED not in shown and BLUE not in shown
    with opened(chromium, study) as page:
        begin(page, "r2")
        for _ in range(4):
            side = red_side(page)
            for row in page.get_by_role("radiogroup").all():
                row.get_by_role("radio", name=side).click()
            page.locator("#next").click()
        by_mouse = saved(page, tmp_path)

    assert by_keys.name == "answers-R1.json"
    found = tally(study, [by_keys, by_mouse], tmp_path)
    assert [row["rater"] for row in found["raters"]] == ["R1", "R2"]
    assert not found["left_out"]
    assert [found["questions"][question]["share"]["mean"] for question in ASKED] == [1, 1, 0.5]
    assert sorted(found["prompts"]) == sorted(PROMPTS)


def test_each_rater_has_an_order_and_sides_of_their_own_and_the_same_after_a_reload(chromium, study, tmp_path):
    orders = []
    for code in ("r1", "r2", "r3", "r1"):
        with opened(chromium, study) as page:
            begin(page, code)
            for _ in range(4):
                rate_by_keys(page)
            told = json.loads(saved(page, tmp_path).read_text())
            orders.append([(row["pair"], row["left"]) for row in told["answers"]])
    assert orders[0] == orders[3]
    assert len(set(map(tuple, orders))) > 1
    assert {left for order in orders for _, left in order} == {"x", "y"}


def test_after_a_reload_it_goes_on_where_it_was_with_the_answers_given(chromium, study):
    with opened(chromium, study) as page:
        begin(page, "r5")
        rate_by_keys(page)
        rate_by_keys(page)
        page.keyboard.press("1")
        words = page.locator("#words").inner_text()
        page.reload()
        assert page.get_by_label("Your code").input_value() == "R5"
        page.get_by_role("button", name="Go on at pair 3 of 4").click()
        assert page.locator("#words").inner_text() == words
        assert page.locator("input:checked").evaluate_all("all => all.map(one => one.name + one.value)") == [
            "wordsleft"
        ]
        page.get_by_role("button", name="Back").click()
        assert page.locator("#where").inner_text() == "Pair 2 of 4"
        assert page.locator("input:checked").count() == 3


def test_keys_go_back_and_change_an_answer_and_enter_waits_for_the_last(chromium, study):
    with opened(chromium, study) as page:
        begin(page, "r6")
        checked = page.locator("input:checked")
        page.keyboard.press("Enter")
        assert page.locator("#where").inner_text() == "Pair 1 of 4"
        for key in ("1", "ArrowRight", "Backspace", "ArrowLeft", "2"):
            page.keyboard.press(key)
        assert checked.evaluate_all("all => all.map(one => one.value)") == ["left", "left", "right"]
        page.keyboard.press("Enter")
        assert page.locator("#where").inner_text() == "Pair 2 of 4"
        assert checked.count() == 0
        page.keyboard.press("Backspace")
        assert page.locator("#where").inner_text() == "Pair 1 of 4"
        page.keyboard.press("1")
        assert checked.evaluate_all("all => all.map(one => one.value)") == ["left", "left", "left"]


def test_both_clips_play_in_step_again_and_again_until_they_are_paused(chromium, study):
    with opened(chromium, study) as page:
        begin(page, "r7")
        until(page, READY)
        page.evaluate("""() => {
          window.starts = [0, 0]
          document.querySelectorAll('video').forEach((video, i) => video.addEventListener('play', () => starts[i]++))
        }""")
        until(page, "starts[0] >= 2 && starts[1] >= 2")
        until(page, f"(([left, right]) => left > 0.1 && Math.abs(left - right) < 0.1)({TIMES})")
        page.keyboard.press("p")
        assert page.get_by_role("button", name="Play").is_visible()
        assert page.evaluate("[...document.querySelectorAll('video')].every(video => video.paused)")


def test_a_person_who_wants_less_motion_starts_the_clips(chromium, study):
    with opened(chromium, study, reduced_motion="reduce") as page:
        begin(page, "r8")
        until(page, READY)
        assert page.evaluate(TIMES) == [0, 0]
        page.get_by_role("button", name="Play").click()
        until(page, f"{TIMES}.every(time => time > 0)")


def test_answers_can_be_copied_and_removed(chromium, study):
    with opened(chromium, study, permissions=["clipboard-read", "clipboard-write"]) as page:
        begin(page, "r9")
        for _ in range(4):
            rate_by_keys(page)
        page.get_by_role("button", name="Copy them instead").click()
        page.get_by_text("Copied").wait_for()
        assert json.loads(page.evaluate("navigator.clipboard.readText()"))["rater"] == "R9"
        page.reload()
        page.get_by_role("button", name="See my answers").click()
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Remove my answers").click()
        assert "R9" not in page.evaluate("JSON.stringify({...localStorage})")
        page.get_by_label("Your code").fill("r9")
        assert page.get_by_role("button", name="Start").is_visible()


def test_codes_that_end_in_numbers_share_the_pairs_out(chromium, tmp_path):
    make(*draw_methods(tmp_path / "clips"), tmp_path / "study", each=2, seed=0)
    seen = []
    for code in ("R1", "R2", "R3"):
        with opened(chromium, tmp_path / "study") as page:
            begin(page, code)
            for _ in range(2):
                rate_by_keys(page)
            seen.append({row["pair"] for row in json.loads(saved(page, tmp_path).read_text())["answers"]})
    assert seen[0] | seen[1] == set(read_key(tmp_path / "study")["pairs"])
    assert seen[2] == seen[0]


def test_clips_beside_the_page_play_too(chromium, tmp_path, monkeypatch):
    monkeypatch.setattr(making, "INLINE_LIMIT", 1000)
    make(*draw_methods(tmp_path / "clips"), tmp_path / "study", seed=0)
    with opened(chromium, tmp_path / "study") as page:
        begin(page, "r1")
        until(page, READY)
        until(page, f"{TIMES}.every(time => time > 0)")


def test_a_clip_that_cannot_be_played_is_said_so(chromium, tmp_path, monkeypatch):
    monkeypatch.setattr(making, "INLINE_LIMIT", 1000)
    make(*draw_methods(tmp_path / "clips"), tmp_path / "study", seed=0)
    for clip in (tmp_path / "study" / "clips").iterdir():
        clip.write_bytes(b"no clip")
    with opened(chromium, tmp_path / "study") as page:
        begin(page, "r1")
        page.get_by_text("This browser cannot play the clip").first.wait_for()
        assert page.get_by_text("This browser cannot play the clip").count() == 2


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080), (900, 900), (761, 600), (390, 844), (320, 640)])
def test_nothing_lies_beside_the_screen(chromium, study, size):
    width, height = size
    with opened(chromium, study, viewport={"width": width, "height": height}) as page:
        wide = "document.documentElement.scrollWidth - innerWidth"
        assert page.evaluate(wide) <= 0
        begin(page, "r1")
        until(page, READY)
        assert page.evaluate(wide) <= 0
        boxes = [page.locator(f"#{side} video").bounding_box() for side in ("left", "right")]
        assert boxes[0]["x"] + boxes[0]["width"] < boxes[1]["x"]
        assert boxes[0]["x"] >= 0
        assert boxes[0]["y"] == boxes[1]["y"]
        if width >= 1280:
            assert page.locator("#next").bounding_box()["y"] + 46 <= height
