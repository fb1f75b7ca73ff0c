"""The domains that come with this library: their weights, and where they lie."""

from collections.abc import Mapping
from pathlib import Path

EMBEDDED: Mapping[str, Path] = {"doodle": Path(__file__).parent}
"""Folder of each embedded domain, by name."""
DEFAULT_DOMAIN = "doodle"
