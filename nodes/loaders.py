"""Nodes that load models: a whole domain at once, or its parts one by one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from ..lga_core import InputError, load_clip, load_encoder, load_generator, load_motion
from ..lga_core.domain import EMBEDDED, DomainCard, read_domain, read_motion_card
from ..lga_core.faces.detection import load_detector
from ..lga_core.formats import fingerprint, read_metadata
from ..lga_core.latents import ModelId
from ..lga_core.metrics import load_identity
from .host import Model, choices, file_state, missing_model, model_files, model_path, native_path
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
)
from .types import LoadedMotionModel as Loaded

CATEGORY = f"{ROOT}/loaders"
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
        "The StyleGAN2 that draws this domain's faces. To Sample Face, Invert, Synthesize Frames.",
    ),
    "encoder": (ENCODER, "Finds the face in a picture. To Invert with e4e."),
    "clip": (CLIP, "Reads words and pictures. To Encode Text."),
    "motion_model": (MOTION_MODEL, "Turns text into motion. To Encode Text, Motion Rollout, Chain Expressions."),
}


def _menu(folder: str) -> list[str]:
    return [*_EMBEDDED, *model_files(folder)]


def _find(folder: str, part: str, name: str) -> Path:
    """The file behind a menu's entry: an embedded domain's part, or a file in the model folder."""
    if name in _EMBEDDED:
        return read_domain(_EMBEDDED[name]).files[part]
    return model_path(folder, name)


def _native(folder: str, part: str, name: str, node: str | None) -> Path:
    """The same, converted if another project wrote it."""
    kind = "animator" if part == "motion" else part
    return native_path(_find(folder, part, name), kind, node)


def _valid(folder: str, name: str | None) -> bool | str:
    """For VALIDATE_INPUTS. A name that comes from another node (None) is not known yet."""
    return name is None or name in _EMBEDDED or missing_model(folder, name) or True


def _title(name: str) -> str:
    """What a menu's entry is called in messages: 'doodle', 'ffhq'."""
    return _EMBEDDED.get(name, Path(name).stem)


def _generator(path: Path, name: str) -> LoadedGenerator:
    generator = load_generator(path)
    return LoadedGenerator(Model(generator), ModelId(fingerprint(generator), name))


def _placed(generator: LoadedGenerator, card: DomainCard) -> LoadedGenerator:
    """The generator, with what its domain knows of where faces are."""
    finder = None if card.finder is None else Model(load_detector(card.finder))
    return replace(generator, framing=card.framing, finder=finder)


def _encoder(path: Path, name: str) -> LoadedEncoder:
    said = read_metadata(path, "encoder")
    made_for = said.get("generator_fingerprint")
    identity = None if made_for is None else ModelId(str(made_for), str(said.get("generator", "its own")))
    return LoadedEncoder(Model(load_encoder(path)), name, identity)


def _clip(path: Path, architecture: str = FROM_FILE) -> LoadedClip:
    clip = load_clip(path) if architecture == FROM_FILE else load_clip(architecture, path)
    return LoadedClip(Model(clip), ModelId(clip.fingerprint, clip.name))


class LoadDomain:
    DESCRIPTION = (
        "Load everything that one kind of face needs: generator, encoder, CLIP and motion model, made for each other. "
        "The embedded 'doodle' domain needs no file. Your own domains, as the trainer makes them, go into "
        "models/lga/domains, a folder each with its domain.json."
    )
    SEARCH_ALIASES = ["stylegan", "text to motion", "lga", "doodle", "face animation model"]
    CATEGORY = CATEGORY
    RETURN_NAMES = tuple(OUTPUTS)
    RETURN_TYPES = tuple(kind for kind, _ in OUTPUTS.values())
    OUTPUT_TOOLTIPS = tuple(tooltip for _, tooltip in OUTPUTS.values())
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls):
        tooltip = "The domain. 'doodle' comes with this pack; others lie in models/lga/domains."
        return {"required": {"domain": choices(_menu("domains"), tooltip)}}

    @classmethod
    def VALIDATE_INPUTS(cls, domain):
        return _valid("domains", domain)

    @classmethod
    def IS_CHANGED(cls, domain):
        card = cls._card(domain)
        return file_state(card.path, *card.files.values(), *filter(None, [card.finder]))

    @staticmethod
    def _card(domain: str):
        return read_domain(_EMBEDDED[domain] if domain in _EMBEDDED else model_path("domains", domain))

    @torch.inference_mode(False)
    def load(self, domain):
        card = self._card(domain)
        generator = _placed(_generator(card.files["generator"], card.name), card)
        card.generator.check(generator.identity, "This domain.json is for the generator", "the file beside it is")
        encoder = _encoder(card.files["encoder"], card.name)
        encoder.check_fits(generator)
        clip = _clip(card.files["clip"])
        motion_model = Loaded(Model(load_motion(card.files["motion"])), card.name, card.motion)
        motion_model.check_clip(clip.identity, clip.model.module.embed_dim)
        return generator, encoder, clip, motion_model


class LoadStyleGAN:
    DESCRIPTION = (
        "Load a StyleGAN2 generator, which draws the faces. The embedded 'doodle' needs no file; your own go into "
        "models/lga/generators (models/stylegan is searched too)."
    )
    SEARCH_ALIASES = ["stylegan2", "gan", "generator", "ffhq", "load model"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (GENERATOR,), ("generator",)
    OUTPUT_TOOLTIPS = (OUTPUTS["generator"][1],)
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls):
        tooltip = "The generator's file, in models/lga/generators or models/stylegan. 'doodle' comes with this pack."
        return {"required": {"generator": choices(_menu("generators"), tooltip)}, "hidden": {"node": "UNIQUE_ID"}}

    @classmethod
    def VALIDATE_INPUTS(cls, generator):
        return _valid("generators", generator)

    @classmethod
    def IS_CHANGED(cls, generator, node=None):
        return file_state(_find("generators", "generator", generator))

    @torch.inference_mode(False)
    def load(self, generator, node=None):
        loaded = _generator(_native("generators", "generator", generator, node), _title(generator))
        embedded = _EMBEDDED.get(generator)
        return (loaded if embedded is None else _placed(loaded, read_domain(embedded)),)


class LoadEncoder:
    DESCRIPTION = (
        "Load the e4e encoder that finds a face in a picture. It must have been made for the generator you use. Your "
        "own go into models/lga/encoders."
    )
    SEARCH_ALIASES = ["e4e", "encoder4editing", "psp", "inversion", "encoder"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (ENCODER,), ("encoder",)
    OUTPUT_TOOLTIPS = (OUTPUTS["encoder"][1],)
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls):
        tooltip = "The encoder's file, in models/lga/encoders. 'doodle' comes with this pack."
        return {"required": {"encoder": choices(_menu("encoders"), tooltip)}, "hidden": {"node": "UNIQUE_ID"}}

    @classmethod
    def VALIDATE_INPUTS(cls, encoder):
        return _valid("encoders", encoder)

    @classmethod
    def IS_CHANGED(cls, encoder, node=None):
        return file_state(_find("encoders", "encoder", encoder))

    @torch.inference_mode(False)
    def load(self, encoder, node=None):
        return (_encoder(_native("encoders", "encoder", encoder, node), _title(encoder)),)


class LoadCLIP:
    DESCRIPTION = (
        "Load the CLIP model that reads the words. A motion model understands only the CLIP model it was trained with. "
        "This is not the CLIP of a diffusion checkpoint. Your own go into models/lga/clip."
    )
    SEARCH_ALIASES = ["open_clip", "text encoder", "clip loader"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (CLIP,), ("clip",)
    OUTPUT_TOOLTIPS = (OUTPUTS["clip"][1],)
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "clip": choices(
                    _menu("clip"), "The CLIP model's file, in models/lga/clip. 'doodle' comes with this pack."
                ),
                "architecture": choices(
                    ARCHITECTURES,
                    "Which model the file holds. 'from the file' for files of this project, which say so themselves; "
                    "else its open_clip name. OpenAI's weights need a name that ends in -quickgelu.",
                ),
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, clip):
        return _valid("clip", clip)

    @classmethod
    def IS_CHANGED(cls, clip, architecture, node=None):
        return file_state(_find("clip", "clip", clip))

    @torch.inference_mode(False)
    def load(self, clip, architecture, node=None):
        if clip in _EMBEDDED and architecture != FROM_FILE:
            raise InputError(f"'{clip}' is a CLIP model of its own, not {architecture}. Choose '{FROM_FILE}' for it.")
        path = _find("clip", "clip", clip)
        if architecture == FROM_FILE:
            path = native_path(path, "clip", node)
        return (_clip(path, architecture),)


class LoadMotionModel:
    DESCRIPTION = (
        "Load the motion model: the recurrent network that turns text into motion, trained for one generator and one "
        "CLIP model. Your own go into models/lga/motion."
    )
    SEARCH_ALIASES = ["animator", "recurrent", "expression model", "text to motion"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (MOTION_MODEL,), ("motion_model",)
    OUTPUT_TOOLTIPS = (OUTPUTS["motion_model"][1],)
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls):
        tooltip = "The motion model's file, in models/lga/motion. 'doodle' comes with this pack."
        return {"required": {"motion_model": choices(_menu("motion"), tooltip)}, "hidden": {"node": "UNIQUE_ID"}}

    @classmethod
    def VALIDATE_INPUTS(cls, motion_model):
        return _valid("motion", motion_model)

    @classmethod
    def IS_CHANGED(cls, motion_model, node=None):
        return file_state(_find("motion", "motion", motion_model))

    @torch.inference_mode(False)
    def load(self, motion_model, node=None):
        path = _native("motion", "motion", motion_model, node)
        embedded = _EMBEDDED.get(motion_model)
        card = read_motion_card(path) if embedded is None else read_domain(embedded).motion
        return (Loaded(Model(load_motion(path)), _title(motion_model), card),)


class LoadIdentity:
    DESCRIPTION = (
        "Load a network that tells people apart (ArcFace's IR-SE50), for Identity Lock and Refine Inversion. Bring "
        "model_ir_se50.pth and put it into models/lga/identity."
    )
    SEARCH_ALIASES = ["arcface", "face recognition", "face similarity", "insightface"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (IDENTITY,), ("identity",)
    OUTPUT_TOOLTIPS = ("Knows people. To Identity Lock and Refine Inversion.",)
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls):
        tooltip = "The network's file, in models/lga/identity."
        return {
            "required": {"identity": choices(model_files("identity"), tooltip)},
            "hidden": {"node": "UNIQUE_ID"},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, identity):
        return identity is None or missing_model("identity", identity) or True

    @classmethod
    def IS_CHANGED(cls, identity, node=None):
        return file_state(model_path("identity", identity))

    @torch.inference_mode(False)
    def load(self, identity, node=None):
        path = native_path(model_path("identity", identity), "identity", node)
        return (LoadedIdentity(Model(load_identity(path)), Path(identity).stem),)
