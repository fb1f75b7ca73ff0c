"""What a motion's training is given: loaded, and checked to belong together before a step is taken."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from lga_core import ClipModel, Encoder, Generator, InputError, WPlus, load_faces, load_image
from lga_core.checkpoints import as_native
from lga_core.domain import DomainCard
from lga_core.formats import fingerprint
from lga_core.imaging import fit_square
from lga_core.latents import ModelId
from lga_core.metrics import LPIPS_WEIGHTS, ClipFeatureDistance, IdentityNetwork, Lpips, cached_weights, load_identity

from ..data.augmentation import at_score_size
from ..data.faces import FaceSet, noisy, sampled_faces
from ..data.prompts import Prompt, PromptSet, load_prompts
from ..domain_plugin import DEFAULT_PROMPTS, DomainPlugin
from ..metrics.judges import Judge
from .config import Faces, Losses
from .step import Draw
from .task import TrainingFaces


class MotionInputs(NamedTuple):
    """The frozen models, prompts and plugin of a run. Nothing of it is trained but copies.

    scorers: the CLIPs that score where motions end. encoder: inverts images, where they are given. identity: for the
    loss and the report. judge: for the report alone. perceptual: the perceptual distance, where that loss is on. codes:
    faces that were given.
    """

    name: str
    generator: Generator
    clip: ClipModel
    scorers: tuple[ClipModel, ...]
    prompts: PromptSet
    plugin: DomainPlugin
    encoder: Encoder | None
    identity: IdentityNetwork | None
    judge: Judge | None
    licence: str | None
    perceptual: Lpips | ClipFeatureDistance | None = None
    codes: WPlus | None = None


def find_prompts(given: str | None, card: DomainCard | None, plugin: DomainPlugin) -> PromptSet:
    """Those asked for; else the domain's, as its plugin or its card has them."""
    if given is not None or card is None or plugin.prompts != DEFAULT_PROMPTS:
        return load_prompts(given or plugin.prompts)
    wording = card.wording
    return PromptSet(card.name, wording.template, tuple(Prompt(p, s) for p, s in wording.sentences.items()))


def open_identity(path: str, cache: Path, device: torch.device) -> IdentityNetwork:
    """ArcFace IR-SE50. A foreign file is converted into `cache`."""
    return load_identity(as_native(path, "identity", cache)).to(device)


def check_batch(batch: int, count: int, prompts: PromptSet, repeats: bool) -> None:
    """Raise InputError where `count` processes need more prompts in a step than there are."""
    together, known = batch * count, len(prompts.prompts)
    if together > known and not repeats:
        raise InputError(
            f"A step takes {together} faces, each with a prompt of its own, but '{prompts.name}' has {known} "
            f"prompts. Take --batch {max(known // count, 1)} or less, more prompts, or --repeats."
        )


def find_perceptual(
    losses: Losses, weights: str | None, clips: Sequence[ClipModel], device: torch.device
) -> Lpips | ClipFeatureDistance | None:
    """The perceptual distance of the losses, if that loss is on. Raises InputError where its network is missing."""
    if not losses.perceptual:
        return None
    if losses.perceptual_network == "clip":
        for clip in clips:
            if hasattr(clip.model.visual, "layer4"):
                return ClipFeatureDistance(clip)
        raise InputError(
            "--losses.perceptual-network clip needs a CLIP with a ResNet, such as RN50, and none of those given is "
            "one. Take alex with --perceptual-weights FILE, or --losses.perceptual 0."
        )
    network = losses.perceptual_network
    path = Path(weights) if weights else cached_weights(network)
    if path is None:
        raise InputError(
            f"LPIPS on {network} needs its weights, which are not on this machine: give --perceptual-weights FILE "
            f"(torchvision's {LPIPS_WEIGHTS[network]}), or take --losses.perceptual-network clip."
        )
    return Lpips(network, path).to(device)


def load_codes(path: str, generator: Generator, name: str) -> WPlus:
    """W+ codes [n num_ws w_dim] from a file. Raises MismatchError for those of another generator."""
    faces = load_faces(path)
    faces.check_drawable(ModelId(fingerprint(generator), name), generator.num_ws)
    return faces.ws


def codes_fingerprint(ws: WPlus) -> str:
    return hashlib.sha256(ws.detach().cpu().float().contiguous().numpy().tobytes()).hexdigest()[:16]


def find_faces(
    inputs: MotionInputs, settings: Faces, seed: int, invert: Callable[[], FaceSet] | None = None
) -> FaceSet:
    """The faces to train on: given, from images (`invert`), the domain's own, or sampled; with noise if asked for."""
    return noisy(_find_faces(inputs, settings, seed, invert), settings.noise_std, seed)


def _find_faces(inputs: MotionInputs, settings: Faces, seed: int, invert: Callable[[], FaceSet] | None) -> FaceSet:
    generator = inputs.generator
    if inputs.codes is not None:
        return FaceSet(inputs.codes)
    if invert is not None:
        return invert()
    if inputs.plugin.faces is not None:
        w = inputs.plugin.faces(settings.count, seed).to(generator.w_avg)
        return FaceSet(generator.broadcast(w).contiguous())
    return sampled_faces(generator, settings.count, settings.psi, seed)


@torch.no_grad()
def prepare_faces(
    faces: FaceSet, draw: Draw, clip: ClipModel, losses: Losses, device: torch.device, *, embed: bool, chunk: int = 8
) -> TrainingFaces:
    """Draw every face once, and `embed` it with CLIP if motions start at the image too."""
    images, features = [], []
    for ws in faces.ws.split(chunk):
        drawn = at_score_size(draw(ws.to(device)), losses.score_size)
        images.append(drawn.half().cpu())
        features.append(clip.encode_images(drawn).cpu())
    drawn, inputs = torch.cat(images), torch.cat(images)
    if faces.pictures and losses.perceptual_against == "input":
        size = drawn.shape[-1]
        inputs = torch.cat([fit_square(load_image(path), size).half() for path in faces.pictures])
    return TrainingFaces(faces.ws.cpu(), drawn, inputs, torch.cat(features) if embed else None, faces.skipped)
