"""`lga evaluate`: methods on one domain, the same unseen faces and words for all, measured, kept, and told in a report.

What is done is kept piece by piece, so that a stopped evaluation goes on, and more methods can be added to one. Pieces
are shared out over the processes that a launcher has started.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from lga_core import Domain, InputError, WPlus, load_domain
from lga_core.demo import DEFAULT_DOMAIN
from lga_core.formats import fingerprint
from lga_core.metrics import measure_clip
from lga_core.rendering import draw

from ..metrics.evaluation_setup import EvaluationSetup
from ..reports.html import slug
from ..training.atomic_files import write
from ..training.distributed import Workers
from ..training.provenance import machine, versions
from .benchmark import UserFiles, find_evaluation_setup
from .methods import Method, Mocogan, RandomWalk, Words, as_strong
from .registry import ABLATION, DEFAULT, MethodFiles, choose
from .results import results, write_results
from .shards import Shard, ShardCache, pieces, run_shard

SETTINGS = "settings.json"
CALIBRATED_ON = 4
"""Faces on which the strength of a method that heeds no words is made equal to LGA's."""
EQUAL = "-equal"
PATIENCE = 7 * 24 * 60.0
"""Minutes for which processes wait for one another: a piece of StyleCLIP's takes minutes on a processor."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation. Raises InputError for numbers that cannot be.

    domain: an embedded domain, or a domain's folder. methods: names, see `choosing`. num_faces: unseen ones, each under
    every prompt. num_ablated: how many of these ablations move. prompts: some of the domain's; all, where there are
    none. num_reference: real pictures that Frechet distances are taken from. at_once: faces of a piece.
    """

    out: Path
    domain: str = DEFAULT_DOMAIN
    methods: Sequence[str] = DEFAULT
    num_faces: int = 64
    num_ablated: int = 16
    prompts: Sequence[str] = ()
    num_reference: int = 5000
    at_once: int = 16
    device: str = "auto"
    brought: UserFiles = field(default_factory=UserFiles)
    mocogan: Path | None = None
    mappers: Path | None = None
    ablations: Path | None = None

    def __post_init__(self) -> None:
        if min(self.num_faces, self.num_ablated, self.num_reference, self.at_once) < 2:
            raise InputError("An evaluation needs at least 2 faces, 2 reference pictures and 2 faces at once.")

    @property
    def sources(self) -> MethodFiles:
        return MethodFiles(self.out / "found", self.mocogan, self.mappers, self.ablations)

    def faces_of(self, method: str) -> int:
        """How many faces this method moves: the first ones."""
        return min(self.num_faces, self.num_ablated) if method.startswith(ABLATION) else self.num_faces


def evaluate(asked: Evaluation) -> Path | None:
    """Do what is not done yet, then write results.json, results.csv and report.html.

    Returns the report's path; None in all processes but the first, which writes it.

    Raises InputError for a setting that does not fit, or a folder that holds another evaluation.
    """
    from .report import write_report

    workers = Workers(asked.device, PATIENCE)
    domain = load_domain(asked.domain, workers.device)
    mark = fingerprint(domain.generator)
    setup = chosen_prompts(find_evaluation_setup(domain, asked.brought, mark), asked.prompts)
    kept = ShardCache(asked.out)
    if workers.is_first:
        claim(asked, mark, setup)
    workers.wait()
    methods, missing = choose(asked.methods, domain, asked.sources)
    ws = setup.faces(asked.num_faces).to(domain.generator.w_avg)
    if "lga" in methods:
        methods |= equally_strong(methods, domain, setup, ws)
    own = {name: pieces([name], len(setup.prompts.prompts), asked.faces_of(name), asked.at_once) for name in methods}
    run(methods, [piece for each in own.values() for piece in each], domain, setup, ws, kept, workers)
    if workers.is_first:
        told = results(methods, own, setup, kept, asked.num_reference) | {
            "num_faces": asked.num_faces,
            "num_ablated": min(asked.num_faces, asked.num_ablated),
            "missing_methods": missing,
            "missing": dict(setup.networks.missing),
            "domain": domain.name,
            "machine": machine(workers.device),
            "versions": versions(),
        }
        write_results(asked.out, told)
        write_report(asked.out, told, kept, asked.at_once)
    workers.end()
    return asked.out / "report.html" if workers.is_first else None


def chosen_prompts(setup: EvaluationSetup, names: Sequence[str]) -> EvaluationSetup:
    """The setup with these prompts only; all where none is named. Raises InputError for one that is not there."""
    if not names:
        return setup
    known = {prompt.prompt: prompt for prompt in setup.prompts.prompts}
    if wrong := [name for name in names if name not in known]:
        raise InputError(f"{wrong[0]!r} is no prompt of this domain. It has {', '.join(known)}.")
    return replace(setup, prompts=replace(setup.prompts, prompts=tuple(known[name] for name in names)))


def claim(asked: Evaluation, mark: str, setup: EvaluationSetup) -> None:
    """Say in the folder what is evaluated in it. Raises InputError where it says otherwise already."""
    path = asked.out / SETTINGS
    settings = {
        "generator_fingerprint": mark,
        "at_once": asked.at_once,
        "prompts": setup.prompts.sentences,
        "brought": {name: str(value) for name, value in asdict(asked.brought).items() if value is not None},
    }
    if path.is_file():
        before = json.loads(path.read_text())
        if changed := [name for name, value in settings.items() if before.get(name) != value]:
            raise InputError(
                f"{asked.out} holds an evaluation with other {changed[0]} ({before.get(changed[0])}). Give --out "
                "another folder, or the same settings."
            )
        return
    write(path, json.dumps(settings, indent=1))
    said = {slug(prompt.prompt): prompt.sentence for prompt in setup.prompts.prompts}
    write(asked.out / "clips" / "prompts.json", json.dumps(said, indent=1))  # what `lga study make` shows


def run(
    methods: Mapping[str, Method],
    whole: Sequence[Shard],
    domain: Domain,
    setup: EvaluationSetup,
    ws: WPlus,
    kept: ShardCache,
    workers: Workers,
) -> None:
    """Every one of these pieces that is not done yet, shared out over the processes."""
    left = [piece for piece in whole if not kept.done(piece)]
    workers.wait()  # until all have seen what is left: it is that which is shared out
    with tqdm(left[workers.rank :: workers.count], disable=None if workers.is_first else True) as bar:
        for piece in bar:
            bar.set_description(f"{piece.method}: {setup.prompts.prompts[piece.prompt].prompt}")
            faces = ws[piece.first : piece.first + piece.count]
            run_shard(piece, methods[piece.method], domain, setup, faces, kept)
    workers.wait()


def equally_strong(
    methods: Mapping[str, Method], domain: Domain, setup: EvaluationSetup, ws: WPlus
) -> dict[str, Method]:
    """Methods that heed no words once more, at the strength at which they move faces as much as LGA does."""
    deaf = {name: method for name, method in methods.items() if isinstance(method, (Mocogan, RandomWalk))}
    if not deaf:
        return {}
    prompts = setup.prompts.prompts
    faces = ws[:CALIBRATED_ON]

    def magnitude(method: Method) -> float:
        motions = (method(faces, Words(i, prompt.sentence)) for i, prompt in enumerate(prompts))
        return sum(magnitude_of(motion, domain, faces) for motion in motions) / len(prompts)

    target = magnitude(methods["lga"])
    return {name + EQUAL: as_strong(method, target, magnitude) for name, method in deaf.items()}


@torch.no_grad()
def magnitude_of(motion: Any, domain: Domain, faces: WPlus) -> float:
    """How much clips move, over all faces."""
    found = [
        measure_clip(draw(domain.generator, part) for part in (face + offsets).split(8)).magnitude
        for face, offsets in zip(faces, motion, strict=True)
    ]
    return sum(found) / len(found)


__all__ = ["Evaluation", "Shard", "evaluate"]
