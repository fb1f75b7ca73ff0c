"""Pages from Jinja2 templates: one file with its images inside, no script, nothing fetched, light and dark."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from ..metrics.bootstrap import percent

TEMPLATES = Path(__file__).parent / "templates"
LIMIT = 4_500_000
"""Size of a page in bytes, about: the images' quality is lowered until it fits."""
QUALITIES = (88, 80, 70, 55)


class EmbeddedImage(NamedTuple):
    """An image inside a page: `source` is its data URI, `alt` its text for those who cannot see it."""

    source: str
    alt: str
    width: int
    height: int


def render(template: Path, **facts: Any) -> str:
    """The page of the Jinja2 template at that path, which may extend or import any template of this folder.

    Every value is escaped, unless it is `Markup`. A name that the template uses and `facts` lack is an error.
    """
    return _environment(template.parent).get_template(template.name).render(headings=[], **facts)


def within_limit(page: Callable[[int], str]) -> str:
    """`page(quality)` at the highest JPEG quality at which it has at most `LIMIT` bytes, or else at the lowest."""
    text = ""
    for quality in QUALITIES:
        text = page(quality)
        if len(text.encode()) <= LIMIT:
            break
    return text


def embedded(image: Image.Image, alt: str, quality: int = 86) -> EmbeddedImage:
    """The image as JPEG without chroma subsampling."""
    packed = io.BytesIO()
    image.convert("RGB").save(packed, "JPEG", quality=quality, subsampling=0, optimize=True)
    data = base64.b64encode(packed.getvalue()).decode()
    return EmbeddedImage(f"data:image/jpeg;base64,{data}", alt, image.width, image.height)


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def capitalized(text: str) -> str:
    """With its first letter as a capital, and the others as they are."""
    return text[:1].upper() + text[1:]


def number(value: float) -> str:
    """With three significant digits."""
    return f"{value:.3g}"


@cache
def _environment(folder: Path) -> Environment:
    found = Environment(
        loader=FileSystemLoader(list(dict.fromkeys((folder, TEMPLATES)))),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.do"],
    )
    found.filters |= {"percent": percent, "slug": slug, "capitalized": capitalized, "number": number}

    def verbatim(name: str) -> Markup:
        """A style or a script of these folders, as it is."""
        assert found.loader is not None
        return Markup(found.loader.get_source(found, name)[0])

    found.globals["verbatim"] = verbatim
    return found
