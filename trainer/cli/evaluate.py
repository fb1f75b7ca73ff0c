"""`lga evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lga_core.demo import DEFAULT_DOMAIN

from .arguments import DIR, FILE, NAME, Domain, Metavar, between

FOR_METHODS, FOR_METRICS = "Files for methods", "Files for metrics"


def evaluate(
    *,
    domain: Domain = DEFAULT_DOMAIN,
    methods: Annotated[
        str,
        Metavar("A,B,..."),
        Parameter(help="Methods, of lga, styleclip, styleclip-own, mapper, mocogan and random."),
    ] = "lga,styleclip,mocogan",
    faces: Annotated[int, Parameter(help="Number of held-out faces."), between(2, 100_000)] = 64,
    prompts: Annotated[
        list[str] | None,
        Metavar("PROMPT..."),
        Parameter(help="Prompts to evaluate.", consume_multiple=1, show_default="all of the domain"),
    ] = None,
    out: Annotated[Path, DIR, Parameter(help="Folder for results and report.")] = Path("out/evaluation"),
    at_once: Annotated[int, Parameter(help="Number of faces per shard of work."), between(2, 4096)] = 16,
    device: Annotated[str, NAME, Parameter(help="Device: auto, cpu, cuda or mps.")] = "auto",
    mocogan: Annotated[
        Path | None,
        FILE,
        Parameter(help="MoCoGAN-HD motion generator, from lga train mocogan.", group=FOR_METHODS),
    ] = None,
    mappers: Annotated[
        Path | None,
        DIR,
        Parameter(help="Folder of StyleCLIP latent mappers, from lga train mapper.", group=FOR_METHODS),
    ] = None,
    ablations: Annotated[
        Path | None,
        DIR,
        Parameter(help="Folder of further motion models, each in its own folder.", group=FOR_METHODS),
    ] = None,
    ablation_faces: Annotated[
        int,
        Parameter(help="Number of faces that the ablations animate.", group=FOR_METHODS),
        between(2, 100_000),
    ] = 16,
    reference: Annotated[
        Path | None,
        DIR,
        Parameter(help="Folder of real images for FID.", group=FOR_METRICS, show_default="the domain's own"),
    ] = None,
    reference_count: Annotated[
        int, Parameter(help="Number of real images for FID.", group=FOR_METRICS), between(2, 1_000_000)
    ] = 5000,
    inception: Annotated[
        Path | None,
        FILE,
        Parameter(help="Weights of InceptionV3 (torch-fidelity), for FID.", group=FOR_METRICS),
    ] = None,
    identity: Annotated[
        Path | None, FILE, Parameter(help="ArcFace identity network, for ACD.", group=FOR_METRICS)
    ] = None,
    scorer: Annotated[
        Path | None,
        FILE,
        Parameter(help="CLIP model that no method was trained with.", group=FOR_METRICS),
    ] = None,
    blendshapes: Annotated[
        Path | None,
        FILE,
        Parameter(help="MediaPipe's face_landmarker.task, to judge human expressions.", group=FOR_METRICS),
    ] = None,
) -> None:
    """Run the paper's comparison: several methods on the same held-out faces and prompts, in one report.

    Finished work is kept: the same command resumes an evaluation that was stopped, and methods can be added to it.
    """
    from ..evaluation.benchmark import UserFiles
    from ..evaluation.run import Evaluation, evaluate

    report = evaluate(
        Evaluation(
            out=out,
            domain=domain,
            methods=tuple(filter(None, methods.split(","))),
            num_faces=faces,
            num_ablated=ablation_faces,
            prompts=prompts or [],
            num_reference=reference_count,
            at_once=at_once,
            device=device,
            files=UserFiles(reference, identity, inception, scorer, blendshapes),
            mocogan=mocogan,
            mappers=mappers,
            ablations=ablations,
        )
    )
    if report is not None:
        print(f"report:  {report.resolve()}")
        print(f"figures: {report.with_name('results.json').resolve()}")
