"""`lga evaluate`: all methods on the same held-out faces and prompts of one domain, measured and reported.

Results are cached shard by shard, so that a stopped evaluation can be resumed, and methods can be added later. Shards
are distributed over the processes that a launcher has started.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from tqdm import tqdm

from lga_core import Domain, InputError, Motion, WPlus, load_domain
from lga_core.demo import DEFAULT_DOMAIN
from lga_core.formats import fingerprint
from lga_core.metrics import measure_clip
from lga_core.rendering import draw

from ..data.prompts import PromptSet
from ..metrics.evaluation_setup import EvaluationSetup
from ..reports.html import slug
from ..training.atomic_files import write
from ..training.distributed import Workers
from ..training.provenance import machine, versions
from .benchmark import UserFiles, find_evaluation_setup
from .methods import Method, Mocogan, RandomWalk, TextPrompt, at_magnitude
from .registry import ABLATION, DEFAULT, MethodFiles, choose_methods
from .report import write_report
from .results import collect_results, write_results
from .shards import Shard, ShardCache, all_shards, run_shard

SETTINGS = "settings.json"
NUM_CALIBRATION_FACES = 4
"""Faces on which a method without text is scaled to LGA's motion magnitude."""
EQUAL = "-equal"
TIMEOUT_MINUTES = 7 * 24 * 60.0
"""For which processes wait for one another: a shard of StyleCLIP takes minutes on a CPU."""


@dataclass(frozen=True)
class Evaluation:
    """The settings of an evaluation. Raises InputError for impossible numbers.

    domain: an embedded domain, or a domain's folder. methods: names in `registry.METHODS`. num_faces: held-out faces,
    each with every prompt. num_ablated: how many of them the ablations move. prompts: some of the domain's prompts;
    empty for all. num_reference: reference images for FID. at_once: faces of a shard.
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
    files: UserFiles = field(default_factory=UserFiles)
    mocogan: Path | None = None
    mappers: Path | None = None
    ablations: Path | None = None

    def __post_init__(self) -> None:
        if min(self.num_faces, self.num_ablated, self.num_reference, self.at_once) < 2:
            raise InputError("An evaluation needs at least 2 faces, 2 reference images and 2 faces at once.")

    @property
    def method_files(self) -> MethodFiles:
        return MethodFiles(self.out / "found", self.mocogan, self.mappers, self.ablations)

    def faces_of(self, method: str) -> int:
        """How many faces this method moves, from the first on."""
        return min(self.num_faces, self.num_ablated) if method.startswith(ABLATION) else self.num_faces


def evaluate(settings: Evaluation) -> Path | None:
    """Run all shards that are not cached, then write results.json, results.csv and report.html.

    Returns the report's path in the first process, which writes it, and None in the others. Raises InputError for
    settings that do not fit, or a folder that holds another evaluation.
    """
    workers = Workers(settings.device, TIMEOUT_MINUTES)
    domain = load_domain(settings.domain, workers.device)
    generator_fingerprint = fingerprint(domain.generator)
    setup = find_evaluation_setup(domain, settings.files, generator_fingerprint)
    setup = replace(setup, prompts=selected_prompts(setup.prompts, settings.prompts))
    if workers.is_first:
        keep_settings(settings, generator_fingerprint, setup.prompts)
    workers.wait()
    methods, missing = choose_methods(settings.methods, domain, settings.method_files)
    ws = setup.faces(settings.num_faces).to(domain.generator.w_avg)
    if "lga" in methods:
        methods |= scaled_to_lga(methods, domain, setup.prompts, ws)
    cache, num_prompts = ShardCache(settings.out), len(setup.prompts.prompts)
    shards = {name: all_shards([name], num_prompts, settings.faces_of(name), settings.at_once) for name in methods}
    run_shards(methods, [shard for each in shards.values() for shard in each], domain, setup, ws, cache, workers)
    if workers.is_first:
        results = collect_results(methods, shards, setup, cache, settings.num_reference) | {
            "num_faces": settings.num_faces,
            "num_ablated": min(settings.num_faces, settings.num_ablated),
            "missing_methods": missing,
            "missing": dict(setup.networks.missing),
            "domain": domain.name,
            "machine": machine(workers.device),
            "versions": versions(),
        }
        write_results(settings.out, results)
        write_report(settings.out, results, cache, settings.at_once)
    workers.end()
    return settings.out / "report.html" if workers.is_first else None


def selected_prompts(prompts: PromptSet, names: Sequence[str]) -> PromptSet:
    """Only the prompts of these names; all if there are none. Raises InputError for an unknown name."""
    if not names:
        return prompts
    known = {prompt.prompt: prompt for prompt in prompts.prompts}
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"{unknown[0]!r} is not a prompt of this domain. Choose from {', '.join(known)}.")
    return replace(prompts, prompts=tuple(known[name] for name in names))


def keep_settings(evaluation: Evaluation, generator_fingerprint: str, prompts: PromptSet) -> None:
    """Write settings.json into the evaluation's folder. Raises InputError if it holds an evaluation with others."""
    path = evaluation.out / SETTINGS
    settings = {
        "generator_fingerprint": generator_fingerprint,
        "at_once": evaluation.at_once,
        "prompts": prompts.sentences,
        "brought": {name: str(value) for name, value in asdict(evaluation.files).items() if value is not None},
    }
    if path.is_file():
        before = json.loads(path.read_text())
        if changed := [name for name, value in settings.items() if before.get(name) != value]:
            raise InputError(
                f"{evaluation.out} holds an evaluation with other {changed[0]} ({before.get(changed[0])}). Give --out "
                "another folder, or use the same settings."
            )
        return
    write(path, json.dumps(settings, indent=1))
    sentences = {slug(prompt.prompt): prompt.sentence for prompt in prompts.prompts}
    write(evaluation.out / "clips" / "prompts.json", json.dumps(sentences, indent=1))  # read by `lga study make`


def run_shards(
    methods: Mapping[str, Method],
    shards: Sequence[Shard],
    domain: Domain,
    setup: EvaluationSetup,
    ws: WPlus,
    cache: ShardCache,
    workers: Workers,
) -> None:
    """Run this process's part of the shards that are not cached; returns when all processes have done theirs."""
    left = [shard for shard in shards if not cache.done(shard)]
    workers.wait()  # until all processes have listed the same shards, before any is added
    with tqdm(left[workers.rank :: workers.count], disable=None if workers.is_first else True) as bar:
        for shard in bar:
            bar.set_description(f"{shard.method}: {setup.prompts.prompts[shard.prompt].prompt}")
            faces = ws[shard.first : shard.first + shard.count]
            run_shard(shard, methods[shard.method], domain, setup, faces, cache)
    workers.wait()


def scaled_to_lga(methods: Mapping[str, Method], domain: Domain, prompts: PromptSet, ws: WPlus) -> dict[str, Method]:
    """The methods without text once more, scaled to LGA's motion magnitude."""
    without_text = {name: method for name, method in methods.items() if isinstance(method, (Mocogan, RandomWalk))}
    if not without_text:
        return {}
    faces = ws[:NUM_CALIBRATION_FACES]

    def magnitude(method: Method) -> float:
        each = (method(faces, TextPrompt(i, prompt.sentence)) for i, prompt in enumerate(prompts.prompts))
        return sum(motion_magnitude(motion, domain, faces) for motion in each) / len(prompts.prompts)

    target = magnitude(methods["lga"])
    return {name + EQUAL: at_magnitude(method, target, magnitude) for name, method in without_text.items()}


@torch.no_grad()
def motion_magnitude(motion: Motion, domain: Domain, faces: WPlus) -> float:
    """Mean absolute difference of the frames from the first frame, over all faces."""
    found = [
        measure_clip(draw(domain.generator, part) for part in (face + offsets).split(8)).magnitude
        for face, offsets in zip(faces, motion, strict=True)
    ]
    return sum(found) / len(found)
