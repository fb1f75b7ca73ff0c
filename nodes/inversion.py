"""Nodes that improve an inversion by optimisation and pivotal tuning (PTI), and that limit a motion by identity."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..lga_core import Faces, Images, InputError, Movement, refine, tune
from ..lga_core.imaging import fit_square, to_nchw
from ..lga_core.inversion import (
    LONG_RUN_REGULARIZER,
    InversionReport,
    inversion_report,
    load_weight_delta,
    save_weight_delta,
    weight_delta_of,
)
from ..lga_core.metrics import PerceptualDistance, find_identity_similarity, find_perceptual_distance
from ..lga_core.motion import lock_strength
from ..lga_core.rendering import draw, frame_bytes
from ..lga_core.stylegan2 import generator_for_motion
from .faces import picture, portraits, previewing
from .files import ReadsFile, SavedMenu, SavesFile, save_file, save_inputs
from .host import Model, Progress, make_ready, result_device, say
from .types import CLIP, FACES, GENERATOR, IDENTITY, MOTION, ROOT, LoadedClip, LoadedGenerator, LoadedIdentity
from .widgets import choices, integer, number

CATEGORY = f"{ROOT}/photo"
COMPARED = 256
"""Largest resolution at which CLIP compares images."""
FINE, ALL, FINE_FROM = "32 px and finer", "all", 32
EXPECTED_TRIES = 8
"""Steps of the progress bar of Identity Lock, which may take fewer or a few more."""


class RefineInversion:
    DISPLAY_NAME = "Refine Inversion"
    DESCRIPTION = (
        "Bring an inverted face closer to its image: optimise its latent code, then tune the generator to this one "
        "face (pivotal tuning inversion, PTI). Motions still work. The tuned generator is for this face only."
    )
    SEARCH_ALIASES = ["pivotal tuning", "pti", "optimize latent", "improve inversion", "finetune generator"]
    CATEGORY = CATEGORY
    RETURN_TYPES = (GENERATOR, FACES, "IMAGE", "STRING")
    RETURN_NAMES = ("generator", "faces", "image", "report")
    OUTPUT_TOOLTIPS = (
        "The tuned generator. Use it for this face from here on; Save Pivotal Tuning saves it.",
        "The face with its optimised code. Connect to Synthesize Frames.",
        "The face as the tuned generator draws it. Compare with your image.",
        "How close the face is to its image, before and after.",
    )
    FUNCTION = "refine"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "StyleGAN2 generator that draws the face. It is not modified."}),
                "faces": (FACES, {"tooltip": "The face from Invert with e4e."}),
                "image": ("IMAGE", {"tooltip": "The aligned image of the face, one for each face."}),
                "code_steps": integer(
                    0,
                    0,
                    500,
                    "Number of optimisation steps for the latent code. 50 to 100 help where the encoder is far off; "
                    "many more make the face break when it moves.",
                ),
                "tuning_steps": integer(
                    100,
                    0,
                    1000,
                    "Number of pivotal tuning steps at most; tuning stops early when no difference is visible. 0 does "
                    "not tune the generator.",
                ),
                "layers": choices(
                    (FINE, ALL),
                    "Layers of the generator that are tuned. '32 px and finer' is nearly as good as 'all', and its "
                    "saved file is a third of the size.",
                ),
            },
            "optional": {
                "clip": (CLIP, {"tooltip": "CLIP model for the perceptual loss where no LPIPS weights are installed."}),
                "identity": (
                    IDENTITY,
                    {"tooltip": "Face recognition network, for the identity similarity in the report."},
                ),
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

    def refine(
        self,
        generator: LoadedGenerator,
        faces: Faces,
        image,
        code_steps,
        tuning_steps,
        layers,
        clip: LoadedClip | None = None,
        identity: LoadedIdentity | None = None,
        node=None,
    ):
        faces.check_drawable(generator.identity, generator.num_ws)
        # Tensors made in the executor's inference mode cannot take part in an optimisation.
        with torch.inference_mode(False):
            models = [generator.model, *(each.model for each in (clip, identity) if each is not None)]
            make_ready(*models, memory=frame_bytes(generator.model.module.config))
            network, device = generator.model.module, generator.model.device
            square = fit_square(to_nchw(image.clone()), network.config.resolution).to(device)
            size = min(network.config.resolution, COMPARED)
            distance = find_perceptual_distance(None if clip is None else clip.model.module, size).to(device)
            given, progress = faces.ws.to(device).clone(), Progress(code_steps + tuning_steps + len(square))
            ws = refine(
                network, given, square, code_steps, on_step=previewing(progress), regularizer=LONG_RUN_REGULARIZER
            )
            tuned = network
            if tuning_steps:
                blocks = [each for each in network.config.block_resolutions if layers == ALL or each >= FINE_FROM]
                tuned = tune(
                    network, ws, square, distance, tuning_steps, layers=blocks or None, on_step=previewing(progress)
                )
        measured_with = (square, distance, identity and identity.model.module)
        report = f"Before:\n{_quality(network, given, *measured_with)}\nAfter:\n{_quality(tuned, ws, *measured_with)}"
        say(report, node)
        if tuned is not network:
            delta = weight_delta_of(network, tuned, ws, generator.identity.name)
            generator = replace(generator, model=Model(tuned), tuned=delta)
        return generator, faces.with_ws(ws.to(result_device())), portraits(tuned, ws, progress), report


def _quality(network, ws, square: Images, distance: PerceptualDistance, identity) -> InversionReport:
    average = draw(network, network.broadcast(network.w_avg[None]))
    return inversion_report(square, draw(network, ws), average, distance, identity)


class SaveTuning(SavesFile):
    DISPLAY_NAME = "Save Pivotal Tuning"
    DESCRIPTION = (
        "Save a pivotal tuning (PTI) from Refine Inversion as a small file in ComfyUI's output folder, under "
        "lga/tunings: the change of the generator's weights, and the face. Load Pivotal Tuning adds it to the "
        "generator, like a LoRA."
    )
    SEARCH_ALIASES = ["save pti", "export tuned generator", "save lora"]
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls):
        return save_inputs("generator", GENERATOR, "Tuned generator from Refine Inversion.", "tuning")

    def save(self, generator: LoadedGenerator, filename_prefix, node=None):
        tuned = generator.tuned
        if tuned is None:
            raise InputError("This generator is not tuned to a face. Connect the generator from Refine Inversion.")
        return save_file("tunings", filename_prefix, lambda path: save_weight_delta(path, tuned), node)


class LoadTuning(ReadsFile):
    DISPLAY_NAME = "Load Pivotal Tuning"
    DESCRIPTION = (
        "Load a pivotal tuning (PTI) from a file of Save Pivotal Tuning: the generator tuned to one face, and that "
        "face."
    )
    SEARCH_ALIASES = ["load pti", "load tuned generator", "load lora"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (GENERATOR, FACES), ("generator", "faces")
    OUTPUT_TOOLTIPS = ("The tuned generator.", "The face that it was tuned to.")
    FUNCTION = "load"
    MENU = SavedMenu("tunings", "difference")

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "Generator that was tuned, in its original state."}),
                cls.MENU.name: cls.MENU.declared(),
                "strength": number(
                    1.0,
                    -1.0,
                    2.0,
                    0.05,
                    "Factor on the change of the weights: 1 is the tuned generator, 0 the original one.",
                ),
            }
        }

    @torch.inference_mode(False)
    def load(self, generator: LoadedGenerator, file, strength):
        delta = load_weight_delta(*self.MENU.files(file))
        tuned = delta.applied_to(generator.model.module, strength)
        return replace(generator, model=Model(tuned), tuned=delta), delta.faces


class IdentityLock:
    DISPLAY_NAME = "Identity Lock"
    DESCRIPTION = (
        "Limit a motion so that the person stays recognisable: find the largest strength at which every frame's "
        "identity similarity to the still face reaches the threshold."
    )
    SEARCH_ALIASES = ["keep identity", "limit motion", "face similarity", "preserve face"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (MOTION, "FLOAT", "STRING"), ("motion", "strength", "report")
    OUTPUT_TOOLTIPS = (
        "The motion at that strength. Connect to Synthesize Frames.",
        "The strength, a factor from 0 to 1.",
        "The strengths that were tried, and the identity similarity at each.",
    )
    FUNCTION = "lock"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "StyleGAN2 generator that draws the face."}),
                "faces": (FACES, {"tooltip": "The face, exactly one."}),
                "motion": (MOTION, {"tooltip": "Motion to limit, at the strength you want at most."}),
                "threshold": number(
                    0.8,
                    -1.0,
                    1.0,
                    0.01,
                    "Least identity similarity to the still face: 1 is the same image, 0 is two different people.",
                ),
            },
            "optional": {
                "identity": (IDENTITY, {"tooltip": "Face recognition network, for photographs of real faces."}),
                "clip": (
                    CLIP,
                    {"tooltip": "CLIP model that compares colours and textures, where identity is not connected."},
                ),
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

    def lock(
        self,
        generator: LoadedGenerator,
        faces: Faces,
        motion: Movement,
        threshold,
        identity: LoadedIdentity | None = None,
        clip: LoadedClip | None = None,
        node=None,
    ):
        generator.check_draws(faces, motion)
        judge = identity or clip
        if judge is None:
            raise InputError("No model measures identity similarity. Connect identity, or else clip.")
        make_ready(generator.model, judge.model, memory=frame_bytes(generator.model.module.config))
        device, progress = generator.model.device, Progress(EXPECTED_TRIES)
        similarity = find_identity_similarity(
            generator.model.module, identity and identity.model.module, None if clip is None else clip.model.module
        )
        ws, offsets = faces.ws.to(device), motion.offsets.to(device)
        network, ws = generator_for_motion(generator.model.module, ws, offsets)
        locked = lock_strength(
            network,
            ws,
            offsets,
            similarity,
            threshold,
            on_try=lambda _, frames: progress.step(1, picture(frames[:1])),
        )
        say(str(locked), node, warning=locked.strength == 0)
        return motion.with_offsets(locked.strength * motion.offsets), locked.strength, str(locked)
