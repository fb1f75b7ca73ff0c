"""What raters are asked, and what the paper's raters answered."""

from __future__ import annotations

from typing import NamedTuple


class Question(NamedTuple):
    """id: its name in files. text: as raters read it. short: as tables name it. paper: share of votes for the paper's
    method (Table II of Hang et al. 2023)."""

    id: str
    text: str
    short: str
    paper: float


QUESTIONS = (
    Question("words", "Which clip better shows what the words say?", "shows the words", 0.728),
    Question("person", "Which clip looks more like the same person?", "keeps the person", 0.763),
    Question("real", "Which clip moves more naturally and looks more real?", "looks natural", 0.762),
)
"""The wording is ours; the paper gives the sense of its three questions. Its shares stand here in its own order."""


def spoken(prompt: str) -> str:
    """The name of a prompt's folder as words."""
    return prompt.replace("_", " ")
