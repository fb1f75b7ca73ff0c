"""Read and validate the key that `make` wrote and the answers that raters' browsers saved."""

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
"""A rater's code, as the page accepts it."""
PARTS = ("x", "y", "clip", "prompt", "words")
"""What the key holds of a pair: the method of each clip, their name, and the prompt."""


@dataclass(frozen=True)
class Key:
    """Which method made which clip. pairs: id -> {"x": method, "y": method, "clip", "prompt", "words"}.

    each: number of pairs that a rater sees.
    """

    study: str
    methods: tuple[str, str]
    each: int
    pairs: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Vote:
    """One rater's answers for one pair. chosen: question -> method. side: question -> left or right."""

    pair: str
    chosen: Mapping[str, str]
    side: Mapping[str, str]
    seconds: float


@dataclass(frozen=True)
class Answers:
    """All answers of one rater. finished: the time, as ISO 8601 in UTC."""

    rater: str
    file: Path
    finished: str
    votes: Sequence[Vote]


def read_key(study: Path) -> Key:
    """The key of the study in that folder. Raises InputError."""
    path = study / "key.json"
    data = _read(path, "Give the folder that `lga study make` wrote, with its key.json.")
    try:
        methods = tuple(data["methods"])
        pairs = {str(name): {part: str(pair[part]) for part in PARTS} for name, pair in data["pairs"].items()}
        whole = len(methods) == 2 and all({pair["x"], pair["y"]} == set(methods) for pair in pairs.values())
        if data["format"] != KEY_FORMAT or not pairs or not whole:
            raise ValueError("it is another kind of file")
        return Key(str(data["study"]), (str(methods[0]), str(methods[1])), int(data["each"]), pairs)
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise InputError(
            f"{path} is not the key of a study, or is damaged ({err!r}). Restore it: answers cannot be read without it."
        ) from err


def answer_files(places: Iterable[Path]) -> list[Path]:
    """The files among `places`, and those called answers*.json in the folders among them."""
    files = []
    for place in places:
        files += sorted(place.glob("answers*.json")) if place.is_dir() else [place]
    return list(dict.fromkeys(files))


def read_answers(path: Path, key: Key) -> Answers:
    """One rater's answers. Raises InputError for what is damaged, incomplete, or belongs to another study."""
    data = _read(path, "Ask the rater for the file again.")
    if data.get("format") != ANSWERS_FORMAT or not isinstance(data.get("answers"), list):
        raise InputError(f"{path} is not a file of answers. Ask the rater for the file that the page saved.")
    if data.get("study") != key.study:
        raise InputError(
            f"{path} answers study {data.get('study')!r}, but this is study {key.study!r}. Tally it with its own study."
        )
    rater, finished = data.get("rater"), data.get("finished")
    if not isinstance(rater, str) or not re.fullmatch(CODE, rater):
        raise InputError(f"{path} has no rater code such as R7. Ask the rater for the file that the page saved.")
    rows = data["answers"]
    done = sum(isinstance(row, dict) and all(question.id in row for question in QUESTIONS) for row in rows)
    if done < key.each:
        raise InputError(f"{path} is incomplete: {done} of {key.each} pairs are answered. Ask the rater to finish.")
    if not isinstance(finished, str) or not finished:
        raise InputError(
            f"{path} has no time of completion. Ask the rater to complete the page and save the file again."
        )
    votes = [_vote(row, key, path) for row in rows]
    if len(votes) != key.each or len({vote.pair for vote in votes}) != len(votes):
        raise InputError(
            f"{path} answers a pair twice, or too many pairs. Ask the rater for the file that the page saved."
        )
    return Answers(rater.upper(), path, finished, votes)


def _vote(row: Any, key: Key, path: Path) -> Vote:
    """Translate sides into methods; `left` is the clip of the pair, x or y, that was on the left."""
    try:
        pair, first = key.pairs[row["pair"]], row["left"]
        shown = {"left": pair[first], "right": pair[{"x": "y", "y": "x"}[first]]}
        side = {question.id: row[question.id] for question in QUESTIONS}
        seconds = float(row["seconds"])
        if not 0 <= seconds < math.inf:
            raise ValueError("seconds must be a finite number, 0 or more")
        return Vote(row["pair"], {question: shown[choice] for question, choice in side.items()}, side, seconds)
    except (KeyError, TypeError, ValueError) as err:
        raise InputError(f"{path} is damaged: {row!r:.80} is not an answer. Ask the rater for the file again.") from err


def _read(path: Path, remedy: str) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as err:
        raise InputError(f"{path} cannot be read ({err.strerror or err}). {remedy}") from err
    except (ValueError, RecursionError) as err:
        raise InputError(f"{path} is damaged: it is not JSON ({' '.join(str(err).split())[:80]}). {remedy}") from err
    if not isinstance(data, dict):
        raise InputError(f"{path} is damaged: its JSON is not an object. {remedy}")
    return data
