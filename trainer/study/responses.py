"""Reading what `make` and raters' browsers wrote: the key, and the answers, which may be damaged in every way."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lga_core import InputError

from .build import KEY_FORMAT
from .questions import QUESTIONS

ANSWERS_FORMAT = "lga-study-answers"
CODE = r"[A-Za-z0-9_-]{1,24}"
"""Of a rater, as the page takes it."""
PARTS = ("x", "y", "clip", "prompt", "words")
"""What the key says of a pair: the method of each of its clips, what they are called, and what the words were."""


@dataclass(frozen=True)
class Key:
    """Which clip is whose. pairs: id -> {"x": method, "y": method, "clip", "prompt", "words"}; each: how many of them
    a rater sees."""

    study: str
    methods: tuple[str, str]
    each: int
    pairs: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Vote:
    """What one rater said of one pair. chosen: question -> method; side: question -> left or right; seconds: spent."""

    pair: str
    chosen: Mapping[str, str]
    side: Mapping[str, str]
    seconds: float


@dataclass(frozen=True)
class Answers:
    """All that one rater said. finished: the time, as ISO 8601 in UTC."""

    rater: str
    file: Path
    finished: str
    votes: Sequence[Vote]


def read_key(study: Path) -> Key:
    """The key of the study in that folder. Raises InputError."""
    path = study / "key.json"
    told = _read(path, "Give the folder that `lga study make` wrote, with its key.json.")
    try:
        methods = tuple(told["methods"])
        pairs = {str(name): {part: str(pair[part]) for part in PARTS} for name, pair in told["pairs"].items()}
        whole = len(methods) == 2 and all({pair["x"], pair["y"]} == set(methods) for pair in pairs.values())
        if told["format"] != KEY_FORMAT or not pairs or not whole:
            raise ValueError("it is another kind of file")
        return Key(str(told["study"]), (str(methods[0]), str(methods[1])), int(told["each"]), pairs)
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise InputError(
            f"{path} is not the key of a study, or is damaged ({err!r}). Restore it: it is needed."
        ) from err


def answer_files(places: Iterable[Path]) -> list[Path]:
    """The files among `places`, and those called answers*.json in the folders among them."""
    files = []
    for place in places:
        files += sorted(place.glob("answers*.json")) if place.is_dir() else [place]
    return list(dict.fromkeys(files))


def read_answers(path: Path, key: Key) -> Answers:
    """One rater's answers. Raises InputError for what is damaged, incomplete, or belongs to another study."""
    told = _read(path, "Ask the rater for the file again.")
    if told.get("format") != ANSWERS_FORMAT or not isinstance(told.get("answers"), list):
        raise InputError(f"{path} is no file of answers. Ask the rater for the one that the page saved.")
    if told.get("study") != key.study:
        raise InputError(
            f"{path} answers study {told.get('study')!r}, and this is {key.study!r}. Tally it with its own."
        )
    rater, finished = told.get("rater"), told.get("finished")
    if not isinstance(rater, str) or not re.fullmatch(CODE, rater):
        raise InputError(f"{path} names no rater by a code such as R7. Ask for the file that the page saved.")
    rows = told["answers"]
    done = sum(isinstance(row, dict) and all(question.id in row for question in QUESTIONS) for row in rows)
    if done < key.each:
        raise InputError(f"{path} is incomplete: {done} of {key.each} pairs are answered. Ask the rater to finish.")
    if not isinstance(finished, str) or not finished:
        raise InputError(f"{path} does not say when it was finished. Ask the rater to go on to the page's end.")
    votes = [_vote(row, key, path) for row in rows]
    if len(votes) != key.each or len({vote.pair for vote in votes}) != len(votes):
        raise InputError(f"{path} answers some pair twice, or too many. It was changed: ask for the page's own file.")
    return Answers(rater.upper(), path, finished, votes)


def _vote(row: Any, key: Key, path: Path) -> Vote:
    """Sides as methods: `left` says which clip of the pair stood on the left."""
    try:
        pair, first = key.pairs[row["pair"]], row["left"]
        shown = {"left": pair[first], "right": pair[{"x": "y", "y": "x"}[first]]}
        side = {question.id: row[question.id] for question in QUESTIONS}
        seconds = float(row["seconds"])
        if not 0 <= seconds < math.inf:
            raise ValueError("no span of time")
        return Vote(row["pair"], {question: shown[choice] for question, choice in side.items()}, side, seconds)
    except (KeyError, TypeError, ValueError) as err:
        raise InputError(f"{path} is damaged: {row!r:.80} is no answer. Ask the rater for the file again.") from err


def _read(path: Path, remedy: str) -> dict[str, Any]:
    try:
        told = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as err:
        raise InputError(f"{path} cannot be read ({err.strerror or err}). {remedy}") from err
    except (ValueError, RecursionError) as err:
        raise InputError(f"{path} is damaged: it is not JSON ({' '.join(str(err).split())[:80]}). {remedy}") from err
    if not isinstance(told, dict):
        raise InputError(f"{path} is damaged: its JSON is no object. {remedy}")
    return told
