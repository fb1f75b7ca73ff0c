"""What a person sees while something trains: a live table on a terminal, plain lines elsewhere, and TensorBoard.

rich and tensorboard are optional: without the first the lines are plain, without the second the display says so once.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from torch.utils.tensorboard.writer import SummaryWriter

BARS = "▁▂▃▄▅▆▇█"
HISTORY = 28
"""Points of the small curve beside each loss."""
SPEED_STEPS = 200
"""Steps that the remaining time is estimated from: enough to hold a preview and a checkpoint now and then."""
QUIET = 10.0
"""Seconds between two plain lines at most, while steps are taken."""
CLOSEST = 2.0
"""Seconds between two plain lines at least."""
REFRESH = 0.25
"""Seconds between two drawings of the table at least."""
LARGEST = 1000, 2400
"""Pixels of a preview in TensorBoard, at most: it keeps every one of them in one file."""


class Display:
    """A context manager around the loop: call `show` after every step.

    Args:
        title: what is trained.
        steps: of the whole run, those before `start` included.
        start: steps that were taken before, by a run that is continued.
        tensorboard: folder for TensorBoard's files; None for none.
    """

    def __init__(self, title: str, steps: int, start: int = 0, tensorboard: Path | None = None) -> None:
        self.title, self.steps, self.start, self.step = title, steps, start, start
        self.row: dict[str, float] = {}  # the last known value of everything
        self.curves: dict[str, Curve] = {}
        self.times: deque[tuple[int, float]] = deque(maxlen=SPEED_STEPS + 1)
        self.speeds: deque[float] = deque(maxlen=20)  # frames drawn per second in the last steps
        self.said = -math.inf  # when the last line was written, or the table drawn
        self.console = _terminal()
        self.live: Live | None = None
        self.writer, self.complaint = _writer(tensorboard, start)

    def __enter__(self) -> Display:
        if self.console is not None:
            from rich.live import Live

            # No thread of its own: it would read the figures while they change.
            self.live = Live(get_renderable=self.table, console=self.console, auto_refresh=False)
            self.live.start()
        else:
            already = f", {self.step} of them taken" if self.step else ""
            print(f"{self.title}: {self.steps} steps{already}", flush=True)
        if self.complaint:
            self.say(self.complaint)
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()
        if self.writer is not None:
            self.writer.close()

    def show(self, step: int, row: Mapping[str, float]) -> None:
        """After step number `step` (from 1), with what is known of it, by the names of metrics.jsonl.

        A row with "seconds" is a logged one: it goes to TensorBoard, and plain lines do not wait.
        """
        self.step = step
        self.times.append((step, time.monotonic()))
        self.row.update(row)
        if "frames_per_second" in row:
            self.speeds.append(row["frames_per_second"])
        for name, value in row.items():
            if "/" in name:
                self.curves.setdefault(name, Curve()).add(value)
        logged = "seconds" in row
        if logged and self.writer is not None:
            for name, value in row.items():
                self.writer.add_scalar(name, value, step)
        if self.live is None:
            self._print_line(logged)
        elif time.monotonic() - self.said >= REFRESH:
            self.said = time.monotonic()
            self.live.refresh()

    def say(self, text: str) -> None:
        """A line above the table."""
        if self.live is not None:
            self.live.console.print(text, highlight=False, markup=False)
        else:
            print(text, flush=True)

    def picture(self, step: int, path: Path) -> None:
        """A preview was written to `path`."""
        self.say(f"step {step:,}: preview in {path}")
        if self.writer is not None:
            import numpy
            from PIL import Image

            with Image.open(path) as page:
                page.thumbnail(LARGEST)
                self.writer.add_image("preview", numpy.asarray(page.convert("RGB")), step, dataformats="HWC")

    def remaining(self) -> float:
        """Seconds that the run will take yet, at the pace of the last steps; NaN before the second one.

        The first step is left out: it compiles and fills caches.
        """
        if len(self.times) < 2:
            return math.nan
        (first, then), (last, now) = self.times[0], self.times[-1]
        return (self.steps - last) * (now - then) / (last - first)

    def status(self) -> str:
        """How far and how fast, in a line."""
        parts = [f"{100 * self.step // max(1, self.steps)} %"]
        if self.speeds:
            parts.append(f"{sum(self.speeds) / len(self.speeds):.3g} frames/s")
        left = self.remaining()
        if not math.isnan(left) and self.step < self.steps:
            parts.append(f"{duration(left)} left")
        if math.isfinite(self.row.get("memory_mb", math.nan)):
            parts.append(memory(self.row["memory_mb"]))
        return " · ".join(parts)

    def _print_line(self, logged: bool) -> None:
        now = time.monotonic()
        due = now - self.said >= (CLOSEST if logged else QUIET)
        if due or self.step == self.steps:
            self.said = now
            named = [(f"{key}/{name}", curve) for key, curves in self._objectives().items() for name, curve in curves]
            losses = "  ".join(f"{name} {curve.last:.4g}" for name, curve in named)
            print(f"step {self.step}/{self.steps}  {self.status()}  {losses}".rstrip(), flush=True)

    def table(self) -> RenderableType:
        """The bar, and under it each loss with its course over the run."""
        from rich.console import Group
        from rich.padding import Padding
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        head = Table.grid(expand=True)
        head.add_column()
        head.add_column(justify="right")
        head.add_row(Text(self.title, "bold"), Text(f"step {self.step:,} of {self.steps:,}"))
        bar = Table.grid(expand=True)
        bar.add_row(ProgressBar(self.steps, self.step, style="bright_black", complete_style="cyan"))
        losses = Table.grid(padding=(0, 2))
        losses.add_column()
        losses.add_column(justify="right", min_width=9)
        losses.add_column(style="cyan")
        for objective, curves in self._objectives().items():
            losses.add_row(Text(f"\n{objective}", "dim"), "", "")
            for name, curve in curves:
                style = "red" if not math.isfinite(curve.last) else "bold" if name == "total" else ""
                losses.add_row(Text(name, style), Text(f"{curve.last:.4g}", style), curve.drawn())
        return Padding(Group(head, bar, Text(self.status(), "dim"), losses), (1, 1))

    def _objectives(self) -> dict[str, list[tuple[str, Curve]]]:
        """The curves by objective, each one's total first and its gradient last."""
        place = {"total": 0, "gradient": 2}
        found: dict[str, list[tuple[str, Curve]]] = {}
        for full_name, curve in self.curves.items():
            objective, _, name = full_name.partition("/")
            found.setdefault(objective, []).append((name, curve))
        return {key: sorted(curves, key=lambda item: place.get(item[0], 1)) for key, curves in found.items()}


class Curve:
    """A loss over the run as a few bars: when they are full, every two become one, so that all of it stays in sight."""

    def __init__(self) -> None:
        self.last, self.means, self.each, self.pending = math.nan, [], 1, []

    def add(self, value: float) -> None:
        self.last = value
        self.pending.append(value)
        if len(self.pending) >= self.each:
            self.means.append(sum(self.pending) / len(self.pending))
            self.pending.clear()
        if len(self.means) > HISTORY:
            self.means = [(a + b) / 2 for a, b in zip(self.means[::2], self.means[1::2], strict=False)]
            self.each *= 2

    def drawn(self) -> str:
        finite = [value for value in self.means if math.isfinite(value)]
        if not finite:
            return ""
        low, span = min(finite), max(finite) - min(finite)
        heights = [(value - low) / span if span > 0 else 0.0 for value in self.means]
        return "".join(BARS[round(7 * height)] if math.isfinite(height) else "!" for height in heights)


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
    """The terminal, if standard output is one and rich is there to draw on it."""
    with suppress(ImportError):
        from rich.console import Console

        console = Console()
        return console if console.is_terminal and not console.is_dumb_terminal else None
    return None


def _writer(folder: Path | None, start: int) -> tuple[SummaryWriter | None, str]:
    """A writer that forgets what an earlier run logged after `start`; or None, and why there is none."""
    if folder is None:
        return None, ""
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError as err:
        missing: Any = err.name or "tensorboard"
        return None, (
            f"TensorBoard is off: {missing} is not installed (`pip install tensorboard`). Every figure is in "
            "metrics.jsonl all the same."
        )
    return SummaryWriter(str(folder), purge_step=start + 1 if start else None), ""
