"""`lga study` on the command line. Nothing here imports torch before the work begins."""

from __future__ import annotations

import argparse
from pathlib import Path

from .arguments import whole


def add_study(commands: argparse._SubParsersAction) -> None:
    study = commands.add_parser("study", help="ask people which of two methods' clips are better, and count")
    steps = study.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="step")

    make = steps.add_parser(
        "make",
        help="a page of pairs of clips for raters",
        description="Make the page on which raters compare two methods' clips of the same faces under the same words. "
        "It needs no network and no server; the answers are files that raters hand back.",
    )
    make.add_argument("first", type=Path, metavar="A_DIR", help="one method's clips, at PROMPT/FACE.mp4 (.webp, .gif)")
    make.add_argument("second", type=Path, metavar="B_DIR", help="the other's, under the same names")
    make.add_argument(
        "--names", nargs=2, metavar=("A", "B"), help="of the methods; raters do not see them (the folders')"
    )
    make.add_argument("--images", type=Path, metavar="DIR", help="the faces before they move, as FACE.png")
    make.add_argument("--out", type=Path, default=Path("out/study"), metavar="DIR", help="folder to make (%(default)s)")
    make.add_argument(
        "--pairs", type=whole(1, 9999), metavar="N", help="how many pairs, spread evenly over the prompts (all)"
    )
    make.add_argument(
        "--each",
        type=whole(1, 9999),
        metavar="N",
        help="how many of them one rater sees (all); raters whose codes end in 1, 2, 3 ... share them out evenly",
    )
    make.add_argument(
        "--seed",
        type=whole(0, 2**63 - 1),
        metavar="N",
        help="for the same page again. Who knows it can tell whose clip is whose: drawn, and kept in key.json, if not "
        "given",
    )
    make.add_argument("--inline", action="store_true", help="all clips in the page itself, however large it becomes")
    make.set_defaults(run=_study_make, parser=make)

    tally = steps.add_parser(
        "tally",
        help="count the answers",
        description="Count raters' answers: preferences with intervals, agreement, and whose files cannot be counted. "
        "Prints a table; writes tally.json, tally.csv, votes.csv and tally.html.",
    )
    tally.add_argument("study", type=Path, metavar="STUDY_DIR", help="the folder that `lga study make` made")
    tally.add_argument("answers", type=Path, nargs="+", metavar="ANSWERS", help="files of answers, or folders of them")
    tally.add_argument("--out", type=Path, metavar="DIR", help="folder for the tally (STUDY_DIR)")
    tally.set_defaults(run=_study_tally, parser=tally)


def _study_make(args: argparse.Namespace) -> None:
    from ..study.build import make

    key = make(
        args.first,
        args.second,
        args.out,
        names=args.names,
        images=args.images,
        num_pairs=args.pairs,
        each=args.each,
        seed=args.seed,
        inline=args.inline,
    )
    clips = args.out / "clips"
    print(f"page: {(args.out / 'index.html').resolve()}")
    if clips.is_dir():
        print(f"clips: {clips.resolve()} (they go with the page)")
    print(f"key:  {(args.out / 'key.json').resolve()} (keep it to yourself: it says whose clip is whose)")
    print(f"{len(key['pairs'])} pairs, {key['each']} for each rater. Their files go into `lga study tally`.")


def _study_tally(args: argparse.Namespace) -> None:
    from ..study.tally import tally

    tally(args.study, args.answers, args.out)
