"""A whole run's loss as a few characters."""

from __future__ import annotations

import math

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 28
"""Characters of a sparkline, at most."""


class Sparkline:
    """A curve over the whole run in at most `WIDTH` bars: when they are full, neighbours are averaged."""

    def __init__(self) -> None:
        self.last = math.nan
        self._means: list[float] = []
        self._values_per_bar = 1
        self._pending: list[float] = []

    def add(self, value: float) -> None:
        self.last = value
        self._pending.append(value)
        if len(self._pending) >= self._values_per_bar:
            self._means.append(sum(self._pending) / len(self._pending))
            self._pending.clear()
        if len(self._means) > WIDTH:
            self._means = [(a + b) / 2 for a, b in zip(self._means[::2], self._means[1::2], strict=False)]
            self._values_per_bar *= 2

    def __str__(self) -> str:
        """A character for each bar; "!" for a value that is not finite."""
        finite = [value for value in self._means if math.isfinite(value)]
        if not finite:
            return ""
        low, span = min(finite), max(finite) - min(finite)
        heights = [(value - low) / span if span > 0 else 0.0 for value in self._means]
        return "".join(BARS[round(7 * height)] if math.isfinite(height) else "!" for height in heights)
