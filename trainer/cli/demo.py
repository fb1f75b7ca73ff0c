"""`lga demo build | report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from lga_core.demo import DEFAULT_DOMAIN

from .arguments import DIR, Domain, Metavar, between

demo = App("demo", help="Build or measure an embedded domain.", help_flags=(), version_flags=())


@demo.command
def build(
    domain: Annotated[str, Parameter("DOMAIN", help="Embedded domain to build.")] = DEFAULT_DOMAIN,
    /,
    *,
    out: Annotated[Path, DIR, Parameter(help="Folder for weights and images.")] = Path("out/demo"),
    stages: Annotated[
        list[str] | None,
        Metavar("STAGE..."),
        Parameter(help="Stages to run.", consume_multiple=1, show_default="all"),
    ] = None,
    effort: Annotated[
        float,
        Parameter(help="Factor on all numbers of training steps. 0.01 is a rehearsal of a few minutes."),
        between(0, 100, above=True),
    ] = 1.0,
) -> None:
    """Build an embedded domain from scratch: generator, CLIP, encoder, motion model and the rest.

    Finished stages are kept: the same command resumes a build that was stopped.
    """
    from ..demo.build import build

    build(out, stages, effort, domain)


@demo.command
def report(
    *,
    out: Annotated[Path, DIR, Parameter(help="Folder for the report.")] = Path("out/report"),
    domain: Domain = DEFAULT_DOMAIN,
    faces: Annotated[int, Parameter(help="Number of held-out faces to measure."), between(2, 4096)] = 64,
) -> None:
    """Measure a domain's motion model on held-out faces.

    Writes JSON, a table and contact sheets.
    """
    from ..demo.report import report

    report(out, domain, faces)
