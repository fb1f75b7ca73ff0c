"""The node of motion without text: the baseline MoCoGAN-HD, or a random walk that needs no training."""

from __future__ import annotations

from typing import ClassVar

import torch

from ..lga_core import Faces, Movement
from ..lga_core.baselines import RANDOM_MOTION, random_motion
from ..lga_core.checkpoints import load_mocogan
from ..lga_core.stylegan2 import principal_components
from .files import ModelMenu, ReadsFile
from .host import Model, Progress, make_ready, own_folder, result_device, say
from .motion import MOTION_TOOLTIP
from .types import FACES, GENERATOR, MOTION, ROOT, LoadedGenerator
from .widgets import frames, number, seed

NO_MODEL = "none: untrained"


class RandomMotion(ReadsFile):
    DISPLAY_NAME = "Random Motion"
    DESCRIPTION = (
        "Random motion without a text. With a MoCoGAN-HD model: motion as that baseline learned it from videos. "
        "Without one: a smooth random walk along the principal components of the generator's W space, which needs no "
        "training and is not MoCoGAN-HD."
    )
    SEARCH_ALIASES = ["mocogan", "mocogan-hd", "idle motion", "random walk", "wander", "baseline"]
    CATEGORY = f"{ROOT}/motion"
    RETURN_TYPES, RETURN_NAMES = (MOTION, "STRING"), ("motion", "label")
    OUTPUT_TOOLTIPS = (MOTION_TOOLTIP, "Name of the method: MoCoGAN-HD, or untrained random motion.")
    FUNCTION = "move"
    MENU: ClassVar[ModelMenu] = ModelMenu(
        "model",
        "mocogan",
        "MoCoGAN-HD motion generator for this generator, a file in models/lga/mocogan such as modelR_epoch_12.pth.",
        others=(NO_MODEL,),
    )

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "StyleGAN2 generator that draws the faces."}),
                "faces": (FACES, {"tooltip": "Faces to move; each gets a motion of its own."}),
                "frames": frames(24, "Number of frames. The motion moves farther from the face in each frame."),
                "strength": number(
                    0.5,
                    -10.0,
                    10.0,
                    0.05,
                    "Factor on every step. 1 is MoCoGAN-HD's own. Without a model, use less than 1: larger steps soon "
                    "change the person.",
                ),
                "smoothness": number(
                    4.0,
                    0.0,
                    100.0,
                    0.5,
                    "Correlation time of the random walk, in frames; 0 jitters. A MoCoGAN-HD model ignores this.",
                ),
                "seed": seed("Random seed; equal seeds give equal motions."),
                cls.MENU.name: cls.MENU.declared(),
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

    def move(self, generator: LoadedGenerator, faces: Faces, frames, strength, smoothness, seed, model, node=None):
        faces.check_drawable(generator.identity, generator.num_ws)
        network, ws = generator.model.ready(), faces.ws.to(generator.model.device)
        components = principal_components(network, folder=own_folder("cache"), on_step=Progress().reach)
        if model == NO_MODEL:
            offsets, label = random_motion(ws, components, frames, strength, smoothness, seed=seed), RANDOM_MOTION
        else:
            with torch.inference_mode(False):
                learned = Model(load_mocogan(self.MENU.made_for(generator, model, "mocogan", node)))
            make_ready(generator.model, learned)
            offsets, label = strength * learned.module(ws, components, frames, seed), f"MoCoGAN-HD ('{model}')"
        say(label, node)
        return Movement(offsets.to(result_device()), generator.identity), label
