"""The node of motion without words: the baseline MoCoGAN-HD, or what resembles it without training."""

from __future__ import annotations

import torch

from ..lga_core import Faces, Movement
from ..lga_core.baselines import RANDOM_MOTION, random_motion
from ..lga_core.checkpoints import load_mocogan
from ..lga_core.stylegan2 import principal_components
from .files import chosen, file_or, state, valid
from .host import Model, Progress, kept_folder, make_ready, result_device, say
from .motion import MOTION_TOOLTIP, SEED
from .types import FACES, GENERATOR, MOTION, ROOT, LoadedGenerator

NO_MODEL, MODELS = "none: untrained", "mocogan"


class RandomMotion:
    DESCRIPTION = (
        "Motion that no one asked for. With a model of MoCoGAN-HD, the baseline that learned from videos how faces "
        "move; without one, a smooth random walk along the directions in which the generator's faces vary, which is "
        "not MoCoGAN-HD, and says so."
    )
    SEARCH_ALIASES = ["mocogan", "mocogan-hd", "idle motion", "random walk", "wander", "baseline"]
    CATEGORY = f"{ROOT}/motion"
    RETURN_TYPES, RETURN_NAMES = (MOTION, "STRING"), ("motion", "label")
    OUTPUT_TOOLTIPS = (MOTION_TOOLTIP, "What to call it: MoCoGAN-HD, or untrained random motion.")
    FUNCTION = "move"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "The StyleGAN2 that draws the faces."}),
                "faces": (FACES, {"tooltip": "The faces to move; each goes its own way."}),
                "frames": (
                    "INT",
                    {
                        "default": 24,
                        "min": 1,
                        "max": 10000,
                        "tooltip": "How many frames. The longer, the farther it gets from the face.",
                    },
                ),
                "strength": (
                    "FLOAT",
                    {
                        "default": 0.5,
                        "min": -10.0,
                        "max": 10.0,
                        "step": 0.05,
                        "tooltip": "Factor on every step: 1 is MoCoGAN-HD's, as its models were trained; without one "
                        "a face that takes such steps soon becomes another's.",
                    },
                ),
                "smoothness": (
                    "FLOAT",
                    {
                        "default": 4.0,
                        "min": 0.0,
                        "max": 100.0,
                        "step": 0.5,
                        "tooltip": "Frames for which a direction is kept, more or less; 0 trembles. A model has its "
                        "own way, and passes over this.",
                    },
                ),
                "seed": ("INT", SEED | {"tooltip": "Which way. The same seed always goes the same way."}),
                "model": file_or(
                    NO_MODEL,
                    MODELS,
                    "A motion generator of MoCoGAN-HD for this generator, in models/lga/mocogan, such as "
                    "modelR_epoch_12.pth.",
                ),
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, model):
        return valid(NO_MODEL, MODELS, model)

    @classmethod
    def IS_CHANGED(cls, generator, faces, frames, strength, smoothness, seed, model, node=None):
        return state(NO_MODEL, MODELS, model)

    def move(self, generator: LoadedGenerator, faces: Faces, frames, strength, smoothness, seed, model, node=None):
        faces.check_drawable(generator.identity, generator.num_ws)
        network, ws = generator.model.ready(), faces.ws.to(generator.model.device)
        principal = principal_components(network, folder=kept_folder("cache"), on_step=Progress().reach)
        if model == NO_MODEL:
            offsets, label = random_motion(ws, principal, frames, strength, smoothness, seed=seed), RANDOM_MOTION
        else:
            with torch.inference_mode(False):
                learned = Model(load_mocogan(chosen(MODELS, model, "mocogan", generator, node)))
            make_ready(generator.model, learned)
            offsets, label = strength * learned.module(ws, principal, frames, seed), f"MoCoGAN-HD ('{model}')"
        say(label, node)
        return Movement(offsets.to(result_device()), generator.identity), label
