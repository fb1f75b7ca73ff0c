"""Nodes that load models: a whole domain at once, or its parts one by one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch

from ..lga_core import InputError, load_clip, load_encoder, load_generator, load_motion
from ..lga_core.domain import EMBEDDED, DomainCard, read_domain, read_motion_card
from ..lga_core.faces.detection import load_detector
from ..lga_core.formats import fingerprint, read_metadata
from ..lga_core.latents import ModelId
from ..lga_core.metrics import load_identity
from .files import ModelMenu, ReadsFile
from .host import Model, model_path
from .types import (
    CLIP,
    ENCODER,
    GENERATOR,
    IDENTITY,
    MOTION_MODEL,
    ROOT,
    LoadedClip,
    LoadedEncoder,
    LoadedGenerator,
    LoadedIdentity,
    LoadedMotionModel,
)
from .widgets import choices

_EMBEDDED = {f"{name} (embedded)": name for name in EMBEDDED}
FROM_FILE = "from the file"
ARCHITECTURES = (
    FROM_FILE,
    "RN50-quickgelu",
    "RN101-quickgelu",
    "RN50x4-quickgelu",
    "RN50x16-quickgelu",
    "ViT-B-32-quickgelu",
    "ViT-B-16-quickgelu",
    "ViT-L-14-quickgelu",
    "RN50",
    "RN101",
    "ViT-B-32",
    "ViT-B-16",
    "ViT-L-14",
)
OUTPUTS = {
    "generator": (
        GENERATOR,
        "The StyleGAN2 generator of this domain. Connect to Sample Face, Invert with e4e or Synthesize Frames.",
    ),
    "encoder": (ENCODER, "The encoder that inverts images of this domain. Connect to Invert with e4e."),
    "clip": (CLIP, "The CLIP model, which embeds text and images. Connect to Encode Text."),
    "motion_model": (
        MOTION_MODEL,
        "The motion model, which turns text into motion. Connect to Encode Text, Motion Rollout and Chain Expressions.",
    ),
}


@dataclass(frozen=True)
class DomainMenu(ModelMenu):
    """The embedded domains, then the domain.json files in the model folder."""

    others: tuple[str, ...] = tuple(_EMBEDDED)

    def card(self, entry: str) -> DomainCard:
        return read_domain(_EMBEDDED[entry] if entry in _EMBEDDED else model_path(self.folder, entry))

    def files(self, entry: str) -> list[Path]:
        card = self.card(entry)
        return [card.path, *card.files.values(), *filter(None, [card.detector])]


@dataclass(frozen=True)
class PartMenu(ModelMenu):
    """One `part` of each embedded domain, then the files in the model folder."""

    part: str = ""
    others: tuple[str, ...] = tuple(_EMBEDDED)

    def files(self, entry: str) -> list[Path]:
        card = self.card(entry)
        return super().files(entry) if card is None else [card.files[self.part]]

    def card(self, entry: str) -> DomainCard | None:
        """The embedded domain behind an entry; None for a file."""
        return read_domain(_EMBEDDED[entry]) if entry in _EMBEDDED else None


def _title(entry: str) -> str:
    """What a menu's entry is called in messages: 'doodle', 'ffhq'."""
    return _EMBEDDED.get(entry, Path(entry).stem)


class LoadsModel(ReadsFile):
    """A node that loads one model file, and converts it first if another project wrote it."""

    MENU: ClassVar[ModelMenu]
    CATEGORY = f"{ROOT}/loaders"
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {cls.MENU.name: cls.MENU.declared()}, "hidden": {"node": "UNIQUE_ID"}}


class LoadDomain(LoadsModel):
    DISPLAY_NAME = "Load Domain"
    DESCRIPTION = (
        "Load the generator, encoder, CLIP model and motion model of one domain: one kind of face, with models that "
        "were trained together. The 'doodle' domain is included. Put domains that you trained into models/lga/domains, "
        "each as a folder with its domain.json."
    )
    SEARCH_ALIASES = ["stylegan", "text to motion", "lga", "doodle", "face animation model"]
    RETURN_NAMES = tuple(OUTPUTS)
    RETURN_TYPES = tuple(kind for kind, _ in OUTPUTS.values())
    OUTPUT_TOOLTIPS = tuple(tooltip for _, tooltip in OUTPUTS.values())
    MENU: ClassVar[DomainMenu] = DomainMenu(
        "domain", "domains", "Domain. 'doodle' is included; others are in models/lga/domains."
    )

    @torch.inference_mode(False)
    def load(self, domain, node=None):
        card = self.MENU.card(domain)
        generator = _in_domain(_generator(card.files["generator"], card.name), card)
        card.generator.check(generator.identity, "This domain.json is for the generator", "the file beside it is")
        encoder = _encoder(card.files["encoder"], card.name)
        encoder.check_fits(generator)
        clip = _clip(card.files["clip"])
        motion_model = LoadedMotionModel(Model(load_motion(card.files["motion"])), card.name, card.motion)
        motion_model.check_clip(clip.identity, clip.model.module.embed_dim)
        return generator, encoder, clip, motion_model


class LoadStyleGAN(LoadsModel):
    DISPLAY_NAME = "Load StyleGAN"
    DESCRIPTION = (
        "Load a StyleGAN2 generator, which draws the faces. The 'doodle' generator is included. Put your own into "
        "models/lga/generators; models/stylegan is searched too."
    )
    SEARCH_ALIASES = ["stylegan2", "gan", "generator", "ffhq", "load model"]
    RETURN_TYPES, RETURN_NAMES = (GENERATOR,), ("generator",)
    OUTPUT_TOOLTIPS = (OUTPUTS["generator"][1],)
    MENU: ClassVar[PartMenu] = PartMenu(
        "generator",
        "generators",
        "Generator file in models/lga/generators or models/stylegan. 'doodle' is included.",
        part="generator",
    )

    @torch.inference_mode(False)
    def load(self, generator, node=None):
        loaded = _generator(self.MENU.native(generator, "generator", node), _title(generator))
        card = self.MENU.card(generator)
        return (loaded if card is None else _in_domain(loaded, card),)


class LoadEncoder(LoadsModel):
    DISPLAY_NAME = "Load e4e Encoder"
    DESCRIPTION = (
        "Load an e4e encoder, which inverts images: it maps a face image to the generator's W+ code. It must have been "
        "trained for the generator you use. Put your own into models/lga/encoders."
    )
    SEARCH_ALIASES = ["e4e", "encoder4editing", "psp", "inversion", "encoder"]
    RETURN_TYPES, RETURN_NAMES = (ENCODER,), ("encoder",)
    OUTPUT_TOOLTIPS = (OUTPUTS["encoder"][1],)
    MENU: ClassVar[PartMenu] = PartMenu(
        "encoder", "encoders", "Encoder file in models/lga/encoders. 'doodle' is included.", part="encoder"
    )

    @torch.inference_mode(False)
    def load(self, encoder, node=None):
        return (_encoder(self.MENU.native(encoder, "encoder", node), _title(encoder)),)


class LoadCLIP(LoadsModel):
    DISPLAY_NAME = "Load CLIP for Motion"
    DESCRIPTION = (
        "Load the CLIP model that embeds the text. A motion model works only with the CLIP model it was trained with. "
        "This is not the text encoder of a diffusion checkpoint. Put your own into models/lga/clip."
    )
    SEARCH_ALIASES = ["open_clip", "text encoder", "clip loader"]
    RETURN_TYPES, RETURN_NAMES = (CLIP,), ("clip",)
    OUTPUT_TOOLTIPS = (OUTPUTS["clip"][1],)
    MENU: ClassVar[PartMenu] = PartMenu(
        "clip", "clip", "CLIP file in models/lga/clip. 'doodle' is included.", part="clip"
    )

    @classmethod
    def INPUT_TYPES(cls):
        declared = super().INPUT_TYPES()
        declared["required"]["architecture"] = choices(
            ARCHITECTURES,
            "Architecture of the CLIP file, by its open_clip name. 'from the file' reads it from files of this "
            "project. OpenAI's weights need a name that ends in -quickgelu.",
        )
        return declared

    @torch.inference_mode(False)
    def load(self, clip, architecture, node=None):
        if clip in _EMBEDDED and architecture != FROM_FILE:
            raise InputError(
                f"The CLIP model '{clip}' has an architecture of its own, not {architecture}. Choose '{FROM_FILE}'."
            )
        own = architecture == FROM_FILE
        return (_clip(self.MENU.native(clip, "clip", node) if own else self.MENU.files(clip)[0], architecture),)


class LoadMotionModel(LoadsModel):
    DISPLAY_NAME = "Load Motion Model"
    DESCRIPTION = (
        "Load a motion model: the recurrent network that turns text into motion, trained for one generator and one "
        "CLIP model. Put your own into models/lga/motion."
    )
    SEARCH_ALIASES = ["animator", "recurrent", "expression model", "text to motion"]
    RETURN_TYPES, RETURN_NAMES = (MOTION_MODEL,), ("motion_model",)
    OUTPUT_TOOLTIPS = (OUTPUTS["motion_model"][1],)
    MENU: ClassVar[PartMenu] = PartMenu(
        "motion_model", "motion", "Motion model file in models/lga/motion. 'doodle' is included.", part="motion"
    )

    @torch.inference_mode(False)
    def load(self, motion_model, node=None):
        path = self.MENU.native(motion_model, "animator", node)
        domain = self.MENU.card(motion_model)
        card = read_motion_card(path) if domain is None else domain.motion
        return (LoadedMotionModel(Model(load_motion(path)), _title(motion_model), card),)


class LoadIdentity(LoadsModel):
    DISPLAY_NAME = "Load Identity Network"
    DESCRIPTION = (
        "Load a face recognition network (ArcFace IR-SE50), which measures identity similarity for Identity Lock, "
        "Refine Inversion and Measure Animation. It is not included: put model_ir_se50.pth into models/lga/identity."
    )
    SEARCH_ALIASES = ["arcface", "face recognition", "face similarity", "insightface"]
    RETURN_TYPES, RETURN_NAMES = (IDENTITY,), ("identity",)
    OUTPUT_TOOLTIPS = ("The network. Connect to Identity Lock, Refine Inversion or Measure Animation.",)
    MENU = ModelMenu("identity", "identity", "Face recognition network, a file in models/lga/identity.")

    @torch.inference_mode(False)
    def load(self, identity, node=None):
        return (LoadedIdentity(Model(load_identity(self.MENU.native(identity, "identity", node))), _title(identity)),)


def _generator(path: Path, name: str) -> LoadedGenerator:
    generator = load_generator(path)
    return LoadedGenerator(Model(generator), ModelId(fingerprint(generator), name))


def _in_domain(generator: LoadedGenerator, card: DomainCard) -> LoadedGenerator:
    """The generator, with the framing of its domain's faces and the domain's own face detector."""
    detector = None if card.detector is None else Model(load_detector(card.detector))
    return replace(generator, framing=card.framing, detector=detector)


def _encoder(path: Path, name: str) -> LoadedEncoder:
    return LoadedEncoder(Model(load_encoder(path)), name, ModelId.in_metadata(read_metadata(path, "encoder")))


def _clip(path: Path, architecture: str = FROM_FILE) -> LoadedClip:
    clip = load_clip(path) if architecture == FROM_FILE else load_clip(architecture, path)
    return LoadedClip(Model(clip), ModelId(clip.fingerprint, clip.name))
