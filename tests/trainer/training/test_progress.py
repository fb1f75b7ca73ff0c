"""What a person sees of a run: lines, the live table, TensorBoard; and what is said where a library is missing."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
import torch

from lga_trainer.training import progress as display
from lga_trainer.training.progress import Display, duration
from lga_trainer.training.sparkline import WIDTH, Sparkline

ROW = {
    "motion/total": 1.5,
    "motion/path": 0.25,
    "lr": 1e-3,
    "frames_per_second": 18.44,
    "memory_mb": 1536.0,
    "seconds": 9.0,
}


class Clock:
    """time.monotonic, under the test's control."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(display, "time", Clock())
    return display.time  # type: ignore[return-value]


def test_a_line_tells_step_speed_time_left_memory_and_losses(clock, capsys):
    with Display("doodle", steps=100) as shown:
        for step in range(1, 22):
            clock.now += 3
            shown.show(step, ROW if step == 21 else {})
    assert "step 21/100  21 % · 18.4 frames/s · 3 min 57 s left · 1.5 GB" in capsys.readouterr().out  # 79 x 3 s
    assert shown.remaining() == 79 * 3


def test_lines_come_every_ten_seconds_and_at_logged_steps_but_never_thick(clock, capsys):
    with Display("doodle", steps=1000) as shown:
        for step in range(1, 101):
            clock.now += 0.5
            shown.show(step, {})
        quiet = capsys.readouterr().out.count("step ")
        for step in range(101, 201):
            clock.now += 0.5
            shown.show(step, ROW)
    assert quiet == 5  # 50 s
    assert capsys.readouterr().out.count("step ") == 25  # every 2 s


def test_a_slow_first_step_does_not_count_in_the_time_left(clock):
    with Display("doodle", steps=11) as shown:
        clock.now += 500
        shown.show(1, {})
        clock.now += 2
        shown.show(2, {})
    assert shown.remaining() == 9 * 2


def test_the_time_left_is_that_of_many_steps_not_of_the_last(clock):
    with Display("doodle", steps=201) as shown:
        for step in range(1, 102):
            clock.now += 3 if step % 10 == 0 else 1
            shown.show(step, {})
    assert shown.remaining() == pytest.approx(100 * 1.2)


def test_a_continued_run_says_how_far_it_was(clock, capsys):
    with Display("doodle", steps=100, start=60) as shown:
        shown.show(61, ROW)
        clock.now += 5
        shown.show(62, {})
    assert shown.remaining() == 38 * 5
    assert "100 steps, resumed after step 60" in capsys.readouterr().out


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    console = pytest.importorskip("rich.console").Console
    screen = io.StringIO()
    monkeypatch.setattr(display, "_terminal", lambda: console(file=screen, force_terminal=True, width=90))
    return screen


def test_the_table_shows_every_loss_below_its_objective_the_total_first(monkeypatch, clock):
    screen = on_terminal(monkeypatch)
    with Display("doodle", steps=100) as shown:
        shown.show(50, {"motion/path": 0.25, "motion/total": float("nan"), "discriminator/w": 0.5, "memory_mb": 700.0})
        shown.say("a line above [not markup]")
    text = screen.getvalue()
    for part in ("step 50 of 100", "50 %", "700 MB", "0.25", "nan", "discriminator", "a line above [not markup]"):
        assert part in text
    assert text.rindex("total") < text.rindex("path") < text.rindex("discriminator")


def test_a_curve_keeps_the_whole_run_in_sight():
    curve = Sparkline()
    for value in torch.linspace(8, 1, 1000).tolist():
        curve.add(value)
    assert curve.last == 1
    assert 10 <= len(str(curve)) <= WIDTH
    assert str(curve)[0] == "█" and str(curve)[-1] == "▁"
    assert list(str(curve)) == sorted(str(curve), reverse=True)
    curve.add(float("inf"))
    assert curve.last == float("inf") and "█" in str(curve)


def test_tensorboard_gets_logged_rows_and_previews_and_forgets_what_a_resumed_run_takes_back(tmp_path, clock):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    preview = tmp_path / "step_000002.png"
    from PIL import Image

    Image.new("RGB", (1500, 3000), "red").save(preview)
    with Display("doodle", 4, tensorboard=tmp_path / "tb") as shown:
        for step in range(1, 5):
            shown.show(step, {"motion/total": float(step), "lr": 0.1} | ({"seconds": 9.0} if step % 2 == 0 else {}))
        shown.picture(2, preview)
    with Display("doodle", 4, start=2, tensorboard=tmp_path / "tb") as shown:
        shown.show(4, {"motion/total": 40.0, "seconds": 9.0})
    events = accumulator(str(tmp_path / "tb")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("motion/total")] == [(2, 2.0), (4, 40.0)]
    assert [event.step for event in events.Scalars("lr")] == [2]
    assert [(image.width, image.height) for image in events.Images("preview")] == [(1000, 2000)]


def test_without_rich_and_tensorboard_it_says_so_once_and_goes_on(tmp_path):
    script = (
        "import sys\n"
        "sys.modules['rich'] = sys.modules['tensorboard'] = None\n"
        "from pathlib import Path\n"
        "from lga_trainer.training.progress import Display\n"
        f"with Display('doodle', 2, tensorboard=Path({str(tmp_path)!r})) as shown:\n"
        "    for step in (1, 2): shown.show(step, {'motion/total': 1.0})\n"
    )
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert said.count("TensorBoard is off: tensorboard is not installed") == 1
    assert "step 2/2" in said


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0 s"), (59.6, "1 min"), (125, "2 min 5 s"), (7260, "2 h 1 min"), (90000, "1 d 1 h")]
)
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words
