"""`lga train mocogan`: everything that a run needs is found and checked, then trained, then written and reported on."""

from __future__ import annotations

import json
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from lga_core import Generator, InputError, OutputError
from lga_core.baselines import MocoganConfig, MocoganMotion
from lga_core.checkpoints import save_mocogan
from lga_core.formats import fingerprint
from lga_core.stylegan2 import PrincipalComponents, principal_components

from ...data.augmentation import at_score_size
from ...data.frozen_models import arranged, check_drawing, find_generator
from ...data.videos import Clips, Folder, Videos
from ...domain_plugin import DomainPlugin, plugin_of
from ...metrics.motion import first_step_share
from ...reports.clip_sheets import clip_sheet
from ...reports.page import write_report
from ...training.distributed import Workers
from ...training.loop import LoopSchedule, train
from ...training.provenance import machine, made, versions
from ...training.run_folder import PARTS, RunFolder
from .config import MocoganRun
from .task import Draw, MocoganTask

RESULT = "mocogan.safetensors"
NUM_ON_SHEET = 8


class MocoganDomain(NamedTuple):
    """The generator that moves, and what its domain brings."""

    name: str
    generator: Generator
    plugin: DomainPlugin
    licence: str | None


def train_mocogan(run: MocoganRun) -> Path:
    """Train as `run` says, from the state in its folder if there is one; the motion generator's file.

    Raises an LgaError for whatever a person can put right, and loop.Stopped when a person stops it.
    """
    torch.use_deterministic_algorithms(run.optimizer.deterministic)
    workers, folder = Workers(run.device), RunFolder(Path(run.out))
    domain = load_domain(run, workers.device)
    path = folder.path / RESULT
    with folder.locked() if workers.is_first else nullcontext():
        if workers.is_first:
            folder.keep_config(described(run, domain))
        pca = find_directions(run, domain) if workers.is_first else None
        workers.wait()  # the other processes read what it kept
        task = assemble(run, domain, pca or find_directions(run, domain))
        pace = LoopSchedule.of(run.steps, run.optimizer.accumulate, run.watch)
        seconds = train(task, folder, pace, workers, f"MoCoGAN-HD for {domain.name}, from {task.videos.label}")
        if workers.is_first:
            figures = measure(task)
            save_result(path, task, domain, figures, seconds)
            report(task, domain, folder, figures, seconds)
        workers.wait()
    workers.end()
    return path


# What goes in


def load_domain(run: MocoganRun, device: torch.device) -> MocoganDomain:
    """The generator of a run. Raises InputError or CheckpointError."""
    name, generator, _, licence = find_generator(run.generator, Path(run.out), device)
    check_drawing(run.optimizer, generator)
    largest = generator.config.resolution
    if run.film.size > largest:
        raise InputError(f"--film.size is {run.film.size}, but the generator draws {largest} px. Take that, or less.")
    return MocoganDomain(name, generator, plugin_of(generator), licence)


def find_videos(run: MocoganRun, domain: MocoganDomain) -> Videos:
    """The folder's, or rendered ones. Raises InputError where there are neither."""
    film = run.film
    if run.videos is not None:
        return Folder(Path(run.videos), film.num_frames, film.time_step, film.size)
    if domain.plugin.videos is None:
        raise InputError(
            "--videos is missing: give a folder of videos to learn from. (Only embedded domains render their own.)"
        )
    return domain.plugin.videos(film.count, film.num_frames, film.time_step, film.size, run.seed)


def find_directions(run: MocoganRun, domain: MocoganDomain) -> PrincipalComponents:
    """The principal directions of the generator's W, from the run's folder where they are known."""
    with tqdm(total=run.directions_from, desc="principal directions", leave=False, disable=None) as progress:

        def show(done: int, _: int) -> None:
            progress.update(done - progress.n)

        return principal_components(domain.generator, run.directions_from, Path(run.out), show)


def assemble(run: MocoganRun, domain: MocoganDomain, pca: PrincipalComponents) -> MocoganTask:
    """The task: a fresh motion generator, and everyone who plays a part in its training."""
    generator, model = domain.generator, run.model
    w_dim = generator.config.w_dim
    config = MocoganConfig(w_dim, model.hidden_dim, min(model.num_directions, w_dim), model.step_size)
    fresh = MocoganMotion(config, run.seed).to(generator.w_avg.device)
    cross_domain = run.videos is not None if run.film.cross_domain is None else run.film.cross_domain
    return MocoganTask(run, fresh, generator, drawing(run, domain), find_videos(run, domain), pca, cross_domain)


def drawing(run: MocoganRun, domain: MocoganDomain) -> Draw:
    """The frozen generator at the videos' size: by a mean over its pixels, or by its first blocks alone."""
    synthesis, size = arranged(domain.generator, run.optimizer), run.film.size
    is_small = domain.plugin.skips_are_images if run.film.draw_small is None else run.film.draw_small
    enough = next(side for side in domain.generator.config.block_resolutions if side >= size)
    largest = enough if is_small else None
    return lambda ws: at_score_size(synthesis(ws, largest), size)


# What comes out


@torch.no_grad()
def measure(task: MocoganTask) -> dict[str, Any]:
    """How much faces that no step has shown move, and how much the videos do."""
    count, frames = task.run.watch.report_faces, task.run.film.num_frames
    ws = task.faces(count)
    motion = task.model(ws, task.pca, frames)
    films = torch.cat([task.film(face[:, 0] + way[None, :, 0]) for face, way in zip(ws.split(1), motion, strict=True)])
    return {
        "baseline": "mocogan",
        "num_faces": count,
        "motion": movement(films.clamp(-1, 1)),
        "motion_videos": movement(task.examples(count)),
        "first_step_share": first_step_share(motion),
    }


def movement(films: Clips) -> float:
    """Mean difference of a clip's pixels from those of its first frame."""
    return (films[:, 1:] - films[:, :1]).abs().mean().item()


def save_result(path: Path, task: MocoganTask, domain: MocoganDomain, figures: dict[str, Any], seconds: float) -> None:
    """The motion generator with all that is needed to use it, in half precision unless a number is too large for it."""
    said = {
        "generator": domain.name,
        "generator_fingerprint": fingerprint(domain.generator),
        "videos": task.videos.label,
        "steps": task.run.steps,
        "training": described(task.run, domain),
        "figures": figures,
        "made": made(seconds),
        **({"generator_licence": domain.licence} if domain.licence else {}),
    }
    model = task.result()
    with suppress(OutputError):
        return save_mocogan(path, model, half=True, **said)
    return save_mocogan(path, model, **said)


def report(
    task: MocoganTask, domain: MocoganDomain, folder: RunFolder, figures: dict[str, Any], seconds: float
) -> None:
    run, sheet = task.run, folder.path / "sheet.png"
    ws = task.faces(NUM_ON_SHEET)
    with torch.no_grad():
        motion = task.model(ws, task.pca, run.film.num_frames)
    clip_sheet(domain.generator.synthesis, ws, motion, sheet, list(task.examples(2)))
    facts = {
        "generator": f"{domain.name}, {domain.generator.config.resolution} px",
        "videos": f"{task.videos.label}, {'of another domain' if task.cross_domain else 'of its own domain'}",
        "clips": f"{run.film.num_frames} frames at {run.film.size} px",
        "preset": run.preset,
        "steps": f"{run.steps} of {run.batch} clips",
        "time": f"{seconds / 60:.0f} minutes",
        "machine": machine(ws.device),
        **versions(),
        **({"licence of the generator": domain.licence} if domain.licence else {}),
    }
    shown = [("Faces that were not trained on, over two of the videos", sheet)]
    write_report(folder.path, f"MoCoGAN-HD for {domain.name}", facts, figures, shown, task.videos.notes)


def described(run: MocoganRun, domain: MocoganDomain) -> dict[str, Any]:
    """The settings as JSON, with the generator's fingerprint, for its file may move."""
    said = {"generator": {"name": domain.name, "fingerprint": fingerprint(domain.generator)}}
    return {**json.loads(json.dumps(asdict(run))), PARTS: said}
