"""The domains that come with this library: their weights, and where they lie."""

from collections.abc import Mapping
from pathlib import Path

_HERE = Path(__file__).parent
DEFAULT_DOMAIN = "doodle"
EMBEDDED: Mapping[str, Path] = {
    DEFAULT_DOMAIN: _HERE,
    **{card.parent.name: card.parent for card in sorted(_HERE.glob("*/domain.json"))},
}
"""Folder of each embedded domain, by name: a further domain is a folder here."""
