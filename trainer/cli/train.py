"""`lga train`: flags from the fields of what each kind of training can be told, read by tyro.

A preset, then a settings file (--config, JSON with any of the fields), then flags: each overrides the one before.
"""

from __future__ import annotations

import dataclasses
import difflib
import io
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from lga_core import InputError

from ..training.run_folder import PARTS

Settings = TypeVar("Settings")
KINDS = ("motion", "encoder", "mapper", "mocogan")


def train(argv: Sequence[str]) -> None:
    """Run `lga train` with these words. Raises InputError for words that mean nothing, SystemExit after --help."""
    kind, rest = (argv[0], list(argv[1:])) if argv else ("", [])
    if kind in ("-h", "--help", ""):
        print(f"usage: lga train {{{','.join(KINDS)}}} --generator G [options]\n\n"
              "  motion    words to motion for one generator: no pictures needed\n"
              "  encoder   pictures to W+ codes of one generator\n"
              "  mapper    a baseline: StyleCLIP's latent mapper, for one prompt\n"
              "  mocogan   a baseline: MoCoGAN-HD's motion generator, from videos\n\n"
              "lga train motion --help lists every setting.")  # fmt: skip
        raise SystemExit(0)
    if kind not in KINDS:
        raise InputError(f"{kind!r} is nothing that can be trained. Choose {', '.join(KINDS[:-1])} or {KINDS[-1]}.")
    _need_tyro()
    {"motion": _motion, "encoder": _encoder, "mapper": _mapper, "mocogan": _mocogan}[kind](rest)


def _motion(argv: list[str]) -> None:
    import tyro

    from ..motion.config import PRESETS, MotionRun, preset

    default = preset(_preset_of(MotionRun, argv, "anchored"), tyro.MISSING)
    run = read_settings(MotionRun, argv, default, "lga train motion", _described(MotionRun, PRESETS))

    from ..motion.train import train_motion

    _until_stopped("motion model", run.out, lambda: train_motion(run))


def _encoder(argv: list[str]) -> None:
    from ..encoder.config import EncoderRun
    from ..encoder.train import train_encoder

    run = read_settings(EncoderRun, argv, None, "lga train encoder", str(EncoderRun.__doc__))
    _until_stopped("encoder", run.out, lambda: train_encoder(run))


def _mapper(argv: list[str]) -> None:
    import tyro

    from ..baselines.styleclip_mapper.config import PRESETS, MapperRun, preset

    default = preset(_preset_of(MapperRun, argv, "quick"), tyro.MISSING, tyro.MISSING)
    run = read_settings(MapperRun, argv, default, "lga train mapper", _described(MapperRun, PRESETS))

    from ..baselines.styleclip_mapper.train import train_mapper

    _until_stopped("mapper", run.out, lambda: train_mapper(run))


def _mocogan(argv: list[str]) -> None:
    import tyro

    from ..baselines.mocogan_hd.config import PRESETS, MocoganRun, preset

    default = preset(_preset_of(MocoganRun, argv, "quick"), tyro.MISSING)
    run = read_settings(MocoganRun, argv, default, "lga train mocogan", _described(MocoganRun, PRESETS))

    from ..baselines.mocogan_hd.train import train_mocogan

    _until_stopped("motion generator", run.out, lambda: train_mocogan(run))


def _described(kind: type, presets: Iterable[str]) -> str:
    return f"{kind.__doc__} Presets: {', '.join(presets)}."


def _preset_of(kind: type, argv: Sequence[str], usual: str) -> str:
    """The preset that is asked for by a flag, else by a settings file, else the usual one."""
    config = _value_of("--config", argv)
    told = {} if config is None else read_config(kind, Path(config))
    return _value_of("--preset", argv) or told.get("preset", usual)


def _until_stopped(what: str, out: str, work: Callable[[], Path]) -> None:
    """Train, and say where that has left the model and its report."""
    from ..training.loop import Stopped

    try:
        path = work()
    except Stopped as stopped:
        print(f"Stopped after step {stopped.step}, all of it saved. Run the same command again to go on.")
        raise KeyboardInterrupt from stopped
    width = len(what) + 1
    for name, place in ((what, path), ("report", Path(out) / "report.html")):
        print(f"{f'{name}:':<{width}} {place.resolve()}")


def read_settings(
    kind: type[Settings], argv: list[str], default: Settings | None, prog: str, description: str
) -> Settings:
    """Settings from words. Raises InputError, in one sentence, for a word or a value that does not fit."""
    import tyro

    config = _value_of("--config", argv)
    if config is not None:
        argv = [*_without("--config", argv)]
        argv = [*flags_of(read_config(kind, Path(config))), *argv]
    options: dict[str, Any] = {} if default is None else {"default": default}
    words = io.StringIO()
    asks_help = "--help" in argv or "-h" in argv
    try:
        with redirect_stderr(words), redirect_stdout(sys.stdout if asks_help else words):
            found, unknown = tyro.cli(
                kind, prog=prog, description=description, args=argv, return_unknown_args=True, **options
            )
    except SystemExit as err:
        if asks_help and not err.code:
            raise
        _refuse(words.getvalue())
    if unknown:
        word = unknown[0]
        raise InputError(
            f"{word!r} is no setting{_close(word.split('=')[0], setting_flags(kind))} --help lists them all."
        )
    return found


_PLAINER = (  # Python's words for a wrong number
    (re.compile(r"invalid literal for int\(\) with base 10: (.*)"), r"\1 is no whole number"),
    (re.compile(r"could not convert string to float: (.*)"), r"\1 is no number"),
)


def _refuse(told: str) -> NoReturn:
    """tyro's box of lines as one sentence: its title, its message, and further help are parted by rules."""
    parts = re.split(r"[-─]{5,}", " ".join(line.strip("│╭╮╰╯ \t") for line in told.splitlines()))
    message = parts[1 if len(parts) > 1 else 0].strip().removeprefix("Error parsing ")
    for pattern, plain in _PLAINER:
        message = pattern.sub(plain, message)
    raise InputError(f"{message.rstrip('.')}. (--help lists every setting.)")


def read_config(kind: type, path: Path) -> dict[str, Any]:
    """The fields in a settings file, by dotted name. Raises InputError for a name that is no setting."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise InputError(f"{path} cannot be read ({err.strerror or err}). Check --config.") from err
    except ValueError as err:
        raise InputError(f"{path} is not JSON ({err}). Correct it, or leave --config out.") from err
    if not isinstance(told, dict):
        raise InputError(f'{path} needs a JSON object with settings by name, such as {{"steps": 2000}}.')
    told.pop(PARTS, None)  # what a run's own config.json says of its files
    flat = dict(_flat(told))
    known = [name.removeprefix("--").replace("-", "_") for name in setting_flags(kind)]
    for name in flat:
        if name not in known:
            raise InputError(f"{path}: {name!r} is no setting{_close(name, known)} lga train --help lists them.")
    return flat


def flags_of(fields: dict[str, Any]) -> list[str]:
    """Fields as the words of a command line."""
    words = []
    for name, value in fields.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            before, _, last = flag.rpartition(".")
            words.append(flag if value else f"{before}.no-{last}" if before else f"--no-{last.removeprefix('--')}")
        elif isinstance(value, list):
            words += [flag, *map(str, value)]
        else:
            words += [flag, str(value)]
    return words


def _flat(told: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for name, value in told.items():
        found += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
    return found


def setting_flags(kind: type, prefix: str = "") -> list[str]:
    """Every flag of a settings class."""
    import typing

    hints, flags = typing.get_type_hints(kind), []
    for field in dataclasses.fields(kind):  # pyright: ignore
        inner = hints[field.name]
        name = prefix + field.name
        flags += setting_flags(inner, f"{name}.") if dataclasses.is_dataclass(inner) else [name]  # pyright: ignore
    return flags if prefix else [f"--{flag.replace('_', '-')}" for flag in flags]


def _close(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else "."


def _value_of(flag: str, argv: Sequence[str]) -> str | None:
    for word, following in itertools.zip_longest(argv, argv[1:]):
        if word == flag:
            return following
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def _without(flag: str, argv: Sequence[str]) -> list[str]:
    index = next(i for i, word in enumerate(argv) if word == flag or word.startswith(f"{flag}="))
    return [*argv[:index], *argv[index + (2 if argv[index] == flag else 1) :]]


def _need_tyro() -> None:
    try:
        import tyro  # noqa: F401
    except ImportError as err:
        raise InputError(
            "Training needs more libraries than drawing does: pip install 'language-guided-animation[train]'."
        ) from err
