"""The raters' page: study.html.j2 with its style, its script and the study inside. It fetches nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ..reports.html import render

TEMPLATE = Path(__file__).parent / "templates" / "study.html.j2"
SECONDS_PER_PAIR = 20


def study_page(study: dict[str, Any]) -> str:
    """The whole page for a study as `make` describes it."""
    return render(
        TEMPLATE,
        study=study,
        study_json=_script_json(study),
        media_sources="blob:" if study["embedded"] else Markup("'self' file:"),
        minutes=max(1, round(study["each"] * SECONDS_PER_PAIR / 60)),
    )


def _script_json(study: dict[str, Any]) -> Markup:
    """JSON that cannot end the <script> that it stands in."""
    return Markup(json.dumps(study, ensure_ascii=False).replace("<", "\\u003c"))
