"""Nodes that bring a face closer to its picture than an encoder can, and keep it who it is."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..lga_core import Faces, Images, InputError, Movement, refine, tune
from ..lga_core.imaging import fit_square, to_nchw
from ..lga_core.inversion import NEAR, InversionReport, load_weight_delta, quality, save_weight_delta, weight_delta_of
from ..lga_core.metrics import PerceptualDistance, find_distance, find_identity_similarity
from ..lga_core.motion import lock_strength
from ..lga_core.rendering import draw, frame_bytes
from ..lga_core.stylegan2 import for_motion
from .faces import picture, portraits, stepping
from .files import Loads, Saves, file_input, keep, save_inputs
from .host import Model, Progress, choices, make_ready, result_device, saved_path, say
from .types import CLIP, FACES, GENERATOR, IDENTITY, MOTION, ROOT, LoadedClip, LoadedGenerator, LoadedIdentity

CATEGORY = f"{ROOT}/photo"
COMPARED = 256
"""Pixels at which CLIP compares pictures, at most."""
FINE, ALL, FINE_FROM = "32 px and finer", "all", 32
DRAWS = 8
"""Steps of the lock's progress bar: it may take fewer, or a few more."""


class RefineInversion:
    DESCRIPTION = (
        "Bring a face closer to its picture than the encoder could: first its code, then the generator itself, which "
        "learns this one face (pivotal tuning). Motions go on working; the tuned generator is for this face only."
    )
    SEARCH_ALIASES = ["pivotal tuning", "pti", "optimize latent", "improve inversion", "finetune generator"]
    CATEGORY = CATEGORY
    RETURN_TYPES = (GENERATOR, FACES, "IMAGE", "STRING")
    RETURN_NAMES = ("generator", "faces", "image", "report")
    OUTPUT_TOOLTIPS = (
        "The generator that has learned the face. Use it from here on, or keep it with Save Tuning.",
        "The face. To Motion Rollout's frames, Synthesize Frames.",
        "What it looks like now: compare with your picture.",
        "How close it was and is, in words.",
    )
    FUNCTION = "refine"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "The StyleGAN2 that draws the face. It stays as it is."}),
                "faces": (FACES, {"tooltip": "The face as Invert with e4e found it."}),
                "image": ("IMAGE", {"tooltip": "The aligned picture that it was found in, one for each face."}),
                "code_steps": (
                    "INT",
                    {
                        "default": 0,
                        "min": 0,
                        "max": 500,
                        "tooltip": "Steps for the face's code. 50 to 100 help where the encoder was far off; a code "
                        "that is fitted for long moves badly.",
                    },
                ),
                "tuning_steps": (
                    "INT",
                    {
                        "default": 100,
                        "min": 0,
                        "max": 1000,
                        "tooltip": "Steps for the generator, at most: it ends when nobody sees a difference. 0 leaves "
                        "the generator alone.",
                    },
                ),
                "layers": choices(
                    (FINE, ALL),
                    "Which layers of the generator learn. The finer ones do nearly as well as all, and their file is a "
                    "third of the size.",
                ),
            },
            "optional": {
                "clip": (CLIP, {"tooltip": "Compares pictures where LPIPS has no weights here."}),
                "identity": (IDENTITY, {"tooltip": "Says in the report how much the face is the same person."}),
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
        # The executor's inference mode would forbid the optimisation; nothing made inside it may take part either.
        with torch.inference_mode(False):
            models = [generator.model, *(each.model for each in (clip, identity) if each is not None)]
            make_ready(*models, memory=frame_bytes(generator.model.module.config))
            network, device = generator.model.module, generator.model.device
            square = fit_square(to_nchw(image.clone()), network.config.resolution).to(device)
            size = min(network.config.resolution, COMPARED)
            distance = find_distance(None if clip is None else clip.model.module, size).to(device)
            given, progress = faces.ws.to(device).clone(), Progress(code_steps + tuning_steps + len(square))
            ws = refine(network, given, square, code_steps, on_step=stepping(progress), pull=NEAR)
            tuned = network
            if tuning_steps:
                blocks = [each for each in network.config.block_resolutions if layers == ALL or each >= FINE_FROM]
                tuned = tune(
                    network, ws, square, distance, tuning_steps, layers=blocks or None, on_step=stepping(progress)
                )
        judged = (square, distance, identity and identity.model.module)
        report = f"Before:\n{_quality(network, given, *judged)}\nNow:\n{_quality(tuned, ws, *judged)}"
        say(report, node)
        if tuned is not network:
            kept = weight_delta_of(network, tuned, ws, generator.identity.name)
            generator = replace(generator, model=Model(tuned), tuned=kept)
        return generator, faces.with_ws(ws.to(result_device())), portraits(tuned, ws, progress), report


def _quality(network, ws, square: Images, distance: PerceptualDistance, identity) -> InversionReport:
    average = draw(network, network.broadcast(network.w_avg[None]))
    return quality(square, draw(network, ws), average, distance, identity)


class SaveTuning(Saves):
    DESCRIPTION = (
        "Save what Refine Inversion taught the generator, as a small file in ComfyUI's output folder, under "
        "lga/tunings: only what has changed, and the face. Load Tuning adds it to the generator again, as a LoRA is."
    )
    SEARCH_ALIASES = ["save pti", "export tuned generator", "save lora"]
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls):
        return save_inputs("generator", GENERATOR, "From Refine Inversion.", "tuning")

    def save(self, generator: LoadedGenerator, filename_prefix, node=None):
        tuned = generator.tuned
        if tuned is None:
            raise InputError("This generator has learned no face. Connect the one that Refine Inversion gives.")
        return keep("tunings", filename_prefix, lambda path: save_weight_delta(path, tuned), node)


class LoadTuning(Loads):
    DESCRIPTION = "Load what Save Tuning wrote: the generator learns the face again, and the face comes with it."
    SEARCH_ALIASES = ["load pti", "load tuned generator", "load lora"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (GENERATOR, FACES), ("generator", "faces")
    OUTPUT_TOOLTIPS = ("The generator that knows the face.", "The face.")

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "The generator that was tuned, as it was before."}),
                "file": file_input("tunings", "difference"),
                "strength": (
                    "FLOAT",
                    {
                        "default": 1.0,
                        "min": -1.0,
                        "max": 2.0,
                        "step": 0.05,
                        "tooltip": "1 is what was learned, 0 the generator as it was.",
                    },
                ),
            }
        }

    @classmethod
    def IS_CHANGED(cls, generator, file, strength):
        return super().IS_CHANGED(file)

    @torch.inference_mode(False)
    def load(self, generator: LoadedGenerator, file, strength):
        kept = load_weight_delta(saved_path(file))
        tuned = kept.applied_to(generator.model.module, strength)
        return replace(generator, model=Model(tuned), tuned=kept), kept.faces


class IdentityLock:
    DESCRIPTION = (
        "Move only as far as the face stays who it is: the motion at the largest strength at which every frame is "
        "alike enough to the still face."
    )
    SEARCH_ALIASES = ["keep identity", "limit motion", "face similarity", "preserve face"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (MOTION, "FLOAT", "STRING"), ("motion", "strength", "report")
    OUTPUT_TOOLTIPS = (
        "The motion at that strength. To Synthesize Frames.",
        "The strength that was found.",
        "The strengths that were tried, in words.",
    )
    FUNCTION = "lock"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "The StyleGAN2 that draws the face."}),
                "faces": (FACES, {"tooltip": "The face, one alone."}),
                "motion": (MOTION, {"tooltip": "Its motion, at the strength that is wanted."}),
                "threshold": (
                    "FLOAT",
                    {
                        "default": 0.8,
                        "min": -1.0,
                        "max": 1.0,
                        "step": 0.01,
                        "tooltip": "How alike frames must stay: 1 is the same picture, 0 is two strangers.",
                    },
                ),
            },
            "optional": {
                "identity": (IDENTITY, {"tooltip": "Knows people: for photographs of real faces."}),
                "clip": (
                    CLIP,
                    {"tooltip": "Knows faces by colours and textures where no network knows people."},
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
            raise InputError("Nobody is here who could tell faces apart. Connect an identity network, or else CLIP.")
        make_ready(generator.model, judge.model, memory=frame_bytes(generator.model.module.config))
        device, progress = generator.model.device, Progress(DRAWS)
        alike = find_identity_similarity(
            generator.model.module, identity and identity.model.module, None if clip is None else clip.model.module
        )
        ws, offsets = faces.ws.to(device), motion.offsets.to(device)
        network, ws = for_motion(generator.model.module, ws, offsets)
        locked = lock_strength(
            network,
            ws,
            offsets,
            alike,
            threshold,
            on_try=lambda _, frames: progress.step(1, picture(frames[:1])),
        )
        say(str(locked), node, warning=locked.strength == 0)
        return motion.with_offsets(locked.strength * motion.offsets), locked.strength, str(locked)
