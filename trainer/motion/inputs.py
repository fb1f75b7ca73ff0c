"""What a motion's training is made of: found, loaded, and checked to belong together before a step is taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lga_core import ClipModel, Generator, InputError, load_faces, load_image
from lga_core.checkpoints import as_native
from lga_core.domain import DomainCard
from lga_core.formats import fingerprint
from lga_core.imaging import fit_square
from lga_core.latents import ModelId
from lga_core.metrics import LPIPS_WEIGHTS, ClipFeatureDistance, IdentityNetwork, Lpips, cached_weights, load_identity

from ..data.alignment import framer_of
from ..data.augmentation import at_score_size
from ..data.faces import FaceSet, noisy, sampled_faces
from ..data.frozen_models import check_drawing, find_generator, open_clip_model
from ..data.inverted_faces import faces_of_pictures
from ..data.prompts import Prompt, PromptSet, load_prompts
from ..domain_plugin import DEFAULT_PROMPTS, DomainPlugin, find_judge, plugin_of
from ..metrics.judges import Judge
from ..training.distributed import Workers
from ..training.run_folder import RunFolder
from .config import MotionRun
from .step import Draw
from .task import TrainingFaces


class Parts(NamedTuple):
    """What a run is made of, loaded and found to belong together. Nothing of it is trained but copies."""

    name: str
    generator: Generator
    clip: ClipModel
    scorers: tuple[ClipModel, ...]
    prompts: PromptSet
    plugin: DomainPlugin
    encoder_path: Path | None
    identity: IdentityNetwork | None
    judge: Judge | None
    licence: str | None


def load_parts(run: MotionRun, device: torch.device, plugin: DomainPlugin | None = None) -> Parts:
    """The generator, CLIPs and prompts of a run. `plugin`: the domain's, if not found by its generator.

    Raises InputError, CheckpointError or MismatchError.
    """
    name, generator, card, licence = find_generator(run.generator, Path(run.out), device)
    if run.clip is None and card is None:
        raise InputError(
            "Which CLIP? Give --clip a file, such as RN50-quickgelu=RN50.pt (open_clip's name of the model, then its "
            "weights)."
        )
    clip = open_clip_model(str(card.files["clip"]) if run.clip is None and card else str(run.clip), device)
    plugin = plugin_of(generator) if plugin is None else plugin
    scorers = [open_clip_model(name, device) for name in run.score_clips or plugin.scorers]
    prompts = _prompts(run, card, plugin)
    prompts.check_words(clip)
    encoder = run.encoder or (card.files["encoder"] if card else None)
    return Parts(
        name=run.name or name,
        generator=generator,
        clip=clip,
        scorers=tuple(scorers if run.score_clips else [clip, *scorers]),
        prompts=prompts,
        plugin=plugin,
        encoder_path=None if encoder is None else Path(encoder),
        identity=None if run.identity_network is None else open_identity(run, device),
        judge=find_judge(fingerprint(generator), Path(run.blendshapes) if run.blendshapes else None),
        licence=licence,
    )


def _prompts(run: MotionRun, card: DomainCard | None, plugin: DomainPlugin) -> PromptSet:
    """Those asked for; else the domain's, as its plugin or its card has them."""
    if run.prompts is not None or card is None or plugin.prompts != DEFAULT_PROMPTS:
        return load_prompts(run.prompts or plugin.prompts)
    wording = card.wording
    return PromptSet(card.name, wording.template, tuple(Prompt(p, s) for p, s in wording.sentences.items()))


def open_identity(run: MotionRun, device: torch.device) -> IdentityNetwork:
    assert run.identity_network is not None
    return load_identity(as_native(run.identity_network, "identity", Path(run.out) / "converted")).to(device)


def check_sizes(run: MotionRun, parts: Parts, workers: Workers) -> None:
    """Raise InputError where settings contradict what the parts are."""
    together, known = run.batch * workers.count, len(parts.prompts.prompts)
    if together > known and not run.repeats:
        raise InputError(
            f"A step takes {together} faces, each with a prompt of its own, but '{parts.prompts.name}' has {known} "
            f"prompts. Take --batch {max(known // workers.count, 1)} or less, more prompts, or --repeats."
        )
    if run.losses.perceptual and run.losses.perceptual_network == "clip" and _resnet(parts) is None:
        raise InputError(
            "--losses.perceptual-network clip needs a CLIP with a ResNet, such as RN50, and none of those given is "
            "one. Take alex with --perceptual-weights FILE, or --losses.perceptual 0."
        )
    check_drawing(run.optimizer, parts.generator)


def _resnet(parts: Parts) -> ClipModel | None:
    """The first CLIP that has convolutional stages."""
    for clip in (parts.clip, *parts.scorers):
        if hasattr(clip.model.visual, "layer4"):
            return clip
    return None


def find_faces(run: MotionRun, parts: Parts, folder: RunFolder, workers: Workers) -> FaceSet:
    """The faces to train on."""
    return noisy(_find_faces(run, parts, folder, workers), run.faces.noise_std, run.seed)


def _find_faces(run: MotionRun, parts: Parts, folder: RunFolder, workers: Workers) -> FaceSet:
    """Given, sampled, or found in pictures."""
    generator = parts.generator
    if run.codes is not None:
        faces = load_faces(run.codes)
        faces.check_drawable(ModelId(fingerprint(generator), parts.name), generator.num_ws)
        return FaceSet(faces.ws)
    if run.images is None:
        if parts.plugin.faces is not None:
            w = parts.plugin.faces(run.faces.count, run.seed).to(generator.w_avg)
            return FaceSet(generator.broadcast(w).contiguous())
        return sampled_faces(generator, run.faces.count, run.faces.psi, run.seed)
    framer = framer_of(run.generator, generator.config.resolution) if run.align else None
    return faces_of_pictures(Path(run.images), parts.encoder_path, generator, folder, workers, framer)


@torch.no_grad()
def prepare_sources(
    run: MotionRun, faces: FaceSet, draw: Draw, clip: ClipModel, device: torch.device, chunk: int = 8
) -> TrainingFaces:
    """Draw and embed every face once."""
    pictures, features = [], []
    for ws in faces.ws.split(chunk):
        drawn = at_score_size(draw(ws.to(device)), run.losses.score_size)
        pictures.append(drawn.half().cpu())
        features.append(clip.encode_images(drawn).cpu())
    drawn, inputs = torch.cat(pictures), torch.cat(pictures)
    if faces.pictures and run.losses.perceptual_against == "input":
        size = drawn.shape[-1]
        inputs = torch.cat([fit_square(load_image(path), size).half() for path in faces.pictures])
    return TrainingFaces(faces.ws.cpu(), drawn, inputs, torch.cat(features) if run.model.picture else None)


def perceptual_distance(run: MotionRun, parts: Parts) -> Callable[[Tensor, Tensor], Tensor] | None:
    if not run.losses.perceptual:
        return None
    if run.losses.perceptual_network == "clip":
        resnet = _resnet(parts)
        assert resnet is not None
        return ClipFeatureDistance(resnet)
    network = run.losses.perceptual_network
    weights = Path(run.perceptual_weights) if run.perceptual_weights else cached_weights(network)
    if weights is None:
        raise InputError(
            f"LPIPS on {network} needs its weights, which are not on this machine: give --perceptual-weights FILE "
            f"(torchvision's {LPIPS_WEIGHTS[network]}), or take --losses.perceptual-network clip."
        )
    return Lpips(network, weights).to(parts.generator.w_avg.device)
