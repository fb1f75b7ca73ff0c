"""The report of a trained baseline: StyleCLIP's latent mapper, or MoCoGAN-HD's motion generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .sheet_rows import Sheet

TEMPLATE = "baseline.html.j2"


def content(figures: Mapping[str, Any], sheets: Sequence[Sheet], quality: int) -> dict[str, Any]:
    """What baseline.html.j2 needs beside `figures`."""
    return {"sheets": [sheet.shown(quality) for sheet in sheets]}
