"""`lga train mapper`: everything that a run needs is found and checked, then trained, then written and reported on."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import ClipModel, Generator, Images, InputError, OutputError
from lga_core.baselines.styleclip import LatentMapper, LatentMapperConfig, clip_distance
from lga_core.checkpoints import as_native, save_latent_mapper
from lga_core.domain import DomainCard
from lga_core.formats import fingerprint
from lga_core.metrics import find_identity_similarity, has_stages, load_identity
from lga_core.motion import Wording

from ...data.faces import FaceSet, sampled_faces
from ...data.frozen_models import arranged, check_drawing, find_generator, open_clip_model
from ...data.inverted_faces import faces_of_pictures
from ...data.prompts import load_prompts
from ...domain_plugin import DEFAULT_PROMPTS
from ...reports.clip_sheets import clip_sheet
from ...reports.page import write_report
from ...training.distributed import Workers
from ...training.loop import LoopSchedule, train
from ...training.provenance import machine, made, versions
from ...training.run_folder import PARTS, RunFolder
from .config import MapperRun
from .task import Draw, MapperModels, MapperTask

RESULT = "mapper.safetensors"
SHOWN_SEED = 2**41
"""First of the faces that previews and the report show; training draws none of them."""
CHUNK = 8


class MapperDomain(NamedTuple):
    """The generator that a mapper is trained for, the CLIP that judges it, and the sentence that its prompt stands for.

    encoder: the file of the one that inverts pictures.
    """

    name: str
    generator: Generator
    clip: ClipModel
    sentence: str
    encoder: Path | None
    licence: str | None


def train_mapper(run: MapperRun) -> Path:
    """Train as `run` says, from the state in its folder if there is one; the mapper's file.

    Raises an LgaError for whatever a person can put right, and loop.Stopped when a person stops it.
    """
    torch.use_deterministic_algorithms(run.optimizer.deterministic)
    workers, folder = Workers(run.device), RunFolder(Path(run.out))
    domain = load_domain(run, workers.device)
    path = folder.path / RESULT
    with folder.locked() if workers.is_first else nullcontext():
        if workers.is_first:
            folder.keep_config(described(run, domain))
        workers.wait()
        draw = arranged(domain.generator, run.optimizer)
        faces = find_faces(run, domain, folder, workers)
        task = assemble(run, domain, draw, faces)
        pace = LoopSchedule.of(run.steps, run.optimizer.accumulate, run.watch)
        seconds = train(task, folder, pace, workers, f"Mapper for {domain.name}: {domain.sentence}")
        if workers.is_first:
            figures = measure(task)
            save_result(path, task, domain, figures, seconds)
            report(task, domain, faces, folder, figures, seconds)
        workers.wait()
    workers.end()
    return path


# What goes in


def load_domain(run: MapperRun, device: torch.device) -> MapperDomain:
    """Raises InputError or CheckpointError."""
    name, generator, card, licence = find_generator(run.generator, Path(run.out), device)
    check_drawing(run.optimizer, generator)
    if run.clip is None and card is None:
        raise InputError(
            "Which CLIP? Give --clip a file, such as ViT-B-32-quickgelu=ViT-B-32.pt (open_clip's name of the model, "
            "then its weights)."
        )
    clip = open_clip_model(str(card.files["clip"]) if run.clip is None and card else str(run.clip), device)
    clip.check_text(run.prompt)
    encoder = run.encoder or (card.files["encoder"] if card else None)
    sentence = wording(card).sentence(run.prompt)
    return MapperDomain(name, generator, clip, sentence, None if encoder is None else Path(encoder), licence)


def wording(card: DomainCard | None) -> Wording:
    """How prompts become sentences: as the domain has it, else of persons."""
    return load_prompts(DEFAULT_PROMPTS).wording if card is None else card.wording


def find_faces(run: MapperRun, domain: MapperDomain, folder: RunFolder, workers: Workers) -> FaceSet:
    """Sampled, or found in pictures."""
    if run.images is None:
        return sampled_faces(domain.generator, run.faces.count, run.faces.psi, run.seed)
    return faces_of_pictures(Path(run.images), domain.encoder, domain.generator, folder, workers)


def assemble(run: MapperRun, domain: MapperDomain, draw: Draw, faces: FaceSet) -> MapperTask:
    """The task: a fresh mapper and everyone who plays a part in its training."""
    generator, clip = domain.generator, domain.clip
    config = LatentMapperConfig(generator.config.w_dim, run.levels)
    mapper = LatentMapper(config, run.seed).to(generator.w_avg.device)
    with torch.no_grad():
        sentence = clip.encode_text([domain.sentence])
    shown = generator.sample(range(SHOWN_SEED, SHOWN_SEED + run.watch.report_faces), run.faces.psi)
    return MapperTask(run, mapper, MapperModels(draw, clip, sentence, find_recognition(run, domain)), faces.ws, shown)


def find_recognition(run: MapperRun, domain: MapperDomain) -> Callable[[Images], Float[Tensor, "n c"]] | None:
    """Who tells people apart: the identity network, else a ResNet CLIP's feature maps. None where that term is off.

    Raises InputError where it is on and there is neither.
    """
    if "identity" not in run.weights:
        return None
    if run.identity_network is not None:
        network = load_identity(as_native(run.identity_network, "identity", Path(run.out) / "converted"))
        return network.to(domain.generator.w_avg.device)
    if has_stages(domain.clip):
        return find_identity_similarity(domain.generator, clip=domain.clip).embed
    raise InputError(
        "--losses.identity needs to tell people apart: give --identity-network FILE (ArcFace IR-SE50), or leave that "
        "term out with --losses.identity 0."
    )


# What comes out


@torch.no_grad()
def measure(task: MapperTask) -> dict[str, Any]:
    """What the mapper does to faces that no step has shown.

    clip_before, clip_after: mean cosine of picture and sentence. moved: root mean square of the code's change.
    """
    cast, normalised = task.cast, task.run.losses.normalised
    moved = task.shown + task.mapper.config.strength * task.mapper(task.shown)

    def cosine(ws: Tensor) -> float:
        found = [clip_distance(cast.clip, cast.draw(few), cast.sentence, normalised) for few in ws.split(CHUNK)]
        return 1 - torch.cat(found).mean().item()

    return {
        "baseline": "mapper",
        "num_faces": len(moved),
        "clip_before": cosine(task.shown),
        "clip_after": cosine(moved),
        "moved": (moved - task.shown).square().mean().sqrt().item(),
    }


def save_result(path: Path, task: MapperTask, domain: MapperDomain, figures: dict[str, Any], seconds: float) -> None:
    """The mapper with all that is needed to use it, in half precision unless a number is too large for it."""
    said = {
        "sentence": domain.sentence,
        "generator": domain.name,
        "generator_fingerprint": fingerprint(domain.generator),
        "clip": domain.clip.name,
        "clip_fingerprint": fingerprint(domain.clip),
        "steps": task.run.steps,
        "training": described(task.run, domain),
        "figures": figures,
        "made": made(seconds),
        **({"generator_licence": domain.licence} if domain.licence else {}),
    }
    mapper = task.result()
    with suppress(OutputError):
        return save_latent_mapper(path, mapper, half=True, **said)
    return save_latent_mapper(path, mapper, **said)


def report(
    task: MapperTask, domain: MapperDomain, faces: FaceSet, folder: RunFolder, figures: dict[str, Any], seconds: float
) -> None:
    sheet, shown = folder.path / "sheet.png", task.shown[:8]
    with torch.no_grad():
        clip_sheet(task.cast.draw, shown, task.mapper.motion(shown), sheet)
    facts = {
        "generator": f"{domain.name}, {domain.generator.config.resolution} px",
        "sentence": domain.sentence,
        "CLIP": domain.clip.name,
        "preset": task.run.preset,
        "steps": f"{task.run.steps} of {task.run.batch} faces",
        "time": f"{seconds / 60:.0f} minutes",
        "machine": machine(task.shown.device),
        **versions(),
        **({"licence of the generator": domain.licence} if domain.licence else {}),
    }
    notes = [f"{path.name} was skipped: {why}" for path, why in faces.skipped]
    title = f"Latent mapper for {domain.name}"
    write_report(folder.path, title, facts, figures, [("Faces that were not trained on", sheet)], notes)


def described(run: MapperRun, domain: MapperDomain) -> dict[str, Any]:
    """The settings as JSON, and what their files stand for: names of files change, fingerprints do not."""
    said = {
        "generator": {"name": domain.name, "fingerprint": fingerprint(domain.generator)},
        "clip": fingerprint(domain.clip),
        "sentence": domain.sentence,
    }
    return {**json.loads(json.dumps(asdict(run))), PARTS: said}
