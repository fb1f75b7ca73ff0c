"""`lga train motion`: the hooks of training/pipeline.py for a motion model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import ClipModel, Generator, InputError, MotionConfig, MotionModel, WPlus
from lga_core.checkpoints import save_motion
from lga_core.clip import save_clip
from lga_core.formats import fingerprint
from lga_core.stylegan2 import random_w

from ..data.alignment import framer_of
from ..data.augmentation import at_score_size
from ..data.faces import FaceSet, find_pictures, folder_fingerprint
from ..data.frozen_models import check_synthesis, find_generator, frozen_synthesis, open_clip_model
from ..data.inverted_faces import faces_from_images, load_inverter
from ..data.prompts import Prompt
from ..domain_plugin import DomainPlugin, find_judge, plugin_of
from ..metrics.motion import motion_figures
from ..reports.contact_sheets import motion_sheet
from ..reports.page import write_report
from ..training.config import StepPlan
from ..training.distributed import Workers
from ..training.pipeline import Training, run
from ..training.run_folder import RunFolder
from ..training.w_discriminator import WDiscriminator
from . import losses
from .config import Losses, Model, MotionRun
from .inputs import (
    MotionInputs,
    check_batch,
    codes_fingerprint,
    find_faces,
    find_perceptual,
    find_prompts,
    load_codes,
    open_identity,
    prepare_faces,
)
from .step import Draw, FrozenModels, Scorer, keep_maps
from .task import (
    CachedTextEmbeddings,
    MotionTask,
    Sampling,
    TrainingFaces,
    init_in_w_covariance,
    mean_direction,
    whiten_output_layer,
)

NUM_W_SAMPLES = 8192
PREVIEW_PROMPTS = 8
PREVIEW_SEED, REPORT_SEED = 2**40, 2**41
"""First of the faces that previews and the report show; no step uses them."""


def train_motion(settings: MotionRun, plugin: DomainPlugin | None = None) -> Path:
    """Train a motion model from the state in the run's folder, if there is one; the model's file.

    plugin: that of a domain which is still being made. Raises an LgaError for whatever a person can put right, and
    loop.Stopped when a person stops it.
    """
    return run(MotionTraining(settings, plugin))


class MotionTraining(Training[MotionRun, MotionInputs, MotionTask]):
    result = "motion.safetensors"

    def __init__(self, settings: MotionRun, plugin: DomainPlugin | None = None) -> None:
        super().__init__(settings)
        self.plugin = plugin

    def load(self, folder: Path, device: torch.device) -> MotionInputs:
        run, cache = self.settings, folder / "converted"
        name, generator, card, licence = find_generator(run.generator, folder, device)
        name = run.name or name
        check_synthesis(run.optimizer, generator)
        if run.clip is None and card is None:
            raise InputError(
                "Which CLIP? Give --clip a file, such as RN50-quickgelu=RN50.pt (open_clip's name of the model, then "
                "its weights)."
            )
        clip = open_clip_model(str(card.files["clip"]) if run.clip is None and card else str(run.clip), device)
        plugin = plugin_of(generator) if self.plugin is None else self.plugin
        scorers = [open_clip_model(name, device) for name in run.score_clips or plugin.scorers]
        prompts = find_prompts(run.prompts, card, plugin)
        prompts.check_words(clip)
        encoder = run.encoder or (card.files["encoder"] if card else None)
        return MotionInputs(
            name=name,
            generator=generator,
            clip=clip,
            scorers=tuple(scorers if run.score_clips else [clip, *scorers]),
            prompts=prompts,
            plugin=plugin,
            encoder=None if run.images is None else load_inverter(encoder, folder, device),
            identity=None if run.identity_network is None else open_identity(run.identity_network, cache, device),
            judge=find_judge(fingerprint(generator), Path(run.blendshapes) if run.blendshapes else None),
            licence=licence,
            perceptual=find_perceptual(run.losses, run.perceptual_weights, (clip, *scorers), device),
            codes=None if run.codes is None else load_codes(run.codes, generator, name),
        )

    def fingerprints(self, inputs: MotionInputs) -> dict[str, Any]:
        images = None if self.settings.images is None else Path(self.settings.images)
        perceptual = inputs.perceptual
        return {
            "clip": fingerprint(inputs.clip),
            "score_clips": [fingerprint(scorer) for scorer in inputs.scorers],
            "sentences": {prompt.sentence: list(prompt.paraphrases) for prompt in inputs.prompts.prompts},
            "images": None if images is None else folder_fingerprint(images, find_pictures(images)),
            "encoder": None if inputs.encoder is None else fingerprint(inputs.encoder),
            "codes": None if inputs.codes is None else codes_fingerprint(inputs.codes),
            "identity_network": None if inputs.identity is None else fingerprint(inputs.identity),
            "perceptual": None if perceptual is None else fingerprint(perceptual),
        }

    def task(self, inputs: MotionInputs, folder: RunFolder, workers: Workers) -> MotionTask:
        run = self.settings
        check_batch(run.batch, workers.count, inputs.prompts, run.repeats)
        draw = frozen_synthesis(inputs.generator, run.optimizer)
        faces = self.faces(inputs, folder, workers)
        prepared = prepare_faces(faces, draw, inputs.clip, run.losses, workers.device, embed=run.model.picture)
        return self.assemble(inputs, draw, prepared)

    def faces(self, inputs: MotionInputs, folder: RunFolder, workers: Workers) -> FaceSet:
        run, encoder = self.settings, inputs.encoder
        if run.images is None or encoder is None:
            return find_faces(inputs, run.faces, run.seed)
        images, generator = Path(run.images), inputs.generator
        framer = framer_of(run.generator, generator.config.resolution) if run.align else None
        return find_faces(
            inputs,
            run.faces,
            run.seed,
            lambda: faces_from_images(images, encoder, generator, folder, workers, framer),
        )

    def assemble(self, inputs: MotionInputs, draw: Draw, faces: TrainingFaces) -> MotionTask:
        """The task: a fresh motion model and the frozen models of its losses."""
        run, generator, prompts = self.settings, inputs.generator, inputs.prompts
        device = generator.w_avg.device
        w = w_samples(generator, inputs.plugin).to(device)
        clip = deepcopy(inputs.clip) if run.optimizer.finetune_clip else inputs.clip
        model = fresh_model(run.model, inputs.clip.embed_dim, generator, run.seed).to(device)
        if run.model.in_units_of_faces:
            init_in_w_covariance(model, w)
            whiten_output_layer(model, w)
        frozen = FrozenModels(
            draw=draw,
            embed=clip.encode_text if run.optimizer.finetune_clip else CachedTextEmbeddings(clip, prompts),
            scorers=[Scorer(scorer, scorer.encode_text(prompts.sentences)) for scorer in inputs.scorers],
            keep=keep_maps(prompts.prompts, run.losses.face, faces.pictures.shape[-1]).to(device),
            toned=torch.tensor([float(prompt.kind == "expression") for prompt in prompts.prompts], device=device),
            white=losses.covariance_power(w, power=-0.5),
            distance=inputs.perceptual,
            identity=inputs.identity,
            discriminator=w_discriminator(run.losses, generator, run.seed),
        )
        fixed = generator.sample(range(PREVIEW_SEED, PREVIEW_SEED + 4), run.faces.psi)
        shown = prompts.prompts[:: max(1, len(prompts.prompts) // PREVIEW_PROMPTS)][:PREVIEW_PROMPTS]

        def preview(motion: MotionModel, clip: ClipModel, path: Path) -> None:
            draw_sheet(motion, clip, draw, fixed, shown, self.features(clip, draw, fixed), path)

        sampling = Sampling(StepPlan.of(run), run.num_frames, run.num_frames_max, run.paraphrase_share)
        return MotionTask(sampling, run.losses, run.optimizer, model, clip, frozen, faces, prompts, w, preview)

    def features(self, clip: ClipModel, draw: Draw, ws: WPlus) -> Float[Tensor, "n c"] | None:
        """CLIP's embeddings of the faces as they are drawn; None for a model whose motions start at sentences alone."""
        if not self.settings.model.picture:
            return None
        return embedded_faces(clip, draw, ws, self.settings.losses.score_size)

    def title(self, inputs: MotionInputs) -> str:
        return f"{inputs.name}: {len(inputs.prompts.prompts)} prompts"

    def measure(self, inputs: MotionInputs, task: MotionTask) -> dict[str, Any]:
        draw, (motion, clip) = task.frozen.draw, task.result()
        ws = self._report_faces(inputs)
        features = self.features(clip, draw, ws)
        with torch.no_grad():
            return motion_figures(motion, draw, ws, clip, inputs.scorers, inputs.prompts, inputs.judge, features)

    def _report_faces(self, inputs: MotionInputs) -> WPlus:
        run = self.settings
        return inputs.generator.sample(range(REPORT_SEED, REPORT_SEED + run.watch.report_faces), run.faces.psi)

    def save(
        self,
        path: Path,
        inputs: MotionInputs,
        task: MotionTask,
        figures: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> None:
        """The motion model in half precision; a fine-tuned CLIP beside it."""
        motion, clip = task.result()
        if self.settings.optimizer.finetune_clip:
            save_fine_tuned(path.with_name("clip.safetensors"), clip)
        said: dict[str, Any] = {}
        if task.faces.features is not None:
            said["mean_picture"] = [round(x, 5) for x in mean_direction(task.faces.features).tolist()]
        wording = inputs.prompts.wording.described()
        clips = {"clip": clip.name, "clip_fingerprint": fingerprint(clip)}
        save_motion(path, motion, half=True, **metadata, **clips, **wording, **said)

    def report(
        self,
        folder: Path,
        inputs: MotionInputs,
        task: MotionTask,
        figures: dict[str, Any],
        facts: Mapping[str, str],
    ) -> None:
        run, draw, (motion, clip) = self.settings, task.frozen.draw, task.result()
        ws = self._report_faces(inputs)[:4]
        sheet, prompts = folder / "sheet.png", inputs.prompts.prompts
        draw_sheet(motion, clip, draw, ws, prompts, self.features(clip, draw, ws), sheet)
        said = {
            "generator": f"{inputs.name}, {inputs.generator.config.resolution} px",
            "prompts": f"{inputs.prompts.name}, {len(prompts)} prompts",
            "CLIP": f"{clip.name}; scored by {', '.join(scorer.name for scorer in inputs.scorers)}",
            "preset": run.preset,
            "steps": str(run.steps),
            **facts,
        }
        notes = [f"{path.name} was skipped: {why}" for path, why in task.faces.skipped]
        write_report(folder, f"Motion for {inputs.name}", said, figures, [("Every prompt", sheet)], notes)


@torch.no_grad()
def w_samples(generator: Generator, plugin: DomainPlugin) -> Float[Tensor, "n w_dim"]:
    """W of many faces, from which the covariance of W is estimated: the domain's own, or untruncated random ones."""
    if plugin.w_samples is not None:
        return plugin.w_samples(1)
    return random_w(generator, NUM_W_SAMPLES, torch.Generator().manual_seed(1))


def fresh_model(settings: Model, code_dim: int, generator: Generator, seed: int) -> MotionModel:
    """A motion model with random weights; `code_dim` is the embedding size of CLIP."""
    variants = {
        "anchored": MotionConfig.anchored,
        "paper": MotionConfig.paper,
        "official": MotionConfig.official,
    }
    changes = {} if settings.picture else {"visual_offset": False}
    config = variants[settings.variant](
        code_dim,
        generator.num_ws,
        w_dim=generator.config.w_dim,
        hidden_dim=settings.hidden_dim,
        mapper_dim=settings.mapper_dim,
        head=settings.head,
        last_activation=settings.last_activation,
        **changes,
    )
    return MotionModel(config, seed)


def w_discriminator(settings: Losses, generator: Generator, seed: int) -> WDiscriminator | None:
    if not settings.w_discriminator:
        return None
    return WDiscriminator(generator.config.w_dim, seed).to(generator.w_avg.device)


@torch.no_grad()
def draw_sheet(
    motion: MotionModel,
    clip: ClipModel,
    draw: Draw,
    ws: WPlus,
    prompts: Sequence[Prompt],
    features: Float[Tensor, "n c"] | None,
    path: Path,
) -> None:
    text = clip.encode_text([prompt.sentence for prompt in prompts])
    motion_sheet(draw, motion, ws, text, features, [prompt.prompt for prompt in prompts], path)


@torch.no_grad()
def embedded_faces(clip: ClipModel, draw: Draw, ws: WPlus, size: int) -> Float[Tensor, "n c"]:
    """CLIP's unit embeddings of the faces as they are drawn, at no more than `size` pixels."""
    return torch.cat([clip.encode_images(at_score_size(draw(chunk), size)) for chunk in ws.split(8)])


def save_fine_tuned(path: Path, clip: ClipModel) -> None:
    save_clip(
        path,
        clip.model,  # pyright: ignore
        clip.config,
        clip.known_tokens or range(clip.model.token_embedding.num_embeddings),  # pyright: ignore
        clip.mean.flatten().tolist(),
        clip.std.flatten().tolist(),
        half=True,
        name=f"{clip.name}, fine-tuned",
    )
