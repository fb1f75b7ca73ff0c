"""`lga demo build DOMAIN` and `lga demo report`: which folder of demo/ makes and measures a domain."""

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

from lga_core import InputError

MAKERS = {"doodle": "lga_trainer.demo.doodle"}
"""Embedded domain -> the package that makes it: `build:build` and `report:report`."""


def maker(domain: str, what: str) -> Callable[..., Any]:
    """The function `what` ("build" or "report") of a domain's package. Raises InputError for an unknown domain."""
    if domain not in MAKERS:
        raise InputError(f"There is no embedded domain {domain!r}. Choose {' or '.join(MAKERS)}.")
    return resolve_name(f"{MAKERS[domain]}.{what}:{what}")
