"""Numbers on a command line, refused in words where they do not fit. For argparse's `type`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def whole(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers in [low, high]."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text!r} should be a whole number from {low} to {high}.")
        return number

    return parse


def real(low: float, high: float, *, open_low: bool = False) -> Callable[[str], float]:
    """A parser of finite numbers in [low, high], or (low, high] with `open_low`."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (low < number <= high or (number == low and not open_low)):
            raise argparse.ArgumentTypeError(
                f"{text!r} should be a number {'above' if open_low else 'from'} {low} {'and up ' if open_low else ''}"
                f"to {high}."
            )
        return number

    return parse
