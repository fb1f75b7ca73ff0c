"""`lga train motion`: everything that a run needs is found and checked, then trained, then written and reported on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import ClipModel, Generator, MotionConfig, MotionModel, WPlus
from lga_core.checkpoints import save_motion
from lga_core.clip import save_clip
from lga_core.formats import fingerprint
from lga_core.stylegan2 import random_w

from ..data.augmentation import at_score_size
from ..data.faces import FaceSet
from ..data.frozen_models import arranged
from ..data.prompts import Prompt
from ..domain_plugin import DomainPlugin
from ..metrics.motion import motion_figures
from ..reports.contact_sheets import motion_sheet
from ..reports.page import write_report
from ..training.distributed import Workers
from ..training.loop import LoopSchedule, train
from ..training.provenance import machine, made, versions
from ..training.run_folder import PARTS, RunFolder
from ..training.w_discriminator import WDiscriminator
from . import losses
from .config import MotionRun
from .inputs import Parts, check_sizes, find_faces, load_parts, perceptual_distance, prepare_sources
from .step import Draw, FrozenModels, Scorer, keep_maps
from .task import (
    CachedTextEmbeddings,
    MotionTask,
    TrainingFaces,
    init_in_w_covariance,
    mean_direction,
    whiten_output_layer,
)

RESULT = "motion.safetensors"
NUM_W_SAMPLES = 8192
PREVIEW_PROMPTS = 8
PREVIEW_SEED, REPORT_SEED = 2**40, 2**41
"""First of the faces that previews and the report show; training draws none of them."""


def train_motion(run: MotionRun, plugin: DomainPlugin | None = None) -> Path:
    """Train as `run` says, from the state in its folder if there is one; the motion model's file.

    `plugin`: of a domain that is still being made. Raises an LgaError for whatever a person can put right, and
    loop.Stopped when a person stops it.
    """
    torch.use_deterministic_algorithms(run.optimizer.deterministic)
    workers = Workers(run.device)
    folder = RunFolder(Path(run.out))
    parts = load_parts(run, workers.device, plugin)
    check_sizes(run, parts, workers)
    if not workers.is_first:
        return _train(run, parts, folder, workers)
    with folder.locked():
        return _train(run, parts, folder, workers)


def _train(run: MotionRun, parts: Parts, folder: RunFolder, workers: Workers) -> Path:
    if workers.is_first:
        folder.keep_config(described(run, parts))
    workers.wait()
    draw = arranged(parts.generator, run.optimizer)
    faces = find_faces(run, parts, folder, workers)
    sources = prepare_sources(run, faces, draw, parts.clip, workers.device)
    task = assemble(run, parts, draw, sources)
    pace = LoopSchedule.of(run.steps, run.optimizer.accumulate, run.watch)
    seconds = train(task, folder, pace, workers, f"{parts.name}: {len(parts.prompts.prompts)} prompts")
    path = folder.path / RESULT
    if workers.is_first:
        save_result(run, parts, task, sources, path, seconds)
        report(run, parts, task, faces, draw, folder, seconds)
    workers.wait()
    workers.end()
    return path


# What is trained


def assemble(run: MotionRun, parts: Parts, draw: Draw, sources: TrainingFaces) -> MotionTask:
    """The task: a fresh motion model and everyone who plays a part in its training."""
    generator, prompts, device = parts.generator, parts.prompts, parts.generator.w_avg.device
    many = w_samples(generator, parts.plugin)
    many = many.to(device)
    clip = deepcopy(parts.clip) if run.optimizer.finetune_clip else parts.clip
    model = fresh_model(run, parts).to(device)
    if run.model.in_units_of_faces:
        init_in_w_covariance(model, many)
        whiten_output_layer(model, many)
    cast = FrozenModels(
        draw=draw,
        embed=clip.encode_text if run.optimizer.finetune_clip else CachedTextEmbeddings(clip, prompts),
        scorers=[Scorer(scorer, scorer.encode_text(prompts.sentences)) for scorer in parts.scorers],
        keep=keep_maps(prompts.prompts, run.losses.face, sources.pictures.shape[-1]).to(device),
        toned=torch.tensor([float(prompt.kind == "expression") for prompt in prompts.prompts], device=device),
        white=losses.covariance_power(many, power=-0.5),
        distance=perceptual_distance(run, parts),
        identity=parts.identity,
        discriminator=w_discriminator(run, parts),
    )
    fixed = generator.sample(range(PREVIEW_SEED, PREVIEW_SEED + 4), run.faces.psi)
    shown = prompts.prompts[:: max(1, len(prompts.prompts) // PREVIEW_PROMPTS)][:PREVIEW_PROMPTS]

    def preview(motion: MotionModel, clip: ClipModel, path: Path) -> None:
        draw_sheet(run, motion, clip, draw, fixed, shown, path)

    return MotionTask(run, model, clip, cast, sources, prompts, many, preview)


@torch.no_grad()
def w_samples(generator: Generator, plugin: DomainPlugin) -> Float[Tensor, "n w_dim"]:
    """W of many faces, from which the covariance of W is estimated: the domain's own, or untruncated random ones."""
    if plugin.w_samples is not None:
        return plugin.w_samples(1)
    return random_w(generator, NUM_W_SAMPLES, torch.Generator().manual_seed(1))


def fresh_model(run: MotionRun, parts: Parts) -> MotionModel:
    variants = {
        "anchored": MotionConfig.anchored,
        "paper": MotionConfig.paper,
        "official": MotionConfig.official,
    }
    settings, changes = run.model, {}
    if not settings.picture:
        changes["visual_offset"] = False
    config = variants[settings.variant](
        parts.clip.embed_dim,
        parts.generator.num_ws,
        w_dim=parts.generator.config.w_dim,
        hidden_dim=settings.hidden_dim,
        mapper_dim=settings.mapper_dim,
        head=settings.head,
        last_activation=settings.last_activation,
        **changes,
    )
    return MotionModel(config, run.seed)


def w_discriminator(run: MotionRun, parts: Parts) -> WDiscriminator | None:
    if not run.losses.w_discriminator:
        return None
    return WDiscriminator(parts.generator.config.w_dim, run.seed).to(parts.generator.w_avg.device)


@torch.no_grad()
def draw_sheet(
    run: MotionRun,
    motion: MotionModel,
    clip: ClipModel,
    draw: Draw,
    ws: WPlus,
    prompts: Sequence[Prompt],
    path: Path,
) -> None:
    features = embedded(run, clip, draw, ws)
    text = clip.encode_text([prompt.sentence for prompt in prompts])
    motion_sheet(draw, motion, ws, text, features, [prompt.prompt for prompt in prompts], path)


@torch.no_grad()
def embedded(run: MotionRun, clip: ClipModel, draw: Draw, ws: WPlus) -> Float[Tensor, "n c"] | None:
    """CLIP's embeddings of the faces as they are drawn; None for a model that sentences start alone."""
    if not run.model.picture:
        return None
    seen = [clip.encode_images(at_score_size(draw(chunk), run.losses.score_size)) for chunk in ws.split(8)]
    return torch.cat(seen)


# What comes out


def save_result(
    run: MotionRun, parts: Parts, task: MotionTask, sources: TrainingFaces, path: Path, seconds: float
) -> None:
    """The motion model in half precision, with all that is needed to use it; a fine-tuned CLIP beside it."""
    motion, clip = task.result()
    if run.optimizer.finetune_clip:
        save_clip(
            path.with_name("clip.safetensors"),
            clip.model,  # pyright: ignore
            clip.config,
            clip.known_tokens or range(clip.model.token_embedding.num_embeddings),  # pyright: ignore
            clip.mean.flatten().tolist(),
            clip.std.flatten().tolist(),
            half=True,
            name=f"{clip.name}, fine-tuned",
        )
    said: dict[str, Any] = {}
    if sources.features is not None:
        said["mean_picture"] = [round(x, 5) for x in mean_direction(sources.features).tolist()]
    if parts.licence:
        said["generator_licence"] = parts.licence
    save_motion(
        path,
        motion,
        half=True,
        generator=parts.name,
        generator_fingerprint=fingerprint(parts.generator),
        clip=clip.name,
        clip_fingerprint=fingerprint(clip),
        steps=run.steps,
        training=described(run, parts),
        made=made(seconds),
        **parts.prompts.wording.described(),
        **said,
    )


def described(run: MotionRun, parts: Parts) -> dict[str, Any]:
    """The settings as JSON, and what their files stand for: names of files change, fingerprints do not."""
    said = {
        "generator": {"name": parts.name, "fingerprint": fingerprint(parts.generator)},
        "clip": fingerprint(parts.clip),
        "score_clips": [fingerprint(scorer) for scorer in parts.scorers],
        "sentences": {prompt.sentence: list(prompt.paraphrases) for prompt in parts.prompts.prompts},
    }
    return {**json.loads(json.dumps(asdict(run))), PARTS: said}


def report(
    run: MotionRun, parts: Parts, task: MotionTask, faces: FaceSet, draw: Draw, folder: RunFolder, seconds: float
) -> None:
    """Measure the model on faces that it was not trained on, and write the report."""
    motion, clip = task.result()
    first = REPORT_SEED
    ws = parts.generator.sample(range(first, first + run.watch.report_faces), run.faces.psi)
    with torch.no_grad():
        features = embedded(run, clip, draw, ws)
        figures = motion_figures(motion, draw, ws, clip, parts.scorers, parts.prompts, parts.judge, features)
    sheet, prompts = folder.path / "sheet.png", parts.prompts.prompts
    draw_sheet(run, motion, clip, draw, ws[:4], prompts, sheet)
    facts = {
        "generator": f"{parts.name}, {parts.generator.config.resolution} px",
        "prompts": f"{parts.prompts.name}, {len(prompts)} prompts",
        "CLIP": f"{clip.name}; scored by {', '.join(scorer.name for scorer in parts.scorers)}",
        "preset": run.preset,
        "steps": str(run.steps),
        "time": f"{seconds / 60:.0f} minutes",
        "machine": machine(task.device),
        **versions(),
        **({"licence of the generator": parts.licence} if parts.licence else {}),
    }
    notes = [f"{path.name} was skipped: {why}" for path, why in faces.skipped]
    write_report(folder.path, f"Motion for {parts.name}", facts, figures, [("Every prompt", sheet)], notes)
