"""The raters' page: page.html with its style, its script and the study inside; it fetches nothing from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..reports.html import escape

HERE = Path(__file__).parent
SECONDS_A_PAIR = 20


def study_page(study: dict[str, Any]) -> str:
    """The whole document for a study as `make` describes it."""
    each = study["each"]
    parts = {
        "STYLE": _asset("page.css"),
        "SCRIPT": _asset("page.js"),
        "STUDY": _in_script(study),
        "MEDIA": "blob:" if study["embedded"] else "'self' file:",
        "PAIRS": "1 pair" if each == 1 else f"{each} pairs",
        "MINUTES": _minutes(each * SECONDS_A_PAIR / 60),
        "QUESTIONS": "".join(f"<li>{escape(question['text'])}</li>" for question in study["questions"]),
        "ROWS": "".join(_row(question["id"], question["text"]) for question in study["questions"]),
    }
    page = _asset("page.html")
    for name, text in parts.items():
        page = page.replace(f"{{{{{name}}}}}", text, 1)
    return page


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _in_script(study: dict[str, Any]) -> str:
    """JSON that cannot end the <script> it stands in."""
    return json.dumps(study, ensure_ascii=False).replace("<", "\\u003c")


def _minutes(minutes: float) -> str:
    return f"about {max(1, round(minutes))} minute{'s' if round(minutes) > 1 else ''}"


def _row(name: str, text: str) -> str:
    """A question between its two answers, which stand below the clips they name."""
    choices = {
        side: f'<label class="choice {side}"><input type="radio" name="{name}" value="{side}">'
        f"<span>{word}</span></label>"
        for side, word in (("left", "Left"), ("right", "Right"))
    }
    return (
        f'<div class="question" role="radiogroup" tabindex="-1" aria-labelledby="ask-{name}" data-question="{name}">'
        f'{choices["left"]}<p id="ask-{name}">{escape(text)}</p>{choices["right"]}</div>\n'
    )
