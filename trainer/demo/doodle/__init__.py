"""The embedded domain of drawn faces: its attributes and renderer, its words, and the figures of its stages."""

from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
"""Weights that only training and reports need: judge, attribute map, scorers."""
