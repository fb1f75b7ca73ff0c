"""The `lga` command: one sub-command a module, read by cyclopts.

No module here imports torch before the work begins, so that --help answers at once.

Exit codes: 0 done; 2 an error that the person can put right, in one line; 130 interrupted; 141 the reader of the output
has gone (`lga ... | head`). Anything else is a bug, with its traceback.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, CycloptsError

from lga_core import InputError, LgaError

from .arguments import PARAMETERS, whole_numbers
from .errors import explain
from .help import asks_for_help, page, summaries

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, what shells report
EXIT_NO_READER = 141  # 128 + SIGPIPE

COMMANDS = {
    "animate": "Animate a still face with a text prompt.",
    "inspect": "Report what a model file contains.",
    "convert": "Convert another project's model file to this project's format.",
    "train": "Train a motion model, an encoder or a baseline for your own generator.",
    "evaluate": "Compare LGA with StyleCLIP and MoCoGAN-HD on one domain.",
    "compare": "Compare two evaluations of one domain.",
    "demo": "Build or measure an embedded domain.",
    "study": "Ask people which of two methods' videos they prefer.",
}
"""Each is a module of this package, imported when its command is called."""
EXTRAS = {**dict.fromkeys(("accelerate", "filelock", "jinja2", "rich"), "train"), "torchmetrics": "eval"}
"""Libraries that some commands need, and the extra of this project that brings each."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line (`sys.argv[1:]` unless `argv` is given) and returns its exit code."""
    words = sys.argv[1:] if argv is None else [*argv]
    with warnings.catch_warnings():
        warnings.showwarning = _print_warning
        try:
            code = _run(words)
            if sys.stdout is not None:
                sys.stdout.flush()
            return code
        except BrokenPipeError:
            _discard_output()
            return EXIT_NO_READER
        except KeyboardInterrupt:
            print("Interrupted.", file=sys.stderr)
            return EXIT_INTERRUPTED


def _run(words: list[str]) -> int:
    try:
        app = command_line()
        if words == ["--version"]:
            print(_version())
        elif not _shows_help(app, words):
            app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as err:
        return _fail(explain(err))
    except LgaError as err:
        return _fail(str(err))
    except ModuleNotFoundError as err:
        if err.name not in EXTRAS:
            raise
        return _fail(
            f"{err.name} is not installed. Install what this command needs: "
            f"pip install 'language-guided-animation[{EXTRAS[err.name]}]'."
        )
    except BrokenPipeError:
        raise
    except OSError as err:
        return _fail(f"{err.filename or 'A file'}: {err.strerror or err}. Check the path and the disk, then try again.")
    return 0


def command_line() -> App:
    """All commands of `lga`."""
    app = App(
        "lga",
        help="Animate a still face with words.",
        help_flags=(),
        version_flags=(),
        config=whole_numbers,
        default_parameter=PARAMETERS,
        suppress_keyboard_interrupt=False,
    )
    for name in COMMANDS:
        app.command(f"{__name__}.{name}:{name}", name=name)
    return app


def _shows_help(app: App, words: list[str]) -> bool:
    """Print the page that is asked for, if one is. Raises InputError where a command is missing."""
    _, apps, rest = app.parse_commands(words)
    command = apps[-1]
    is_group = command.default_command is None
    if not asks_for_help(words) and (not is_group or rest):
        return False
    listed = COMMANDS if command is app else summaries(command)
    if not asks_for_help(words) and words != ["train"]:
        raise InputError(f"COMMAND is missing. Choose one of {', '.join(listed)}.")
    with app.app_stack(words):
        print(page(apps, listed, rest))
    return True


def _version() -> str:
    from importlib.metadata import version  # 0.02 s that no other command needs

    return version("language-guided-animation")


def _fail(message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return EXIT_USER_ERROR


def _print_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


def _discard_output() -> None:
    """Without a reader the interpreter could not write the rest of stdout at exit, and would say so."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
