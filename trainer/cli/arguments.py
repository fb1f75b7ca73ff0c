"""What the commands' arguments have in common: how they are read, and which numbers are in range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, get_args

from cyclopts import App, ArgumentCollection, CoercionError, Parameter

PARAMETERS = Parameter(negative_iterable=(), allow_repeating=True, consume_multiple=True, json_dict=False)
"""Of options given twice the last counts, and a list takes all words up to the next option."""


@dataclass(frozen=True)
class Metavar:
    """What stands for an option's value in its help, as DIR in `--out DIR`."""

    text: str


DIR, FILE, NAME = Metavar("DIR"), Metavar("FILE"), Metavar("NAME")


def between(low: float, high: float, *, above: bool = False) -> Parameter:
    """A number in [low, high], or in (low, high] where it must be `above` low. NaN is in no range."""

    def check(_: Any, value: float | None) -> None:
        if value is not None and not (low <= value <= high and not (above and value == low)):
            raise ValueError(f"above {low} and at most {high}" if above else f"from {low} to {high}")

    return Parameter(validator=check)


Seed = Annotated[int, between(0, 2**63 - 1)]
Domain = Annotated[str, NAME, Parameter(help="Name of an embedded domain, or folder of a domain.")]


def whole_numbers(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse 4.5 where a whole number is needed: cyclopts rounds it. Raises CoercionError."""
    for argument in arguments:
        if int not in (argument.hint, *get_args(argument.hint)):
            continue
        for token in argument.tokens:
            try:
                is_whole = float(token.value).is_integer()
            except ValueError:
                continue  # cyclopts refuses what is not a number
            if not is_whole:
                raise CoercionError(argument=argument, token=token, target_type=int)
