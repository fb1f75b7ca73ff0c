"""The embedded domain of drawn faces: its renderer, its words, the stages that train it, and what checks it."""

from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
"""Weights that only training and reports need: judge, attribute map, scorers."""
