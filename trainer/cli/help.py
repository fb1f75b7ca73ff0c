"""--help as plain text, from cyclopts' own account of a command's arguments.

cyclopts would draw the same with rich, whose import alone takes as long as everything else that --help needs.
"""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import starmap
from pathlib import Path
from typing import Any, get_args, get_origin

from cyclopts import App, Argument, ArgumentCollection, Group, Token

from .arguments import Metavar

HELP_FLAGS = ("--help", "-h")
METAVARS = {int: "N", float: "X", str: "TEXT", Path: "PATH", bool: ""}
INDENT, COLUMN, WIDEST = 2, 26, 110
SHOWS_DEFAULTS_OF = ("--preset", "--config")


def asks_for_help(words: Sequence[str]) -> bool:
    options = words[: words.index("--")] if "--" in words else words
    return any(flag in options for flag in HELP_FLAGS)


def summaries(group: App) -> dict[str, str]:
    """Its commands, each with the first sentence of its description."""
    return {name: _paragraphs(group[name].help)[0] for name in group}


def page(apps: Sequence[App], commands: Mapping[str, str], words: Sequence[str]) -> str:
    """The help of the last of `apps`, called with these further `words`."""
    app, name = apps[-1], " ".join(app.name[0] for app in apps)
    arguments = _arguments(app, words) if app.default_command else ArgumentCollection()
    sections = {"Commands:": list(commands.items())} if app.default_command is None else _sections(arguments)
    sections.setdefault("Options:", []).append(("--help, -h", "Show this page and exit."))
    if len(apps) == 1:
        sections["Options:"].append(("--version", "Show the version and exit."))
    blocks = [app.usage or _usage(name, app, arguments), *map(_wrapped, _paragraphs(app.help))]
    blocks += ["\n".join((_wrapped(title), *starmap(_row, rows))) for title, rows in sections.items()]
    return "\n\n".join(blocks)


def _arguments(app: App, words: Sequence[str]) -> ArgumentCollection:
    """What the command takes; what a preset or settings file would give is there as a default."""
    arguments = app.assemble_argument_collection()
    if not all(argument.parameter.help for argument in arguments if argument.show):
        arguments = app.assemble_argument_collection(parse_docstring=True)  # fields of a settings class; it takes time
    for flag in SHOWS_DEFAULTS_OF:
        if flag in arguments and (value := _value(flag, words)):
            arguments[flag].append(Token(keyword=flag, value=value, source="cli"))
    for layer in app.config or ():
        layer(app, (), arguments)
    return arguments


def _value(flag: str, words: Sequence[str]) -> str | None:
    for word, following in zip(words, [*words[1:], None], strict=True):
        if word == flag:
            return following
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def _usage(name: str, app: App, arguments: Iterable[Argument]) -> str:
    if app.default_command is None:
        return f"usage: {name} COMMAND [options]"
    needed = [_label(argument) for argument in arguments if argument.show and argument.required]
    optional = [f"[{_label(a)}]" for a in arguments if a.show and a.index is not None and not a.required]
    return " ".join((f"usage: {name}", *needed, *optional, "[options]"))


def _sections(arguments: Iterable[Argument]) -> dict[str, list[tuple[str, str]]]:
    """Rows by title: positional arguments, options, named groups, then the parts of a settings class."""
    parts = {argument.keys: argument for argument in arguments if not argument.show}
    sections: dict[str, list[tuple[str, str]]] = {}
    for argument in arguments:
        if argument.show:
            title = _title_of_part(parts[argument.keys[:-1]]) if len(argument.keys) > 1 else _title(argument)
            sections.setdefault(title, []).append((_label(argument), _described(argument)))
    return sections


def _title_of_part(part: Argument) -> str:
    return f"{part.keys[-1].capitalize()}: {_paragraphs(part.hint.__doc__ or '')[0]}"


def _title(argument: Argument) -> str:
    if argument.index is not None:
        return "Arguments:"
    groups: tuple[Group, ...] = argument.parameter.group  # pyright: ignore
    return "Options:" if groups[0].name == "Parameters" else f"{groups[0].name}:"


def _label(argument: Argument) -> str:
    if argument.index is not None:
        return argument.name + ("..." if get_origin(argument.hint) in (list, tuple) else "")
    is_flag = argument.hint is bool
    names = [argument.name, *argument.negatives[:1]] if is_flag else [argument.name]
    return " ".join((", ".join(names), *([] if is_flag else [_metavar(argument)])))


def _metavar(argument: Argument) -> str:
    for note in getattr(argument.field_info.annotation, "__metadata__", ()):
        if isinstance(note, Metavar):
            return note.text
    choices = argument.get_choices()
    return f"{{{','.join(choices)}}}" if choices else _metavar_of(argument.hint)


def _metavar_of(hint: Any) -> str:
    if hint in METAVARS:
        return METAVARS[hint]
    inner = [arg for arg in get_args(hint) if arg not in (type(None), ...)]
    if get_origin(hint) is list or ... in get_args(hint):
        return f"{_metavar_of(inner[0])}..."
    return " ".join(map(_metavar_of, inner))


def _described(argument: Argument) -> str:
    text = " ".join((argument.parameter.help or "").split())
    default = "" if argument.required else _default(argument)
    return f"{text} (default: {default})" if default else text


def _default(argument: Argument) -> str:
    if isinstance(shown := argument.parameter.show_default, str):
        return shown
    value = argument.convert() if argument.tokens else argument.field_info.default
    if value in (None, (), [], argument.field_info.empty) or (value is False and not argument.negatives):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n")]


def _width() -> int:
    return max(50, min(shutil.get_terminal_size().columns, WIDEST))


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _width())


def _row(label: str, text: str) -> str:
    first = " " * INDENT + label
    fill = {"width": _width(), "subsequent_indent": " " * COLUMN, "break_on_hyphens": False}
    if len(first) + 2 > COLUMN:
        return "\n".join((first, textwrap.fill(text, initial_indent=" " * COLUMN, **fill)))
    return textwrap.fill(text, initial_indent=first.ljust(COLUMN), **fill)
