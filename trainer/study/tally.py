"""Tally the answers: preferences with intervals, inter-rater agreement, and excluded files.

The intervals are 95 % bootstrap intervals over pairs and raters together: both are samples.
"""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import InputError

from ..metrics.agreement import alpha_interval
from ..metrics.bootstrap import interval
from ..training.atomic_files import made, write
from .questions import QUESTIONS
from .responses import Answers, Key, Vote, answer_files, read_answers, read_key
from .tally_markdown import markdown

ANY = "all"
"""All three questions together."""

Votes = Float[Tensor, "pairs raters"]
"""1 where a rater chose the first method (or the left side), 0 for the other, NaN for a pair not seen."""


def tally(study: Path, places: Sequence[Path], out: Path | None = None) -> dict[str, Any]:
    """Read a study's answers; write tally.json, tally.csv, votes.csv and tally.html to `out` (default: its folder).

    places: files of answers, or folders of them. Returns the results. Raises InputError if no file can be used.
    """
    from .tally_html import tally_page

    key = read_key(study)
    counted, left_out = gather(places, key)
    if not counted:
        why = left_out[0]["why"] if left_out else "There are no files called answers*.json."
        raise InputError(f"None of the {len(left_out)} files of answers can be counted. {why}")
    found = figures(key, counted, left_out)
    out = made(study if out is None else out)
    write(out / "tally.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    write(out / "tally.csv", _preferences(found))
    write(out / "votes.csv", _votes(key, counted))
    write(out / "tally.html", tally_page(found))
    print(markdown(found))
    return found


def gather(places: Sequence[Path], key: Key) -> tuple[list[Answers], list[dict[str, str]]]:
    """One set of answers for each rater, in order of code, and {"file", "why"} for each excluded file.

    Of a rater's complete files, the one that was finished last counts.
    """
    latest: dict[str, Answers] = {}
    left_out = []
    for path in answer_files(places):
        try:
            answers = read_answers(path, key)
        except InputError as err:
            left_out.append({"file": path.name, "why": str(err)})
            continue
        before = latest.get(answers.rater)
        newer, older = (answers, before) if before is None or answers.finished >= before.finished else (before, answers)
        latest[answers.rater] = newer
        if older is not None:
            why = f"{older.file} is not the last file that {older.rater} finished: {newer.file.name} counts instead."
            left_out.append({"file": older.file.name, "why": why})
    return [latest[rater] for rater in sorted(latest)], left_out


def figures(key: Key, counted: Sequence[Answers], left_out: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """All results of the tally, as JSON. Shares are the first method's; the second method has the rest."""
    votes = {question.id: chosen(key, counted, question.id) for question in QUESTIONS}
    prompts: dict[str, list[int]] = {}
    for index, pair in enumerate(key.pairs.values()):
        prompts.setdefault(pair["prompt"], []).append(index)
    seen = next(iter(votes.values())).isfinite().sum(dim=1)
    rows = {name: torch.tensor(indices) for name, indices in prompts.items() if seen[indices].sum()}
    lefts = [on_the_left(key, counted, question.id) for question in QUESTIONS]
    return {
        "study": key.study,
        "methods": list(key.methods),
        "pairs": len(key.pairs),
        "each": key.each,
        "votes_per_pair": {"mean": seen.double().mean().item(), "least": int(seen.min()), "most": int(seen.max())},
        "questions": {
            question.id: {"question": question.text, "paper": question.paper}
            | {"share": share(votes[question.id]), "alpha": alpha_interval(_counts(votes[question.id]))}
            for question in QUESTIONS
        }
        | {ANY: {"share": share(*votes.values())}},
        "prompts": {
            prompt: {question: share(cells[indices]) for question, cells in votes.items()}
            for prompt, indices in sorted(rows.items())
        },
        "left": share(*lefts),
        "raters": [_rater(answers) for answers in counted],
        "left_out": list(left_out),
    }


def chosen(key: Key, counted: Sequence[Answers], question: str) -> Votes:
    """Where the first method was chosen."""
    return _matrix(key, counted, lambda vote: vote.chosen[question] == key.methods[0])


def on_the_left(key: Key, counted: Sequence[Answers], question: str) -> Votes:
    """Where the left side was chosen; about half are expected, as each method is shown on either side."""
    return _matrix(key, counted, lambda vote: vote.side[question] == "left")


def _matrix(key: Key, counted: Sequence[Answers], holds: Callable[[Vote], bool]) -> Votes:
    places = {pair: index for index, pair in enumerate(key.pairs)}
    cells = torch.full((len(places), len(counted)), torch.nan, dtype=torch.double)
    for column, answers in enumerate(counted):
        for vote in answers.votes:
            cells[places[vote.pair], column] = float(holds(vote))
    return cells


def share(*votes: Votes) -> dict[str, float]:
    """Share of ones among the votes on one or more questions: {"mean", "low", "high", "votes"}.

    The bootstrap resamples all questions of a pair together.
    """
    together = torch.stack(votes)
    return interval(together.mean(dim=0), resample_rows=True) | {"votes": int(together.isfinite().sum())}


def _counts(votes: Votes) -> Float[Tensor, "pairs 2"]:
    return torch.stack([(votes == 1).sum(dim=1), (votes == 0).sum(dim=1)], dim=1).double()


def _rater(answers: Answers) -> dict[str, Any]:
    sides = Counter(side for vote in answers.votes for side in vote.side.values())
    return {
        "rater": answers.rater,
        "file": answers.file.name,
        "pairs": len(answers.votes),
        "seconds": round(statistics.median(vote.seconds for vote in answers.votes), 1),
        "left": sides["left"] / sum(sides.values()),
    }


def _preferences(found: Mapping[str, Any]) -> str:
    head = ["prompt", "question", "method", "share", "low", "high", "votes"]
    groups = {"": {question: row["share"] for question, row in found["questions"].items()}} | found["prompts"]
    rows = []
    for prompt, cells in groups.items():
        for question, cell in cells.items():
            shares = (round(cell[name], 4) for name in ("mean", "low", "high"))
            rows.append([prompt, question, found["methods"][0], *shares, cell["votes"]])
    return _csv([head, *rows])


def _votes(key: Key, counted: Sequence[Answers]) -> str:
    head = ["rater", "pair", "clip", "prompt", "question", "chosen", "side", "seconds"]
    rows = [
        [answers.rater, vote.pair, pair["clip"], pair["prompt"], question, method, vote.side[question], vote.seconds]
        for answers in counted
        for vote in answers.votes
        for pair in [key.pairs[vote.pair]]
        for question, method in vote.chosen.items()
    ]
    return _csv([head, *rows])


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
