"""`lga train encoder`: the hooks of training/pipeline.py for an encoder, and where its losses find their networks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lga_core import ClipModel, Encoder, Generator, InputError, MismatchError, load_encoder
from lga_core.checkpoints import as_native, save_encoder
from lga_core.formats import fingerprint
from lga_core.metrics import ClipFeatureDistance, IdentityNetwork, Lpips, cached_weights, has_lpips, load_identity

from ..data.alignment import Aligned, aligned, framer_of
from ..data.faces import find_pictures, folder_fingerprint
from ..data.frozen_models import check_synthesis, find_generator, frozen_synthesis, open_clip_model, precision
from ..data.images import LARGEST_COMPARED, Draw, GeneratedFaces, ImageFolder, MixedFaces, Pictures
from ..reports.page import write_report
from ..training.config import StepPlan
from ..training.distributed import Workers
from ..training.pipeline import Training, run, save_half
from ..training.run_folder import RunFolder
from . import losses
from .config import LEARNING_RATES, EncoderFaces, EncoderLosses, EncoderRun
from .metrics import encoder_sheet, held_out_metrics
from .sizes import encoder_config, fresh_encoder, size_for
from .task import Comparison, EncoderTask

__all__ = ["EncoderInputs", "EncoderRun", "EncoderTask", "EncoderTraining", "train_encoder"]

NO_PERCEPTUAL = "No network for a perceptual loss was found: images are compared by pixels alone, which blurs faces."


class EncoderInputs(NamedTuple):
    """The frozen models of a run.

    draw: the generator's synthesis, differentiable. encoder: the one to train. clip: whose feature maps are compared,
    where `perceptual` is a CLIP's.
    """

    name: str
    generator: Generator
    licence: str | None
    draw: Draw
    encoder: Encoder
    perceptual: Lpips | ClipFeatureDistance | None = None
    clip: ClipModel | None = None
    identity: IdentityNetwork | None = None


def train_encoder(settings: EncoderRun) -> Path:
    """Train an encoder from the state in the run's folder, if there is one; the encoder's file.

    Raises an LgaError for whatever a person can put right, and loop.Stopped when a person stops it.
    """
    return run(EncoderTraining(settings))


class EncoderTraining(Training[EncoderRun, EncoderInputs, EncoderTask]):
    result = "encoder.safetensors"

    def load(self, folder: Path, device: torch.device) -> EncoderInputs:
        run, cache = self.settings, folder / "converted"
        name, generator, card, licence = find_generator(run.generator, folder, device)
        check_synthesis(run.optimizer, generator)
        perceptual, clip = find_perceptual(
            run.losses, run.perceptual_weights, run.clip or (str(card.files["clip"]) if card else None)
        )
        identity = None
        if run.identity_network is not None:
            identity = load_identity(as_native(run.identity_network, "identity", cache)).to(device)
        return EncoderInputs(
            name=name,
            generator=generator,
            licence=licence,
            draw=frozen_synthesis(generator, run.optimizer),
            encoder=self.encoder(generator, cache),
            perceptual=None if perceptual is None else perceptual.to(device),
            clip=clip,
            identity=identity,
        )

    def encoder(self, generator: Generator, cache: Path) -> Encoder:
        """The encoder to train: a fresh one, or that of `--start`."""
        run = self.settings
        if run.start is None:
            return fresh_encoder(encoder_config(run.size, generator.config), generator.w_avg, run.seed)
        return load_initial(run.start, generator, cache)

    def fingerprints(self, inputs: EncoderInputs) -> dict[str, Any]:
        images = None if self.settings.images is None else Path(self.settings.images)
        perceptual, clip = inputs.perceptual, inputs.clip
        return {
            "clip": None if clip is None else fingerprint(clip),
            "images": None if images is None else folder_fingerprint(images, find_pictures(images)),
            "start": None if self.settings.start is None else fingerprint(inputs.encoder),
            "identity_network": None if inputs.identity is None else fingerprint(inputs.identity),
            "perceptual": None if perceptual is None or clip is not None else fingerprint(perceptual),
        }

    def task(self, inputs: EncoderInputs, folder: RunFolder, workers: Workers) -> EncoderTask:
        with workers.after_the_first():
            pictures = self.pictures(inputs, folder.path)
        return self.assemble(inputs, pictures, find_comparisons(self.settings.losses, inputs))

    def pictures(self, inputs: EncoderInputs, folder: Path) -> Pictures:
        """Generated faces, images, or both."""
        run, generator = self.settings, inputs.generator
        generated = generated_faces(run.faces, generator, inputs.draw, run.seed)
        if run.images is None:
            return generated
        images = Aligned(Path(run.images), ())
        if run.align:
            framer = framer_of(run.generator, generator.config.resolution)
            images = aligned(images.folder, folder / "aligned", framer)
        album = image_folder(images, generator)
        return MixedFaces(generated, album, run.faces.images_share) if run.faces.images_share < 1 else album

    def assemble(self, inputs: EncoderInputs, pictures: Pictures, comparisons: Mapping[str, Comparison]) -> EncoderTask:
        run = self.settings
        return EncoderTask(
            StepPlan.of(run),
            run.stage,
            LEARNING_RATES[size_for(run.size, inputs.generator.config)],
            run.losses,
            run.optimizer,
            inputs.encoder,
            inputs.generator,
            inputs.draw,
            pictures,
            comparisons,
            precision(run.optimizer, inputs.generator.w_avg.device),
        )

    def title(self, inputs: EncoderInputs) -> str:
        return f"Encoder for {inputs.name}"

    def measure(self, inputs: EncoderInputs, task: EncoderTask) -> dict[str, Any]:
        """Figures of the encoder on images that no step has shown, by the networks that its losses used."""
        compare = {name: each.distance for name, each in task.comparisons.items()}
        perceptual, identity = compare.get("perceptual"), compare.get("identity")
        return held_out_metrics(
            task.result(),
            inputs.generator,
            inputs.draw,
            task.pictures,
            self.settings.watch.report_faces,
            perceptual.each if isinstance(perceptual, Lpips) else None,
            identity.embed if isinstance(identity, losses.IdentityLoss) else None,
        )

    def save(
        self,
        path: Path,
        inputs: EncoderInputs,
        task: EncoderTask,
        figures: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> None:
        save_half(save_encoder, path, task.result(), **metadata, figures=dict(figures))

    def report(
        self,
        folder: Path,
        inputs: EncoderInputs,
        task: EncoderTask,
        figures: dict[str, Any],
        facts: Mapping[str, str],
    ) -> None:
        run, config, sheet = self.settings, task.encoder.config, folder / "sheet.png"
        encoder_sheet(task.result(), inputs.draw, task.pictures, sheet)
        millions = sum(parameter.numel() for parameter in task.encoder.parameters()) / 1e6
        said = {
            "generator": f"{inputs.name}, {inputs.generator.config.resolution} px",
            "encoder": f"{millions:.1f} million parameters, {config.heads} heads, sees {config.input_size} px",
            "losses": ", ".join(task.objectives[0].weights(run.steps)),
            "steps": f"{run.steps} of {run.batch} images",
            **facts,
        }
        perceptual, notes = task.comparisons.get("perceptual"), list(task.pictures.notes)
        if perceptual is not None:
            said["perceptual loss"] = getattr(perceptual.distance, "label", "")
        elif run.losses.perceptual:
            notes.append(NO_PERCEPTUAL)
        shown = [("Images that were not trained on, over what the generator makes of their codes", sheet)]
        write_report(folder, f"Encoder for {inputs.name}", said, figures, shown, notes)


def load_initial(path: str, generator: Generator, cache: Path) -> Encoder:
    """The encoder of `--start`. Raises MismatchError for one of another generator's shape."""
    encoder, config = load_encoder(as_native(path, "encoder", cache)), generator.config
    if (encoder.config.num_ws, encoder.config.w_dim) != (config.num_ws, config.w_dim):
        raise MismatchError(
            f"{path} makes {encoder.config.num_ws} style vectors of width {encoder.config.w_dim}, but the "
            f"generator takes {config.num_ws} of width {config.w_dim}. Give --start an encoder made for it."
        )
    device = generator.w_avg.device
    return encoder.to(device).to(memory_format=torch.channels_last).train().requires_grad_(True)


def generated_faces(settings: EncoderFaces, generator: Generator, draw: Draw, seed: int) -> GeneratedFaces:
    return GeneratedFaces(generator, draw, settings.psi, settings.mixing, settings.noise_std, seed)


def image_folder(images: Aligned, generator: Generator) -> ImageFolder:
    size = min(generator.config.resolution, LARGEST_COMPARED)
    rows = generator.num_ws, generator.config.w_dim
    album = ImageFolder(find_pictures(images.folder), size, *rows, generator.w_avg.device)
    album.skipped |= dict(images.skipped)
    return album


def find_comparisons(settings: EncoderLosses, inputs: EncoderInputs) -> dict[str, Comparison]:
    """The losses on images that are on and have what they need."""
    found = {"l2": Comparison(settings.l2, losses.l2)}
    if inputs.perceptual is not None:
        found["perceptual"] = Comparison(settings.perceptual, inputs.perceptual)
    if inputs.identity is not None:
        found["identity"] = Comparison(settings.identity, losses.IdentityLoss(inputs.identity))
    return found


def find_perceptual(
    settings: EncoderLosses, weights: str | None, clip: str | None
) -> tuple[Lpips | ClipFeatureDistance | None, ClipModel | None]:
    """The perceptual distance, and the CLIP that it is of, if it is; for "auto" what is installed, else a warning.

    Raises InputError where the one asked for is missing.
    """
    asked = settings.perceptual_network
    if not settings.perceptual or asked == "none":
        return None, None
    if asked in ("alex", "vgg") or (asked == "auto" and has_lpips()):
        network = "vgg" if asked == "vgg" else "alex"
        path = Path(weights) if weights else cached_weights(network)
        if path is not None:
            return Lpips(network, path), None
    if clip is not None and asked in ("clip", "auto"):
        model = open_clip_model(clip, torch.device("cpu"))
        return ClipFeatureDistance(model), model
    if asked != "auto":
        raise InputError(
            f"--losses.perceptual-network {asked} needs {'--clip' if asked == 'clip' else '--perceptual-weights'} FILE."
        )
    warnings.warn(
        f"{NO_PERCEPTUAL} Give --perceptual-weights FILE (AlexNet), or --clip FILE with a ResNet.", stacklevel=2
    )
    return None, None
