"""Nodes of StyleCLIP, the baseline that edits faces by words. Each gives a motion as ours is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from ..lga_core import Faces, Generator, Images, InputError, MismatchError, Movement, WPlus
from ..lga_core.baselines.styleclip import (
    OPTIMIZATIONS,
    LatentOptimization,
    StyleDirection,
    Survey,
    imagenet_sentences,
    optimize_latent,
    relevance,
    straight,
    style_direction,
    text_direction,
)
from ..lga_core.checkpoints import load_latent_mapper
from ..lga_core.formats import read_metadata
from ..lga_core.imaging import to_nchw
from ..lga_core.metrics import find_identity_similarity, has_stages
from ..lga_core.rendering import draw, frame_bytes
from ..lga_core.stylegan2 import StyleSpace
from .faces import portraits, stepping
from .files import chosen, file_or, state, valid
from .host import Model, Progress, choices, kept_folder, make_ready, result_device, say, warnings_caught
from .motion import MOTION_TOOLTIP
from .types import CLIP, FACES, GENERATOR, IDENTITY, MOTION, ROOT, LoadedClip, LoadedGenerator, LoadedIdentity

CATEGORY = f"{ROOT}/motion"
NO_MAPPER, MAPPERS = "none: optimise", "mappers"
AS_TRAINED, AS_PUBLISHED = "as CLIP learned them", "as published"
AS_WRITTEN, OF_PHOTOS = "as written", "80 sentences of photos"
FRAMES: dict[str, Any] = {
    "default": 16,
    "min": 1,
    "max": 10000,
    "tooltip": "How many frames the straight way to the edited face takes. It goes as far at any number.",
}


def _words(default: str, tooltip: str) -> tuple[str, dict[str, Any]]:
    return ("STRING", {"default": default, "multiline": True, "dynamicPrompts": False, "tooltip": tooltip})


class StyleClipEdit:
    DESCRIPTION = (
        "The baseline StyleCLIP: change the face until CLIP sees the words in its picture, and go there in a straight "
        "line. It takes a hundred steps and more for every face and every text, where Motion Rollout takes none. Or "
        "let a mapper do it, a network that was trained for one text."
    )
    SEARCH_ALIASES = ["styleclip", "latent optimization", "latent mapper", "text edit", "baseline"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (MOTION, "IMAGE", "STRING"), ("motion", "image", "report")
    OUTPUT_TOOLTIPS = (
        MOTION_TOOLTIP,
        "The edited faces: what the motion ends with.",
        "What CLIP thinks of them, in words.",
    )
    FUNCTION = "edit"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "The StyleGAN2 that draws the faces."}),
                "faces": (FACES, {"tooltip": "The faces to edit; each gets a motion of its own."}),
                "text": _words(
                    "The cartoon face is smiling.",
                    "What the picture should show, a whole sentence. A mapper has its own, and passes over this one.",
                ),
                "weights": choices(
                    OPTIMIZATIONS,
                    "How much it costs to leave the face: paper is what our method was compared with, and moves "
                    "less; styleclip is StyleCLIP's own, a tenth of it.",
                    default="styleclip",
                ),
                "steps": (
                    "INT",
                    {
                        "default": 100,
                        "min": 0,
                        "max": 1000,
                        "tooltip": "Steps of optimisation. Published: 300; a third of them goes nearly as far.",
                    },
                ),
                "frames": ("INT", FRAMES),
                "colours": choices(
                    (AS_TRAINED, AS_PUBLISHED),
                    "How CLIP sees colours: as it learned to see them, or in another range, as in StyleCLIP's "
                    "published code.",
                ),
                "mapper": file_or(
                    NO_MAPPER,
                    MAPPERS,
                    "A StyleCLIP mapper of this generator, in models/lga/mappers. It needs neither steps nor CLIP.",
                ),
            },
            "optional": {
                "clip": (CLIP, {"tooltip": "Compares pictures and words. Only a mapper does without."}),
                "identity": (
                    IDENTITY,
                    {"tooltip": "Keeps the person, with the weights of the paper. Without it CLIP's feature maps do."},
                ),
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, mapper):
        return valid(NO_MAPPER, MAPPERS, mapper)

    @classmethod
    def IS_CHANGED(
        cls, generator, faces, text, weights, steps, frames, colours, mapper, clip=None, identity=None, node=None
    ):
        return state(NO_MAPPER, MAPPERS, mapper)

    def edit(
        self,
        generator: LoadedGenerator,
        faces: Faces,
        text,
        weights,
        steps,
        frames,
        colours,
        mapper,
        clip: LoadedClip | None = None,
        identity: LoadedIdentity | None = None,
        node=None,
    ):
        faces.check_drawable(generator.identity, generator.num_ws)
        # The executor's inference mode would forbid the optimisation; nothing made inside it may take part either.
        with torch.inference_mode(False), torch.no_grad(), warnings_caught() as said:
            ws = faces.ws.clone().to(generator.model.device)
            if mapper != NO_MAPPER:
                found = _mapped(generator, ws, mapper, node)
            elif clip is not None:
                settings = replace(OPTIMIZATIONS[weights], steps=steps, normalised=colours == AS_TRAINED)
                found = _optimised(generator, ws, text, settings, clip, identity)
            else:
                raise InputError("Nothing here compares pictures and words. Connect CLIP, or choose a mapper.")
        offsets, image, report = found
        report = "\n".join([*said, report])
        say(report, node, warning=bool(said))
        return Movement(straight(offsets.to(result_device()), frames), generator.identity), image, report


def _optimised(
    generator: LoadedGenerator,
    ws: WPlus,
    text: str,
    settings: LatentOptimization,
    clip: LoadedClip,
    identity: LoadedIdentity | None,
):
    """Offsets of the faces, pictures of the edited ones, and what CLIP thinks of them before and now."""
    models = [generator.model, clip.model, *([] if identity is None else [identity.model])]
    make_ready(*models, memory=frame_bytes(generator.model.module.config))
    network, reader, progress = generator.model.module, clip.model.module, Progress(settings.steps + len(ws))
    words = reader.encode_text([text])
    embed = _people(network, clip, identity) if settings.identity else None
    offsets = optimize_latent(network, reader, ws, words, settings, embed, stepping(progress))
    image = portraits(network, ws + offsets, progress)
    pictures = draw(network, ws).clamp(-1, 1), to_nchw(image).to(ws.device)
    before, now = (float((reader.encode_images(each) @ words.T).mean()) for each in pictures)
    report = f"To CLIP the picture agrees with the words by {now:.3f}, and by {before:.3f} before."
    return offsets, image, report


def _people(
    network: Generator, clip: LoadedClip, identity: LoadedIdentity | None
) -> Callable[[Images], torch.Tensor] | None:
    """What tells people apart: the network that is given, else CLIP's feature maps, where it has any."""
    if identity is not None:
        return identity.model.module
    return find_identity_similarity(network, clip=clip.model.module).embed if has_stages(clip.model.module) else None


def _mapped(generator: LoadedGenerator, ws: WPlus, mapper: str, node: str | None):
    """Offsets of the faces, pictures of the edited ones, and what the mapper says that it was trained for."""
    path = chosen(MAPPERS, mapper, "latent_mapper", generator, node)
    model = Model(load_latent_mapper(path))
    make_ready(generator.model, model, memory=frame_bytes(generator.model.module.config))
    if model.module.config.w_dim != ws.shape[2]:
        raise MismatchError(
            f"The mapper '{mapper}' takes style vectors of width {model.module.config.w_dim}, but the faces' are "
            f"{ws.shape[2]} wide. Use a mapper that was trained with this generator."
        )
    offsets = model.module.config.strength * model.module(ws)
    sentence = read_metadata(path).get("sentence")
    report = f"Edited by the mapper '{mapper}'" + (f", which was trained for “{sentence}”." if sentence else ".")
    return offsets, portraits(generator.model.module, ws + offsets, Progress(len(ws))), report


class GlobalDirection:
    DESCRIPTION = (
        "StyleCLIP's global directions: from two texts to a motion of the generator's style channels, one for all "
        "faces. What each channel does to a picture is found out once for a generator and a CLIP model, which takes "
        "long, is kept in models/lga/cache, and goes on where it was cancelled."
    )
    SEARCH_ALIASES = ["styleclip", "stylespace", "style channels", "text direction", "baseline"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (MOTION, "STRING"), ("motion", "report")
    OUTPUT_TOOLTIPS = (
        "The motion, one for all faces. To Synthesize Frames, or on to another motion node, with any other motion.",
        "How many channels move, and whether beta was lowered, in words.",
    )
    FUNCTION = "find"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (
                    GENERATOR,
                    {
                        "tooltip": "The StyleGAN2 that draws the faces. The one that Refine Inversion gives would be "
                        "looked at anew: use the one before it, whose motions it draws too."
                    },
                ),
                "clip": (CLIP, {"tooltip": "Compares pictures and words."}),
                "target": _words(
                    "The cartoon face is smiling.",
                    "What the picture should come to show. Several wordings, one a line, are averaged.",
                ),
                "neutral": _words(
                    "The cartoon face is neutral.", "What it shows now, worded alike: only the difference counts."
                ),
                "sentences": choices(
                    (AS_WRITTEN, OF_PHOTOS),
                    "80 sentences of photos puts each text into the sentences of StyleCLIP's authors, such as 'a photo "
                    "of the large {}.': for CLIP models of photographs, with texts such as 'smiling face' and 'face'.",
                ),
                "alpha": (
                    "FLOAT",
                    {
                        "default": 3.0,
                        "min": -30.0,
                        "max": 30.0,
                        "step": 0.1,
                        "tooltip": "How far it goes; below 0 the other way.",
                    },
                ),
                "beta": (
                    "FLOAT",
                    {
                        "default": 0.0,
                        "min": 0.0,
                        "max": 1.0,
                        "step": 0.01,
                        "tooltip": "How much a channel must agree with the texts to move, published 0.08 to 0.4: less "
                        "moves more channels. 0 finds it. Where none would move it is lowered, and the report says so.",
                    },
                ),
                "frames": ("INT", FRAMES),
                "survey_faces": (
                    "INT",
                    {
                        "default": 4,
                        "min": 1,
                        "max": 1000,
                        "tooltip": "Faces on which every channel is tried, once for each number. Published: 100. Few "
                        "are quicker and rougher.",
                    },
                ),
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

    def find(
        self,
        generator: LoadedGenerator,
        clip: LoadedClip,
        target,
        neutral,
        sentences,
        alpha,
        beta,
        frames,
        survey_faces,
        node=None,
    ):
        make_ready(generator.model, clip.model, memory=frame_bytes(generator.model.module.config))
        reader, space = clip.model.module, StyleSpace(generator.model.module)
        with warnings_caught() as said:
            towards = text_direction(reader, *(_wordings(text, sentences) for text in (target, neutral)))
            survey = Survey(num_faces=survey_faces)
            found = relevance(space, reader, survey, kept_folder("cache"), Progress().reach)
            direction = style_direction(found, towards, beta or None)
        report = "\n".join([*said, _described(direction)])
        say(report, node, warning=bool(said))
        motion = direction.motion(space, alpha, frames)
        return Movement(motion.to(result_device()), generator.identity), report


def _wordings(text: str, sentences: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [text]
    return lines if sentences == AS_WRITTEN else [sentence for line in lines for sentence in imagenet_sentences(line)]


def _described(direction: StyleDirection) -> str:
    how = "lowered" if direction.lowered else "found" if direction.asked is None else "as given"
    return f"{direction.num_channels} of {len(direction.styles)} channels move, at beta {direction.beta:.3f} ({how})."
