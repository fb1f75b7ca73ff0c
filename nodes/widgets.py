"""Declarations of the inputs that a person sets on a node itself: menus, numbers and texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Widget = tuple[str, dict[str, Any]]
MOST_FRAMES, MOST_SEEDS = 10000, 2**63 - 1


def choices(options: Iterable[str], tooltip: str, **more: Any) -> Widget:
    """A menu."""
    return ("COMBO", {"options": list(options), "tooltip": tooltip, **more})


def integer(default: int, least: int, most: int, tooltip: str) -> Widget:
    """A whole number."""
    return ("INT", {"default": default, "min": least, "max": most, "tooltip": tooltip})


def number(default: float, least: float, most: float, step: float, tooltip: str) -> Widget:
    """A number with a decimal point."""
    return ("FLOAT", {"default": default, "min": least, "max": most, "step": step, "tooltip": tooltip})


def text(default: str, tooltip: str) -> Widget:
    """A text of several lines. ComfyUI leaves braces in it as they are, see `line`."""
    return ("STRING", {"default": default, "multiline": True, "dynamicPrompts": False, "tooltip": tooltip})


def line(placeholder: str, tooltip: str) -> Widget:
    """An empty text of one line that shows `placeholder`. Without dynamicPrompts {a|b} is not a random choice."""
    return ("STRING", {"default": "", "dynamicPrompts": False, "placeholder": placeholder, "tooltip": tooltip})


def frames(default: int, tooltip: str, least: int = 1) -> Widget:
    """A number of frames."""
    return integer(default, least, MOST_FRAMES, tooltip)


def frame_rate(tooltip: str) -> Widget:
    """Frames per second."""
    return number(12.0, 1.0, 120.0, 1.0, tooltip)


def percent(tooltip: str) -> Widget:
    """A position in an image, in percent of its width or height."""
    return number(50.0, 0.0, 100.0, 0.1, tooltip)


def strength() -> Widget:
    """The factor on a motion."""
    return number(
        1.0,
        -3.0,
        3.0,
        0.05,
        "Strength of the motion: 0.5 is subtle, 1 is as trained, 1.3 is emphatic. Above 1.5 faces start to break. "
        "Negative values reverse the motion.",
    )


def seed(tooltip: str, changes: bool = False) -> Widget:
    """A random seed. `changes`: the frontend offers to draw a new one after each run."""
    kind, options = integer(0, 0, MOST_SEEDS, tooltip)
    return kind, options | {"control_after_generate": changes}
