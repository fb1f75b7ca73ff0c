"""Nodes of StyleCLIP, the baseline that edits faces by text. Each gives the edit as a motion."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch

from ..lga_core import Faces, InputError, Movement, WPlus
from ..lga_core.baselines.styleclip import (
    OPTIMIZATIONS,
    LatentOptimization,
    RelevanceConfig,
    StyleDirection,
    clip_similarity,
    imagenet_sentences,
    linear_motion,
    measure_relevance,
    optimize_latent,
    style_direction,
    text_direction,
)
from ..lga_core.checkpoints import load_latent_mapper
from ..lga_core.formats import read_metadata
from ..lga_core.imaging import to_nchw
from ..lga_core.metrics import identity_embedding
from ..lga_core.rendering import draw, frame_bytes
from ..lga_core.shapes import ImagesNHWC
from ..lga_core.stylegan2 import StyleSpace
from .faces import portraits, previewing
from .files import ModelMenu, ReadsFile
from .host import Model, Progress, make_ready, own_folder, result_device, say, warnings_caught
from .motion import MOTION_TOOLTIP
from .types import CLIP, FACES, GENERATOR, IDENTITY, MOTION, ROOT, LoadedClip, LoadedGenerator, LoadedIdentity
from .widgets import choices, frames, integer, number, text

CATEGORY = f"{ROOT}/motion"
NO_MAPPER = "none: optimise"
AS_TRAINED, AS_PUBLISHED = "as CLIP learned them", "as published"
AS_WRITTEN, OF_PHOTOS = "as written", "80 sentences of photos"
FRAMES_TOOLTIP = "Number of frames of the linear interpolation to the edited face. The last frame is the whole edit."


class StyleClipEdit(ReadsFile):
    DISPLAY_NAME = "StyleCLIP Edit"
    DESCRIPTION = (
        "The StyleCLIP baseline: optimise the face's latent code until CLIP matches its image to the text, and "
        "interpolate linearly to the result. This takes about a hundred steps for each face and text; Motion Rollout "
        "takes none. A latent mapper, trained for one text, edits without optimisation."
    )
    SEARCH_ALIASES = ["styleclip", "latent optimization", "latent mapper", "text edit", "baseline"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (MOTION, "IMAGE", "STRING"), ("motion", "image", "report")
    OUTPUT_TOOLTIPS = (
        MOTION_TOOLTIP,
        "Images of the edited faces, where the motion ends.",
        "CLIP similarity of image and text before and after the edit; with a mapper, the text it was trained for.",
    )
    FUNCTION = "edit"
    MENU: ClassVar[ModelMenu] = ModelMenu(
        "mapper",
        "mappers",
        "StyleCLIP latent mapper for this generator, a file in models/lga/mappers. With a mapper, CLIP and steps are "
        "not used.",
        others=(NO_MAPPER,),
    )

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "StyleGAN2 generator that draws the faces."}),
                "faces": (FACES, {"tooltip": "Faces to edit; each gets a motion of its own."}),
                "text": text(
                    "The cartoon face is smiling.",
                    "What the image should show, as a whole sentence. A mapper ignores it: it was trained for its own.",
                ),
                "weights": choices(
                    OPTIMIZATIONS,
                    "Weights of the losses. styleclip: StyleCLIP's published ones. paper: those our method was "
                    "compared with, where the L2 loss weighs ten times as much, so faces change less.",
                    default="styleclip",
                ),
                "steps": integer(
                    100, 0, 1000, "Number of optimisation steps. StyleCLIP published 300; 100 get nearly as far."
                ),
                "frames": frames(16, FRAMES_TOOLTIP),
                "colours": choices(
                    (AS_TRAINED, AS_PUBLISHED),
                    "Normalisation of the images for CLIP. 'as CLIP learned them': as CLIP was trained. 'as "
                    "published': none, as in StyleCLIP's published code.",
                ),
                cls.MENU.name: cls.MENU.declared(),
            },
            "optional": {
                "clip": (CLIP, {"tooltip": "CLIP model that compares image and text. Not needed with a mapper."}),
                "identity": (
                    IDENTITY,
                    {
                        "tooltip": "Face recognition network for the identity loss of the weights 'paper'. Without it, "
                        "CLIP's feature maps are used."
                    },
                ),
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

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
        # Tensors made in the executor's inference mode cannot take part in an optimisation.
        with torch.inference_mode(False), torch.no_grad(), warnings_caught() as warned:
            ws = faces.ws.clone().to(generator.model.device)
            if mapper != NO_MAPPER:
                offsets, image, report = self._mapped(generator, ws, mapper, node)
            elif clip is not None:
                settings = replace(OPTIMIZATIONS[weights], steps=steps, normalized=colours == AS_TRAINED)
                offsets, image, report = self._optimized(generator, ws, text, settings, clip, identity)
            else:
                raise InputError("No CLIP model compares the image with the text. Connect clip, or choose a mapper.")
        report = "\n".join([*warned, report])
        say(report, node, warning=bool(warned))
        return Movement(linear_motion(offsets.to(result_device()), frames), generator.identity), image, report

    def _optimized(
        self,
        generator: LoadedGenerator,
        ws: WPlus,
        text: str,
        settings: LatentOptimization,
        clip: LoadedClip,
        identity: LoadedIdentity | None,
    ) -> tuple[WPlus, ImagesNHWC, str]:
        """Offsets of the faces, images of the edited faces, and a report."""
        models = [generator.model, clip.model, *([] if identity is None else [identity.model])]
        make_ready(*models, memory=frame_bytes(generator.model.module.config))
        network, reader, progress = generator.model.module, clip.model.module, Progress(settings.steps + len(ws))
        embed = identity_embedding(identity and identity.model.module, reader, network.config.resolution)
        words = reader.encode_text([text])
        offsets = optimize_latent(network, reader, ws, words, settings, embed, on_step=previewing(progress))
        image = portraits(network, ws + offsets, progress)
        before = clip_similarity(reader, draw(network, ws).clamp(-1, 1), words)
        after = clip_similarity(reader, to_nchw(image).to(ws.device), words)
        return offsets, image, f"CLIP similarity of image and text: {before:.3f} before, {after:.3f} after the edit."

    def _mapped(
        self, generator: LoadedGenerator, ws: WPlus, mapper: str, node: str | None
    ) -> tuple[WPlus, ImagesNHWC, str]:
        """The same by a mapper."""
        path = self.MENU.made_for(generator, mapper, "latent_mapper", node)
        model = Model(load_latent_mapper(path))
        make_ready(generator.model, model, memory=frame_bytes(generator.model.module.config))
        offsets = model.module.offsets(ws)
        sentence = read_metadata(path).get("sentence")
        report = f"Edited by the mapper '{mapper}'" + (f", which was trained for “{sentence}”." if sentence else ".")
        return offsets, portraits(generator.model.module, ws + offsets, Progress(len(ws))), report


class GlobalDirection:
    DISPLAY_NAME = "Global Direction"
    DESCRIPTION = (
        "StyleCLIP's global direction: from a target and a neutral text to one direction in StyleSpace, which moves "
        "every face. The first run measures the effect of every style channel on CLIP. That takes long, is cached in "
        "models/lga/cache per generator and CLIP model, and resumes after a cancelled run."
    )
    SEARCH_ALIASES = ["styleclip", "stylespace", "style channels", "text direction", "baseline"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (MOTION, "STRING"), ("motion", "report")
    OUTPUT_TOOLTIPS = (
        "The motion, one for all faces. Connect to Synthesize Frames or to another motion node.",
        "How many style channels move, and at which beta.",
    )
    FUNCTION = "find"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (
                    GENERATOR,
                    {
                        "tooltip": "StyleGAN2 generator that draws the faces. Connect the generator from before Refine "
                        "Inversion: a tuned one would be measured anew, and it draws these motions as well."
                    },
                ),
                "clip": (CLIP, {"tooltip": "CLIP model that compares images and texts."}),
                "target": text(
                    "The cartoon face is smiling.",
                    "What the image should show. Several texts, one per line, are averaged.",
                ),
                "neutral": text(
                    "The cartoon face is neutral.",
                    "What the image shows before. Word it like the target: the direction is their difference.",
                ),
                "sentences": choices(
                    (AS_WRITTEN, OF_PHOTOS),
                    "Prompt templates. '80 sentences of photos': StyleCLIP's 80 ImageNet templates, such as 'a photo "
                    "of the large {}.', for CLIP models of photographs and texts such as 'smiling face' and 'face'.",
                ),
                "alpha": number(3.0, -30.0, 30.0, 0.1, "Strength of the edit; negative values reverse it."),
                "beta": number(
                    0.0,
                    0.0,
                    1.0,
                    0.01,
                    "Threshold on a channel's relevance to the texts; StyleCLIP uses 0.08 to 0.4. Lower values move "
                    "more channels. 0 chooses it automatically. If no channel passes, it is lowered, and the report "
                    "says so.",
                ),
                "frames": frames(16, FRAMES_TOOLTIP),
                "survey_faces": integer(
                    4,
                    1,
                    1000,
                    "Number of faces on which the effect of each channel is measured. StyleCLIP uses 100; fewer are "
                    "faster and less accurate.",
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
        with warnings_caught() as warned:
            towards = text_direction(reader, *(_sentences(each, sentences) for each in (target, neutral)))
            survey = RelevanceConfig(num_faces=survey_faces)
            found = measure_relevance(space, reader, survey, own_folder("cache"), Progress().reach)
            direction = style_direction(found, towards, beta or None)
        report = "\n".join([*warned, _described(direction)])
        say(report, node, warning=bool(warned))
        motion = direction.motion(space, alpha, frames)
        return Movement(motion.to(result_device()), generator.identity), report


def _sentences(text: str, templates: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [text]
    return lines if templates == AS_WRITTEN else [sentence for line in lines for sentence in imagenet_sentences(line)]


def _described(direction: StyleDirection) -> str:
    how = "lowered" if direction.lowered else "automatic" if direction.asked is None else "as given"
    channels = f"{direction.num_channels} of {len(direction.styles)} style channels"
    return f"{channels} move, at beta {direction.beta:.3f} ({how})."
