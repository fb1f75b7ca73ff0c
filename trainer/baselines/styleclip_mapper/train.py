"""`lga train mapper`: the hooks of training/pipeline.py for StyleCLIP's latent mapper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import ClipModel, Encoder, Generator, Images, InputError
from lga_core.baselines.styleclip import LatentMapper, LatentMapperConfig, clip_distance
from lga_core.checkpoints import as_native, save_latent_mapper
from lga_core.domain import DomainCard
from lga_core.formats import fingerprint
from lga_core.metrics import IdentityNetwork, find_identity_similarity, has_stages, load_identity
from lga_core.motion import Wording

from ...data.faces import FaceSet, find_pictures, folder_fingerprint, sampled_faces
from ...data.frozen_models import check_synthesis, find_generator, frozen_synthesis, open_clip_model
from ...data.inverted_faces import faces_from_images, load_inverter
from ...data.prompts import load_prompts
from ...domain_plugin import DEFAULT_PROMPTS
from ...reports.clip_sheets import clip_sheet
from ...reports.page import write_report
from ...training.config import StepPlan
from ...training.distributed import Workers
from ...training.pipeline import Training, run, save_half
from ...training.run_folder import RunFolder
from .config import MapperRun
from .task import Draw, MapperModels, MapperTask

SHOWN_SEED = 2**41
"""First of the faces that previews and the report show; no step uses them."""
CHUNK = 8


class MapperInputs(NamedTuple):
    """The frozen models of a run, and the sentence that its prompt stands for.

    clip: of the CLIP loss. encoder: inverts images, where they are given. identity: of the identity loss; None where a
    ResNet CLIP's feature maps stand in for it.
    """

    name: str
    generator: Generator
    clip: ClipModel
    sentence: str
    encoder: Encoder | None
    identity: IdentityNetwork | None
    licence: str | None


def train_mapper(settings: MapperRun) -> Path:
    """Train a latent mapper from the state in the run's folder, if there is one; the mapper's file.

    Raises an LgaError for whatever a person can put right, and loop.Stopped when a person stops it.
    """
    return run(MapperTraining(settings))


class MapperTraining(Training[MapperRun, MapperInputs, MapperTask]):
    result = "mapper.safetensors"

    def load(self, folder: Path, device: torch.device) -> MapperInputs:
        run = self.settings
        name, generator, card, licence = find_generator(run.generator, folder, device)
        check_synthesis(run.optimizer, generator)
        if run.clip is None and card is None:
            raise InputError(
                "Which CLIP? Give --clip a file, such as ViT-B-32-quickgelu=ViT-B-32.pt (open_clip's name of the "
                "model, then its weights)."
            )
        clip = open_clip_model(str(card.files["clip"]) if run.clip is None and card else str(run.clip), device)
        clip.check_text(run.prompt)
        encoder = run.encoder or (card.files["encoder"] if card else None)
        identity = None
        if run.identity_network is not None and "identity" in run.losses.weights:
            path = as_native(run.identity_network, "identity", folder / "converted")
            identity = load_identity(path).to(device)
        return MapperInputs(
            name=name,
            generator=generator,
            clip=clip,
            sentence=wording(card).sentence(run.prompt),
            encoder=None if run.images is None else load_inverter(encoder, folder, device),
            identity=identity,
            licence=licence,
        )

    def fingerprints(self, inputs: MapperInputs) -> dict[str, Any]:
        images = None if self.settings.images is None else Path(self.settings.images)
        return {
            "clip": fingerprint(inputs.clip),
            "sentence": inputs.sentence,
            "images": None if images is None else folder_fingerprint(images, find_pictures(images)),
            "encoder": None if inputs.encoder is None else fingerprint(inputs.encoder),
            "identity_network": None if inputs.identity is None else fingerprint(inputs.identity),
        }

    def task(self, inputs: MapperInputs, folder: RunFolder, workers: Workers) -> MapperTask:
        draw = frozen_synthesis(inputs.generator, self.settings.optimizer)
        return self.assemble(inputs, draw, self.faces(inputs, folder, workers))

    def faces(self, inputs: MapperInputs, folder: RunFolder, workers: Workers) -> FaceSet:
        """The faces to train on: sampled, or inverted from images."""
        run = self.settings
        if run.images is None or inputs.encoder is None:
            return sampled_faces(inputs.generator, run.faces.count, run.faces.psi, run.seed)
        return faces_from_images(Path(run.images), inputs.encoder, inputs.generator, folder, workers)

    def assemble(self, inputs: MapperInputs, draw: Draw, faces: FaceSet) -> MapperTask:
        """The task: a fresh mapper and the frozen models of its losses."""
        run, generator, clip = self.settings, inputs.generator, inputs.clip
        mapper = LatentMapper(LatentMapperConfig(generator.config.w_dim, run.levels), run.seed)
        with torch.no_grad():
            sentence = clip.encode_text([inputs.sentence])
        embed = find_identity(inputs) if "identity" in run.losses.weights else None
        shown = generator.sample(range(SHOWN_SEED, SHOWN_SEED + run.watch.report_faces), run.faces.psi)
        return MapperTask(
            StepPlan.of(run),
            run.losses,
            run.optimizer,
            mapper.to(generator.w_avg.device),
            MapperModels(draw, clip, sentence, embed),
            faces,
            shown,
        )

    def title(self, inputs: MapperInputs) -> str:
        return f"Mapper for {inputs.name}: {inputs.sentence}"

    def measure(self, inputs: MapperInputs, task: MapperTask) -> dict[str, Any]:
        return measure(task)

    def save(
        self,
        path: Path,
        inputs: MapperInputs,
        task: MapperTask,
        figures: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> None:
        clip = {"clip": inputs.clip.name, "clip_fingerprint": fingerprint(inputs.clip)}
        said = {**metadata, **clip, "sentence": inputs.sentence, "figures": dict(figures)}
        save_half(save_latent_mapper, path, task.result(), **said)

    def report(
        self,
        folder: Path,
        inputs: MapperInputs,
        task: MapperTask,
        figures: dict[str, Any],
        facts: Mapping[str, str],
    ) -> None:
        run, sheet, shown = self.settings, folder / "sheet.png", task.shown[:8]
        with torch.no_grad():
            clip_sheet(task.models.draw, shown, task.mapper.motion(shown), sheet)
        said = {
            "generator": f"{inputs.name}, {inputs.generator.config.resolution} px",
            "sentence": inputs.sentence,
            "CLIP": inputs.clip.name,
            "preset": run.preset,
            "steps": f"{run.steps} of {run.batch} faces",
            **facts,
        }
        notes = [f"{path.name} was skipped: {why}" for path, why in task.faces.skipped]
        title = f"Latent mapper for {inputs.name}"
        write_report(folder, title, said, figures, [("Faces that were not trained on", sheet)], notes)


def wording(card: DomainCard | None) -> Wording:
    """How prompts become sentences: as the domain has it, else of persons."""
    return load_prompts(DEFAULT_PROMPTS).wording if card is None else card.wording


def find_identity(inputs: MapperInputs) -> Callable[[Images], Float[Tensor, "n c"]]:
    """Images -> identity embeddings: the identity network's, else a ResNet CLIP's feature maps.

    Raises InputError where there is neither.
    """
    if inputs.identity is not None:
        return inputs.identity
    if has_stages(inputs.clip):
        return find_identity_similarity(inputs.generator, clip=inputs.clip).embed
    raise InputError(
        "--losses.identity needs a network that recognises people: give --identity-network FILE (ArcFace IR-SE50), or "
        "turn that loss off with --losses.identity 0."
    )


@torch.no_grad()
def measure(task: MapperTask) -> dict[str, Any]:
    """What the mapper does to faces that no step has seen.

    clip_before, clip_after: mean cosine of image and sentence. moved: root mean square of the code's change.
    """
    models, normalised = task.models, task.weights.normalised
    moved = task.shown + task.mapper.config.strength * task.mapper(task.shown)

    def cosine(ws: Tensor) -> float:
        found = [clip_distance(models.clip, models.draw(few), models.sentence, normalised) for few in ws.split(CHUNK)]
        return 1 - torch.cat(found).mean().item()

    return {
        "baseline": "mapper",
        "num_faces": len(moved),
        "clip_before": cosine(task.shown),
        "clip_after": cosine(moved),
        "moved": (moved - task.shown).square().mean().sqrt().item(),
    }
