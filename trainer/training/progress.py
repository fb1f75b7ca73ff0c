"""The progress of a training: a live table on a terminal, plain lines elsewhere, and TensorBoard.

rich and tensorboard are optional: without rich the lines are plain; without tensorboard the display says so once.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .sparkline import Sparkline

if TYPE_CHECKING:
    from accelerate.tracking import TensorBoardTracker
    from rich.console import Console

    from .live_table import LiveTable

WINDOW = 200
"""Steps from which the remaining time is estimated: enough to include previews and checkpoints."""
LINE_INTERVAL = 10.0
"""Seconds between two plain lines between logged steps."""
LOGGED_LINE_INTERVAL = 2.0
"""Seconds between two plain lines, at least."""
REFRESH_INTERVAL = 0.25
"""Seconds between two updates of the table, at least."""
LARGEST_PREVIEW = 1000, 2400
"""Width and height of a preview in TensorBoard in pixels, at most: its log keeps all previews in one file."""


class Display:
    """A context manager around the training loop: call `show` after every step.

    Args:
        title: what is trained.
        steps: of the whole run, including those before `start`.
        start: steps that a resumed run has already taken.
        tensorboard: folder for TensorBoard's logs; None for none.
    """

    def __init__(self, title: str, steps: int, start: int = 0, tensorboard: Path | None = None) -> None:
        self.title, self.steps, self.start, self.step = title, steps, start, start
        self.memory_mb = math.nan
        self.curves: dict[str, Sparkline] = {}
        self.times: deque[tuple[int, float]] = deque(maxlen=WINDOW + 1)
        self.speeds: deque[float] = deque(maxlen=20)  # frames per second in the last steps
        self.last_update = -math.inf  # when the last line was printed, or the table updated
        self.table = _table(title, steps, start)
        self.tracker, self.warning = _tracker(tensorboard, start)

    def __enter__(self) -> Display:
        if self.table is not None:
            self.table.start()
        else:
            resumed = f", resumed after step {self.step}" if self.step else ""
            print(f"{self.title}: {self.steps} steps{resumed}", flush=True)
        if self.warning:
            self.say(self.warning)
        return self

    def __exit__(self, *_: object) -> None:
        if self.table is not None:
            self._update_table()
            self.table.stop()
        if self.tracker is not None:
            self.tracker.finish()

    def show(self, step: int, row: Mapping[str, float]) -> None:
        """Show the values of step number `step` (from 1), named as in metrics.jsonl.

        A row with "seconds" is a logged one: it goes to TensorBoard, and its plain line comes sooner.
        """
        self.step = step
        self.times.append((step, time.monotonic()))
        self.memory_mb = row.get("memory_mb", self.memory_mb)
        if "frames_per_second" in row:
            self.speeds.append(row["frames_per_second"])
        for name, value in row.items():
            if "/" in name:
                self.curves.setdefault(name, Sparkline()).add(value)
        logged = "seconds" in row
        if logged and self.tracker is not None:
            self.tracker.log(dict(row), step)
        if self.table is None:
            self._print_line(LOGGED_LINE_INTERVAL if logged else LINE_INTERVAL)
        elif time.monotonic() - self.last_update >= REFRESH_INTERVAL:
            self._update_table()

    def say(self, text: str) -> None:
        """Print a line above the table."""
        if self.table is not None:
            self.table.console.print(text, highlight=False, markup=False)
        else:
            print(text, flush=True)

    def picture(self, step: int, path: Path) -> None:
        """Announce the preview image at `path`, and add it to TensorBoard."""
        self.say(f"step {step:,}: preview in {path}")
        if self.tracker is not None:
            import numpy
            from PIL import Image

            with Image.open(path) as page:
                page.thumbnail(LARGEST_PREVIEW)
                pixels = numpy.asarray(page.convert("RGB"))[None]
            self.tracker.log_images({"preview": pixels}, step, dataformats="NHWC")

    def remaining(self) -> float:
        """Estimated seconds until the end, at the speed of the last `WINDOW` steps; NaN before the second step.

        The first step is ignored: it compiles and fills caches.
        """
        if len(self.times) < 2:
            return math.nan
        (first, then), (last, now) = self.times[0], self.times[-1]
        return (self.steps - last) * (now - then) / (last - first)

    def status(self) -> str:
        """Progress, speed, remaining time and memory in one line."""
        parts = [f"{100 * self.step // max(1, self.steps)} %"]
        if self.speeds:
            parts.append(f"{sum(self.speeds) / len(self.speeds):.3g} frames/s")
        left = self.remaining()
        if not math.isnan(left) and self.step < self.steps:
            parts.append(f"{duration(left)} left")
        if math.isfinite(self.memory_mb):
            parts.append(memory(self.memory_mb))
        return " · ".join(parts)

    def _print_line(self, interval: float) -> None:
        now = time.monotonic()
        if now - self.last_update >= interval or self.step == self.steps:
            self.last_update = now
            losses = (
                f"{objective}/{name} {curve.last:.4g}"
                for objective, curves in self._objectives().items()
                for name, curve in curves
            )
            print(f"step {self.step}/{self.steps}  {self.status()}  {'  '.join(losses)}".rstrip(), flush=True)

    def _update_table(self) -> None:
        assert self.table is not None
        self.last_update = time.monotonic()
        self.table.status, self.table.losses = self.status(), self._objectives()
        self.table.update(self.table.bar, completed=self.step, refresh=True)

    def _objectives(self) -> dict[str, list[tuple[str, Sparkline]]]:
        """The losses by objective, each one's total first and its gradient last."""
        place = {"total": 0, "gradient": 2}
        found: dict[str, list[tuple[str, Sparkline]]] = {}
        for full_name, curve in self.curves.items():
            objective, _, name = full_name.partition("/")
            found.setdefault(objective, []).append((name, curve))
        return {key: sorted(curves, key=lambda item: place.get(item[0], 1)) for key, curves in found.items()}


def duration(seconds: float) -> str:
    """5 s, 12 min 5 s, 3 h 20 min, 2 d 4 h."""
    seconds = max(0, round(seconds))
    for unit, name, part, part_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= unit:
            rest = seconds % unit // part
            return f"{seconds // unit} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{seconds} s"


def memory(megabytes: float) -> str:
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"


def _terminal() -> Console | None:
    """The terminal, if standard output is one and rich is installed."""
    with suppress(ImportError):
        from rich.console import Console

        console = Console()
        return console if console.is_terminal and not console.is_dumb_terminal else None
    return None


def _table(title: str, steps: int, start: int) -> LiveTable | None:
    console = _terminal()
    if console is None:
        return None
    from .live_table import LiveTable

    return LiveTable(console, title, steps, start)


def _tracker(folder: Path | None, start: int) -> tuple[TensorBoardTracker | None, str]:
    """accelerate's tracker, which drops what an earlier run logged after step `start`; or None and a warning."""
    if folder is None:
        return None, ""
    try:
        from accelerate.tracking import TensorBoardTracker

        tracker = TensorBoardTracker("", folder, purge_step=start + 1 if start else None)
        tracker.start()
    except ImportError:
        return None, (
            "TensorBoard is off: tensorboard is not installed (`pip install tensorboard`). All metrics are still "
            "written to metrics.jsonl."
        )
    return tracker, ""
