"""The `lga` command: words in, one line out when something is wrong.

Nothing here imports torch before the work begins: `lga --help` takes 0.06 s, against 1.2 s with it. The parser is
argparse's own; `lga train`, whose flags are the fields of its settings, is read by tyro (train_cli.py).

Exit codes: 0 done; 2 something the person can put right; 130 interrupted. Anything else is a bug, with its traceback.
"""

from __future__ import annotations

import argparse
import difflib
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from lga_core.demo import DEFAULT_DOMAIN

from .arguments import real, whole
from .evaluate import add_compare, add_evaluate
from .study import add_study

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, what shells report
PSI = 0.7


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line (`sys.argv[1:]` unless `argv` is given) and returns its exit code."""
    with warnings.catch_warnings():
        warnings.showwarning = _print_warning
        try:
            return _run(_parse(sys.argv[1:] if argv is None else argv))
        except KeyboardInterrupt:
            print("Interrupted.", file=sys.stderr)
            return EXIT_INTERRUPTED


def _run(args: argparse.Namespace) -> int:
    from lga_core import LgaError  # after parsing: a mistyped option needs no torch to be refused

    try:
        args.run(args)
    except LgaError as err:
        return _fail(str(err))
    except OSError as err:
        return _fail(f"{err.filename or 'A file'}: {err.strerror or err}. Check the path and the disk, then try again.")
    return 0


def _fail(message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return EXIT_USER_ERROR


def _print_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


# The command line


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """One line, where argparse prints the usage too."""
        print(f"error: {' '.join(message.split())} ({self.prog} --help lists what it takes.)", file=sys.stderr)
        raise SystemExit(EXIT_USER_ERROR)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog="lga", description="Words make a still face move.")
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="command")
    _add_animate(commands)
    _add_inspect(commands)
    _add_convert(commands)
    _add_train(commands)
    add_evaluate(commands)
    add_compare(commands)
    _add_demo(commands)
    add_study(commands)
    if list(argv[:1]) == ["train"]:
        return argparse.Namespace(run=_train, words=list(argv[1:]))

    args, rest = parser.parse_known_args(argv)
    unknown = [word for word in rest if word.startswith("-")]
    if unknown:
        args.parser.error(f"unknown option {unknown[0]}{_did_you_mean(unknown[0], args.parser)}")
    # argparse leaves words that come after an option, as in `lga animate face.png --fps 8 smiling`.
    if rest and not hasattr(args, "words"):
        args.parser.error(f"{rest[0]!r} is one word too many")
    if hasattr(args, "words"):
        args.words += rest
    if check := getattr(args, "check", None):
        check(args)
    return args


def _add_animate(commands: argparse._SubParsersAction) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "animate",
        help="a still face and a few words in, a clip out",
        usage='lga animate IMAGE "smiling" [options]\n       lga animate --face SEED "smiling" [options]',
        description="Animate the face in a picture, or one drawn from a seed. Writes the clip and, beside it, "
        "a contact sheet of its frames.",
    )
    parser.add_argument("words", nargs="*", metavar="IMAGE PROMPT", help="a picture of the face; what it should do")
    parser.add_argument(
        "--out", type=Path, default=Path("clip.mp4"), metavar="PATH", help="the clip: .mp4, .webp or .gif (%(default)s)"
    )
    parser.add_argument(
        "--frames", type=whole(2, 100_000), default=16, metavar="N", help="length of the clip (%(default)s)"
    )
    parser.add_argument(
        "--fps", type=real(0, 240, open_low=True), default=10.0, metavar="X", help="frames a second (%(default)s)"
    )
    parser.add_argument(
        "--strength", type=real(-10, 10), default=1.0, metavar="X", help="0 is still, 1 as trained (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=whole(0, 2**63 - 1), default=0, metavar="N", help="of the motion's first state (%(default)s)"
    )
    parser.add_argument(
        "--domain",
        default=DEFAULT_DOMAIN,
        metavar="NAME",
        help="an embedded domain, or a domain's folder (%(default)s)",
    )
    parser.add_argument("--face", type=whole(0, 2**63 - 1), metavar="SEED", help="draw a face instead of reading one")
    parser.add_argument(
        "--psi",
        type=real(-2, 2),
        metavar="X",
        help=f"of the face drawn: 0 is the average face, 1 as varied as any ({PSI})",
    )
    parser.add_argument(
        "--full-precision", action="store_true", help="draw in 32 bits where the hardware is faster in 16"
    )
    photo = parser.add_argument_group("photographs")
    photo.add_argument(
        "--photo", action="store_true", help="find the face in the picture, animate it and put it back into the picture"
    )
    photo.add_argument(
        "--pick", type=whole(0, 999), metavar="N", help="which face, from left to right, from 0 (the largest)"
    )
    photo.add_argument(
        "--points", metavar="POINTS", help='where no face is found: "x,y x,y ..." of eyes, nose and mouth corners'
    )
    photo.add_argument(
        "--tune", type=whole(0, 2000), metavar="N", help="steps for which the generator learns this face (0)"
    )
    photo.add_argument(
        "--face-models", type=Path, metavar="DIR", help="folder of the face finders' files (models/lga/face)"
    )
    parser.set_defaults(run=_animate, check=_check_animate, parser=parser)


PHOTO_OPTIONS = ("pick", "points", "tune", "face_models")


def _check_animate(args: argparse.Namespace) -> None:
    error = args.parser.error
    if not args.photo and (given := [option for option in PHOTO_OPTIONS if getattr(args, option) is not None]):
        error(f"--{given[0].replace('_', '-')} is for photographs: add --photo.")
    if args.photo and args.face is not None:
        error("--photo takes a picture, and --face draws one: give one of them.")
    if args.pick is not None and args.points is not None:
        error("--pick and --points both say which face: give one of them.")
    if args.face is not None:
        if len(args.words) != 1:
            error(f'--face takes one text and no image, as in: lga animate --face {args.face} "smiling".')
        args.image, args.prompt = None, args.words[0]
        return
    if len(args.words) != 2:
        found = " and ".join(repr(word) for word in args.words) or "neither"
        error(f'an image and one text are needed, as in: lga animate face.png "smiling". Found {found}.')
    if args.psi is not None:
        error("--psi is for faces that --face draws; an image is animated as it is.")
    args.image, args.prompt = Path(args.words[0]), args.words[1]


def _animate(args: argparse.Namespace) -> None:
    from ..animation.clip import animate
    from ..animation.photo import PhotoFace
    from ..data.alignment import FACE_MODELS

    face = PhotoFace(args.pick, args.points, args.face_models or FACE_MODELS, args.tune or 0)
    clip, sheet = animate(
        args.prompt,
        image=args.image,
        face=args.face or 0,
        psi=PSI if args.psi is None else args.psi,
        out=args.out,
        num_frames=args.frames,
        fps=args.fps,
        strength=args.strength,
        seed=args.seed,
        domain=args.domain,
        full_precision=args.full_precision,
        in_photo=face if args.photo else None,
    )
    print(f"clip:          {clip.resolve()}")
    print(f"contact sheet: {sheet.resolve()}")


def _add_inspect(commands: argparse._SubParsersAction) -> None:
    inspect = commands.add_parser(
        "inspect",
        help="say what a model file is",
        description="Say what a model file is, whoever wrote it. Nothing in it is run.",
    )
    inspect.add_argument("file", type=Path, metavar="FILE")
    inspect.add_argument("--json", action="store_true", help="as JSON, for programs")
    inspect.set_defaults(run=_inspect, parser=inspect)


def _inspect(args: argparse.Namespace) -> None:
    from .inspect import shown

    print(shown(args.file, args.json))


def _add_convert(commands: argparse._SubParsersAction) -> None:
    convert = commands.add_parser(
        "convert",
        help="turn another project's model file into this project's",
        description="Turn a model file of another project into safetensors files of this one, one for each model in "
        "it. Nothing in it is run.",
    )
    convert.add_argument("file", type=Path, metavar="IN")
    convert.add_argument(
        "out", type=Path, nargs="?", metavar="OUT", help="a folder, or a .safetensors file (beside the source)"
    )
    convert.add_argument(
        "--only", metavar="KIND", help="only the model of this kind: generator, encoder, animator, ..."
    )
    convert.set_defaults(run=_convert, parser=convert)


def _convert(args: argparse.Namespace) -> None:
    from lga_core import convert

    for path in convert(args.file, args.out, args.only):
        print(path)


def _add_train(commands: argparse._SubParsersAction) -> None:
    commands.add_parser("train", help="train a motion model, an encoder or a baseline, for a generator of your own")


def _train(args: argparse.Namespace) -> None:
    from .train import train

    train(args.words)


def _add_demo(commands: argparse._SubParsersAction) -> None:
    demo = commands.add_parser("demo", help="make an embedded domain, or measure it")
    steps = demo.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="step")

    build = steps.add_parser(
        "build",
        help="make every part of the domain, from renderer to motion",
        description="Make an embedded domain from nothing. Stages that are done are kept, so a stopped build goes on.",
    )
    build.add_argument(
        "--out", type=Path, default=Path("out/demo"), help="folder for weights and pictures (%(default)s)"
    )
    build.add_argument("--stages", nargs="+", metavar="STAGE", help="only these (all)")
    build.add_argument(
        "--effort",
        type=real(0, 100, open_low=True),
        default=1.0,
        metavar="X",
        help="share of all training steps; 0.01 is a rehearsal of a few minutes (%(default)s)",
    )
    build.set_defaults(run=_demo_build, parser=build)

    report = steps.add_parser(
        "report",
        help="measure the domain's motion on faces that no choice was made on",
        description="Measure the domain: JSON, a table and contact sheets.",
    )
    report.add_argument("--out", type=Path, default=Path("out/report"), help="folder for the report (%(default)s)")
    report.add_argument(
        "--domain",
        default=DEFAULT_DOMAIN,
        metavar="NAME",
        help="an embedded domain, or a domain's folder (%(default)s)",
    )
    report.add_argument("--faces", type=whole(2, 4096), default=64, metavar="N", help="how many faces (%(default)s)")
    report.set_defaults(run=_demo_report, parser=report)


def _demo_build(args: argparse.Namespace) -> None:
    from ..demo.build import build

    build(args.out, args.stages, args.effort)


def _demo_report(args: argparse.Namespace) -> None:
    from ..demo.report import report

    report(args.out, args.domain, args.faces)


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, **options):
        super().__init__(option_strings, dest=argparse.SUPPRESS, default=argparse.SUPPRESS, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version  # 0.02 s that no other command needs

        print(version("language-guided-animation"))
        parser.exit()


def _did_you_mean(option: str, parser: argparse.ArgumentParser) -> str:
    close = difflib.get_close_matches(option.split("=")[0], parser._option_string_actions, n=1)
    return f"; did you mean {close[0]}?" if close else "."
