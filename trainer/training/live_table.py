"""The live display of a training on a terminal, by rich: a progress bar above a table of losses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from .sparkline import Sparkline


class LiveTable(Progress):
    """A progress bar with a line of status and the losses by objective below it.

    It has no refresh thread: one would read the losses while they change.
    """

    def __init__(self, console: Console, title: str, steps: int, start: int) -> None:
        self.status = ""
        self.losses: Mapping[str, Sequence[tuple[str, Sparkline]]] = {}
        super().__init__(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=None, style="bright_black", complete_style="cyan"),
            TextColumn("step {task.completed:,} of {task.total:,}"),
            console=console,
            auto_refresh=False,
            expand=True,
        )
        self.bar = self.add_task(title, total=steps, completed=start)

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        yield Text(self.status, "dim")
        yield self._losses_table()

    def _losses_table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column()
        table.add_column(justify="right", min_width=9)
        table.add_column(style="cyan")
        for objective, curves in self.losses.items():
            table.add_row(Text(f"\n{objective}", "dim"), "", "")
            for name, curve in curves:
                style = "red" if not math.isfinite(curve.last) else "bold" if name == "total" else ""
                table.add_row(Text(name, style), Text(f"{curve.last:.4g}", style), str(curve))
        return table
