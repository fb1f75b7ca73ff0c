"""`lga train encoder`: everything that a run needs is found and checked, then trained, then written and reported on."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lga_core import Encoder, Generator, InputError, MismatchError, OutputError, load_encoder
from lga_core.checkpoints import as_native, save_encoder
from lga_core.formats import fingerprint
from lga_core.metrics import ClipFeatureDistance, Lpips, cached_weights, has_lpips, load_identity

from ..data.alignment import Aligned, aligned, framer_of
from ..data.faces import find_pictures
from ..data.frozen_models import arranged, check_drawing, find_generator, open_clip_model, precision
from ..data.images import LARGEST_COMPARED, Draw, GeneratedFaces, ImageFolder, MixedFaces, Pictures
from ..reports.page import write_report
from ..training.distributed import Workers
from ..training.loop import LoopSchedule, train
from ..training.provenance import made, versions
from ..training.run_folder import RunFolder
from . import losses
from .config import EncoderRun
from .metrics import encoder_sheet, held_out_metrics
from .sizes import encoder_config, fresh_encoder
from .task import Comparison, EncoderTask

__all__ = ["EncoderRun", "EncoderTask", "train_encoder"]

RESULT = "encoder.safetensors"
SOFTER = "There is no network for a perceptual loss: pixels alone are compared, which makes softer faces."


class Domain(NamedTuple):
    """The generator that an encoder is trained for; `draw`: the same, arranged for training. `clip`: the domain's."""

    name: str
    generator: Generator
    draw: Draw
    licence: str | None
    clip: Path | None = None


def train_encoder(run: EncoderRun) -> Path:
    """Train as `run` says, from the state in its folder if there is one; the encoder's file.

    Raises an LgaError for whatever a person can put right, and loop.Stopped when a person stops it.
    """
    torch.use_deterministic_algorithms(run.optimizer.deterministic)
    workers, folder = Workers(run.device), RunFolder(Path(run.out))
    domain, dtype = load_domain(run, workers.device), precision(run.optimizer, workers.device)
    encoder = begin(run, domain.generator)
    comparisons = find_comparisons(run, domain)
    with workers.after_the_first():
        faces = find_faces(run, domain)
    task = EncoderTask(run, encoder, domain.generator, domain.draw, faces, comparisons, dtype)
    path = carry_out(task, domain, folder, workers)
    workers.end()
    return path


def carry_out(task: EncoderTask, domain: Domain, folder: RunFolder, workers: Workers) -> Path:
    """Train a task, then write its encoder and the report into the folder; the encoder's file."""
    path = folder.path / RESULT
    with folder.locked() if workers.is_first else nullcontext():
        if workers.is_first:
            folder.keep_config(described(task.run, domain))
        workers.wait()
        seconds = train(
            task,
            folder,
            LoopSchedule.of(task.run.steps, task.run.optimizer.accumulate, task.run.watch),
            workers,
            f"Encoder for {domain.name}",
        )
        if workers.is_first:
            figures = measure(task, domain)
            save_result(path, task, domain, figures, seconds)
            report(task, domain, folder, figures, seconds)
        workers.wait()
    return path


# What goes in


def load_domain(run: EncoderRun, device: torch.device) -> Domain:
    """The generator of a run. Raises InputError or CheckpointError."""
    name, generator, card, licence = find_generator(run.generator, Path(run.out), device)
    check_drawing(run.optimizer, generator)
    return Domain(name, generator, arranged(generator, run.optimizer), licence, card and card.files["clip"])


def begin(run: EncoderRun, generator: Generator) -> Encoder:
    """The encoder to train: a fresh one, or that of `--start`."""
    device, config = generator.w_avg.device, generator.config
    if run.start is None:
        return fresh_encoder(encoder_config(run.size, config), generator.w_avg, run.seed)
    encoder = load_encoder(as_native(run.start, "encoder", Path(run.out) / "converted"))
    if (encoder.config.num_ws, encoder.config.w_dim) != (config.num_ws, config.w_dim):
        raise MismatchError(
            f"{run.start} makes {encoder.config.num_ws} style vectors of width {encoder.config.w_dim}, but the "
            f"generator draws from {config.num_ws} of width {config.w_dim}. Begin from an encoder made for it."
        )
    return encoder.to(device).to(memory_format=torch.channels_last).train().requires_grad_(True)


def find_faces(run: EncoderRun, domain: Domain) -> Pictures:
    """Generated faces, pictures, or both."""
    faces, generator = run.faces, domain.generator
    generated = GeneratedFaces(generator, domain.draw, faces.psi, faces.mixing, faces.noise_std, run.seed)
    if run.images is None:
        return generated
    size = min(generator.config.resolution, LARGEST_COMPARED)
    rows = generator.num_ws, generator.config.w_dim
    images = Aligned(Path(run.images), ())
    if run.align:
        framer = framer_of(run.generator, generator.config.resolution)
        images = aligned(images.folder, Path(run.out) / "aligned", framer)
    album = ImageFolder(find_pictures(images.folder), size, *rows, generator.w_avg.device)
    album.skipped |= dict(images.skipped)
    return MixedFaces(generated, album, faces.images_share) if faces.images_share < 1 else album


def find_comparisons(run: EncoderRun, domain: Domain) -> dict[str, Comparison]:
    """The losses on pictures that are on and have what they need."""
    device = domain.generator.w_avg.device
    found = {"l2": Comparison(run.losses.l2, losses.l2)}
    if (perceptual := find_perceptual(run, domain.clip)) is not None:
        found["perceptual"] = Comparison(run.losses.perceptual, perceptual.to(device))
    if run.identity_network is not None:
        network = load_identity(as_native(run.identity_network, "identity", Path(run.out) / "converted"))
        found["identity"] = Comparison(run.losses.identity, losses.Unlike(network.to(device)))
    return found


def find_perceptual(run: EncoderRun, domain_clip: Path | None) -> Lpips | ClipFeatureDistance | None:
    """The perceptual distance that is asked for; of "auto" what is at hand, with a warning if nothing is."""
    asked, clip = run.losses.perceptual_network, run.clip or domain_clip
    if not run.losses.perceptual or asked == "none":
        return None
    if asked in ("alex", "vgg") or (asked == "auto" and has_lpips()):
        network = "vgg" if asked == "vgg" else "alex"
        weights = Path(run.perceptual_weights) if run.perceptual_weights else cached_weights(network)
        if weights is not None:
            return Lpips(network, weights)
    if clip is not None and asked in ("clip", "auto"):
        return ClipFeatureDistance(open_clip_model(str(clip), torch.device("cpu")))
    if asked != "auto":
        raise InputError(
            f"--losses.perceptual-network {asked} needs {'--clip' if asked == 'clip' else '--perceptual-weights'} FILE."
        )
    warnings.warn(f"{SOFTER} Give --perceptual-weights FILE (AlexNet), or --clip FILE with a ResNet.", stacklevel=2)
    return None


# What comes out


def measure(task: EncoderTask, domain: Domain) -> dict[str, Any]:
    """Figures of the encoder on pictures that no step has shown, by the networks that its losses used."""
    compare = {name: each.distance for name, each in task.comparisons.items()}
    perceptual, unlike = compare.get("perceptual"), compare.get("identity")
    return held_out_metrics(
        task.result(),
        domain.generator,
        domain.draw,
        task.pictures,
        task.run.watch.report_faces,
        perceptual.each if isinstance(perceptual, Lpips) else None,
        unlike.recognise if isinstance(unlike, losses.Unlike) else None,
    )


def save_result(path: Path, task: EncoderTask, domain: Domain, figures: Mapping[str, Any], seconds: float) -> None:
    """The encoder in half precision, unless a number is too large for it."""
    said = {
        "generator": domain.name,
        "generator_fingerprint": fingerprint(domain.generator),
        "steps": task.run.steps,
        "training": described(task.run, domain),
        "figures": dict(figures),
        "made": made(seconds),
        **({"generator_licence": domain.licence} if domain.licence else {}),
    }
    encoder = task.result()
    with suppress(OutputError):
        return save_encoder(path, encoder, half=True, **said)
    return save_encoder(path, encoder, **said)


def report(task: EncoderTask, domain: Domain, folder: RunFolder, figures: dict[str, Any], seconds: float) -> None:
    config, sheet = task.encoder.config, folder.path / "sheet.png"
    encoder_sheet(task.result(), domain.draw, task.pictures, sheet)
    millions = sum(parameter.numel() for parameter in task.encoder.parameters()) / 1e6
    facts = {
        "generator": f"{domain.name}, {domain.generator.config.resolution} px",
        "encoder": f"{millions:.1f} million parameters, {config.heads} heads, sees {config.input_size} px",
        "losses": ", ".join(task.objectives[0].weights(task.run.steps)),
        "steps": f"{task.run.steps} of {task.run.batch} pictures",
        "time": f"{seconds / 60:.0f} minutes",
        **versions(),
        **({"licence of the generator": domain.licence} if domain.licence else {}),
    }
    perceptual, notes = task.comparisons.get("perceptual"), list(task.pictures.notes)
    if perceptual is not None:
        facts["perceptual loss"] = getattr(perceptual.distance, "label", "")
    elif task.run.losses.perceptual:
        notes.append(SOFTER)
    shown = [("Pictures that were not trained on, over what the generator makes of their codes", sheet)]
    write_report(folder.path, f"Encoder for {domain.name}", facts, figures, shown, notes)


def described(run: EncoderRun, domain: Domain) -> dict[str, Any]:
    """The settings as JSON, with the generator's fingerprint for its file's name."""
    settings = json.loads(json.dumps(asdict(run)))
    settings["generator"] = {"name": domain.name, "fingerprint": fingerprint(domain.generator)}
    return settings
