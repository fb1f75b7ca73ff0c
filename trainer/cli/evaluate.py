"""`lga evaluate` and `lga compare` on the command line. Nothing here imports torch before the work begins."""

from __future__ import annotations

import argparse
from pathlib import Path

from lga_core.demo import DEFAULT_DOMAIN

from .arguments import whole

METHODS = ("lga", "styleclip", "mocogan")


def add_evaluate(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="compare LGA with StyleCLIP and MoCoGAN-HD on a domain",
        description="The paper's comparison: the same unseen faces and prompts for all methods, measured, in one "
        "report. What is done is kept: a stopped evaluation goes on, and methods can be added to it.",
    )
    parser.add_argument(
        "--domain", default=DEFAULT_DOMAIN, metavar="NAME", help="embedded, or a domain's folder (%(default)s)"
    )
    parser.add_argument(
        "--methods",
        type=lambda text: tuple(filter(None, text.split(","))),
        default=METHODS,
        metavar="A,B",
        help="of lga, styleclip, styleclip-own, mapper, mocogan, random (lga,styleclip,mocogan)",
    )
    parser.add_argument("--faces", type=whole(2, 100_000), default=64, metavar="N", help="unseen faces (%(default)s)")
    parser.add_argument("--prompts", nargs="+", default=[], metavar="PROMPT", help="only these (all of the domain)")
    parser.add_argument("--out", type=Path, default=Path("out/evaluation"), metavar="DIR", help="(%(default)s)")
    parser.add_argument(
        "--at-once", type=whole(2, 4096), default=16, metavar="N", help="faces of one piece of work (%(default)s)"
    )
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda or mps (%(default)s)")
    files = parser.add_argument_group("files that methods need")
    files.add_argument("--mocogan", type=Path, metavar="FILE", help="a motion generator, from lga train mocogan")
    files.add_argument("--mappers", type=Path, metavar="DIR", help="StyleCLIP mappers, from lga train mapper")
    files.add_argument("--ablations", type=Path, metavar="DIR", help="further motion models, each in a folder")
    files.add_argument(
        "--ablation-faces", type=whole(2, 100_000), default=16, metavar="N", help="faces that these move (%(default)s)"
    )
    looks = parser.add_argument_group("files that figures need")
    looks.add_argument("--reference", type=Path, metavar="DIR", help="real pictures for FID (the domain's own)")
    looks.add_argument(
        "--reference-count", type=whole(2, 1_000_000), default=5000, metavar="N", help="of them (%(default)s)"
    )
    looks.add_argument("--inception", type=Path, metavar="FILE", help="torch-fidelity's InceptionV3, for FID")
    looks.add_argument("--identity", type=Path, metavar="FILE", help="an ArcFace, for ACD")
    looks.add_argument("--scorer", type=Path, metavar="FILE", help="a CLIP that nothing was trained against")
    looks.add_argument("--blendshapes", type=Path, metavar="FILE", help="MediaPipe's face_landmarker.task: a judge")
    parser.set_defaults(run=_evaluate, parser=parser)


def _evaluate(args: argparse.Namespace) -> None:
    from ..evaluation.benchmark import UserFiles
    from ..evaluation.run import Evaluation, evaluate

    brought = UserFiles(args.reference, args.identity, args.inception, args.scorer, args.blendshapes)
    report = evaluate(
        Evaluation(
            out=args.out,
            domain=args.domain,
            methods=args.methods,
            num_faces=args.faces,
            num_ablated=args.ablation_faces,
            prompts=args.prompts,
            num_reference=args.reference_count,
            at_once=args.at_once,
            device=args.device,
            brought=brought,
            mocogan=args.mocogan,
            mappers=args.mappers,
            ablations=args.ablations,
        )
    )
    if report is not None:
        print(f"report:  {report.resolve()}")
        print(f"figures: {report.with_name('results.json').resolve()}")


def add_compare(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "compare",
        help="what got better and worse between two evaluations",
        description="Compare two evaluations of one domain, figure by figure.",
    )
    parser.add_argument("before", type=Path, metavar="A", help="folder of an evaluation")
    parser.add_argument("after", type=Path, metavar="B", help="folder of another")
    parser.set_defaults(run=_compare, parser=parser)


def _compare(args: argparse.Namespace) -> None:
    from ..evaluation.compare import compare, shown

    print(shown(compare(args.before, args.after)))
