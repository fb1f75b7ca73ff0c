"""What is wrong with a command line, in one sentence, from cyclopts' structured errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import get_args, get_origin

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    Token,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)

NEEDED = {int: "a whole number", float: "a number", bool: "True or False"}


def explain(err: CycloptsError) -> str:
    """What was found, what was needed, and where to read more."""
    command = " ".join(("lga", *(err.command_chain or ())))
    return f"{_sentence(err)} (See {command} --help.)"


def _sentence(err: CycloptsError) -> str:
    if isinstance(err, UnknownCommandError) and err.unused_tokens and err.app:
        word, known = err.unused_tokens[0], [name for name in err.app if not name.startswith("-")]
        what = "option" if word.startswith("-") else "command"
        return f"Unknown {what} {word!r}{_did_you_mean(word, known)} Commands: {', '.join(known)}."
    if isinstance(err, UnknownOptionError):
        name, known = _name(err.token), [name for argument in err.argument_collection for name in argument.names]
        return f"Unknown option {name}{_where(err.token)}{_did_you_mean(name, known)}"
    if isinstance(err, UnusedCliTokensError) and err.unused_tokens:
        return f"Unexpected argument {err.unused_tokens[0]!r}."
    if isinstance(err, MissingArgumentError) and err.argument:
        if err.keyword is None:
            return f"{err.argument.name} is missing. {err.argument.parameter.help or ''}"
        count, _ = err.argument.token_count()
        return f"{err.keyword} needs {'a value' if count < 2 else f'{count} values'}."
    if isinstance(err, CoercionError) and err.token and err.msg is None:
        return f"{_name(err.token)} is {err.token.value!r}{_where(err.token)}; it must be {_needed(err.target_type)}."
    if isinstance(err, ValidationError) and err.argument:
        token = err.argument.tokens[0]
        return f"{_name(token)} is {token.value!r}; it must be {err.exception_message}."
    return str(err)


def _needed(hint: type | None) -> str:
    if get_args(hint) and get_origin(hint) is not tuple:
        return f"one of {', '.join(map(repr, get_args(hint)))}"
    return NEEDED.get(hint, getattr(hint, "__name__", "another value")) if hint else "another value"


def _name(token: Token) -> str:
    """An option as it is typed. cyclopts writes a key of a settings file as [losses][path]."""
    name = token.keyword or token.value
    return f"--{name.strip('[]').replace('][', '.').replace('_', '-')}" if name.startswith("[") else name


def _where(token: Token) -> str:
    return "" if token.source in ("", "cli") else f" in {token.source}"


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f". Did you mean {close[0]}?" if close else "."
