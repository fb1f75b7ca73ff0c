"""Nodes that make motions: from text, in a row, shaped, blended, saved."""

from __future__ import annotations

import torch

from ..lga_core import (
    Motion,
    MotionModel,
    Movement,
    blend,
    chain,
    keyframes,
    load_movement,
    loop,
    mask_layers,
    save_movement,
    scale,
    speed,
)
from ..lga_core.imaging import to_nchw
from ..lga_core.motion import EASES, LAYERS, Text, Wording, add, embed, inbetween, layer_weights, ping_pong
from .files import Loads, Saves, file_input, keep, save_inputs
from .host import checked, choices, result_device, saved_path, say, warnings_said
from .types import CLIP, MOTION, MOTION_MODEL, ROOT, TEXT, LoadedClip, LoadedMotionModel

CATEGORY = f"{ROOT}/motion"
AS_TRAINED = "as trained"
SCHEDULES = (AS_TRAINED, "const", "linear", "sqrt", "exp")
ONCE, LOOP, PING_PONG = "once", "loop", "ping-pong"
CROSS_FADE, ACCUMULATE = "cross-fade", "accumulate"
MIX, ADD = "mix", "add"
MOTION_TOOLTIP = "The motion. To Synthesize Frames, or on to another motion node."
STRENGTH = {
    "default": 1.0,
    "min": -3.0,
    "max": 3.0,
    "step": 0.05,
    "tooltip": "How far the face moves: 1 as trained, 0.5 a hint, 1.3 emphatic; beyond 1.5 faces begin to fall apart. "
    "Below 0 the other way.",
}
SEED = {
    "default": 0,
    "min": 0,
    "max": 2**63 - 1,
    "control_after_generate": False,  # it would make everything after it run again, and nothing look different
    "tooltip": "Of the small random state that the motion begins with. It changes next to nothing to look at; the same "
    "seed gives the same motion.",
}


def _on_device(model: LoadedMotionModel, text: Text) -> tuple[MotionModel, Text]:
    model.check_text(text)
    return model.model.ready(), text.to(model.model.device)


class EncodeText:
    DESCRIPTION = (
        "Say what should happen. A word such as 'smiling' is put into the motion model's own sentence ('The cartoon "
        "face is smiling.'); whole sentences stay as they are. Several prompts, one a line, are mixed."
    )
    SEARCH_ALIASES = ["prompt", "text to motion", "expression", "clip text encode", "emotion"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (TEXT,), ("text",)
    OUTPUT_TOOLTIPS = ("What should happen. To Motion Rollout or Chain Expressions.",)
    FUNCTION = "encode"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "clip": (CLIP, {"tooltip": "The CLIP model that the motion model was trained with."}),
                "motion_model": (
                    MOTION_MODEL,
                    {"tooltip": "Gives the sentence around your words, and knows which words it was trained on."},
                ),
                "text": (
                    "STRING",
                    {
                        "default": "smiling",
                        "multiline": True,
                        "dynamicPrompts": False,
                        "tooltip": "What should happen, one prompt a line (a comma does not separate). A weight may "
                        "follow a colon: 'smiling: 0.7'. The doodle domain was trained on smiling, happy, sad, angry, "
                        "annoyed, serious, surprised, shocked, stunned, disgusted, crying, pouting, winking, closing "
                        "eyes, opening mouth, has blonde hair, is getting old, stormy.",
                    },
                ),
                "negative": (
                    "STRING",
                    {
                        "default": "",
                        "multiline": True,
                        "dynamicPrompts": False,
                        "tooltip": "What should not happen: subtracted from the motion. Written as the text is; try "
                        "weights around 0.5. May stay empty.",
                    },
                ),
                "template": (
                    "STRING",
                    {
                        "default": "",
                        "tooltip": "The sentence around a bare word, with {} in its place, such as 'The person is "
                        "{}.'. Empty: the motion model's own.",
                    },
                ),
            },
            "optional": {
                "image": (
                    "IMAGE",
                    {
                        "tooltip": "The faces' pictures: the motion then begins from face and text together, as in the "
                        "paper, and is each face's own. Without it one motion serves for every face."
                    },
                )
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, template):
        return checked(lambda: Wording(template, {})) if template else True

    def encode(
        self, clip: LoadedClip, motion_model: LoadedMotionModel, text, negative, template, image=None, node=None
    ):
        motion_model.check_clip(clip.identity, clip.model.module.embed_dim)
        wording = motion_model.card.wording
        if template:
            wording = Wording(template, {})
        network = clip.model.ready()
        pictures = None if image is None else to_nchw(image).to(clip.model.device)
        with warnings_said(node) as said:
            result = embed(network, wording, text, negative, pictures, motion_model.card.mean_picture)
        if not said:
            say("\n".join(_spelt(result)), node)
        return (result.to(result_device()),)


def _spelt(text: Text) -> list[str]:
    """The sentences with their weights, as they are shown on the node."""
    if text.weights == (1.0,):
        return list(text.sentences)
    return [f"{weight:+g} {sentence}" for weight, sentence in zip(text.weights, text.sentences, strict=True)]


class MotionRollout:
    DESCRIPTION = (
        "Turn text into motion: the recurrent network takes one small step a frame, from the still face to the "
        "expression. The first frame is the face itself, and more frames make the same motion slower."
    )
    SEARCH_ALIASES = ["animate", "text to motion", "generate motion", "recurrent"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (MOTION,), ("motion",)
    OUTPUT_TOOLTIPS = (MOTION_TOOLTIP,)
    FUNCTION = "roll_out"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "motion_model": (MOTION_MODEL, {"tooltip": "The network that turns text into motion."}),
                "text": (TEXT, {"tooltip": "What should happen, from Encode Text."}),
                "frames": (
                    "INT",
                    {
                        "default": 24,
                        "min": 1,
                        "max": 10000,
                        "tooltip": "How many frames the motion takes. The face moves as far at any number.",
                    },
                ),
                "strength": ("FLOAT", STRENGTH),
                "schedule": choices(
                    SCHEDULES,
                    "How the steps are spread over the clip: const moves evenly; sqrt, exp and linear start faster, in "
                    "this order, and settle gently. 'as trained' is the model's own.",
                ),
                "seed": ("INT", SEED),
                "steps_between": (
                    "INT",
                    {
                        "default": 0,
                        "min": 0,
                        "max": 64,
                        "tooltip": "Extra frames laid evenly between each two: smoother and longer, (frames - 1) x "
                        "(this + 1) + 1 in all.",
                    },
                ),
            }
        }

    def roll_out(self, motion_model: LoadedMotionModel, text: Text, frames, strength, schedule, seed, steps_between):
        network, text = _on_device(motion_model, text)
        motion = text.motion(network, frames, strength, seed, None if schedule == AS_TRAINED else schedule)
        return (Movement(inbetween(motion.to(result_device()), steps_between), motion_model.card.generator),)


class ChainExpressions:
    DESCRIPTION = (
        "Tell a story: this expression after the previous one. Put several of these nodes in a row, each with a text "
        "of its own; without a text the face returns to neutral. Give the last one's motion to Synthesize Frames, or "
        "make it loop with Shape Motion first."
    )
    SEARCH_ALIASES = ["sequence", "timeline", "story", "next expression", "concatenate motion", "neutral"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (MOTION,), ("motion",)
    OUTPUT_TOOLTIPS = ("Everything so far. To the next Chain Expressions, Shape Motion or Synthesize Frames.",)
    FUNCTION = "chain"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "motion_model": (MOTION_MODEL, {"tooltip": "The network that turns text into motion."}),
                "transition": (
                    "INT",
                    {
                        "default": 12,
                        "min": 1,
                        "max": 10000,
                        "tooltip": "Frames in which the expression comes about; 1 is a cut.",
                    },
                ),
                "hold": (
                    "INT",
                    {"default": 8, "min": 0, "max": 10000, "tooltip": "Frames for which it then stays."},
                ),
                "ease": choices(
                    EASES,
                    "How the transition runs: evenly (linear), gently at its start, its end or both, past the goal and "
                    "back (overshoot), bouncing, or in steps.",
                    default="ease in and out",
                ),
                "strength": ("FLOAT", STRENGTH),
                "mode": choices(
                    (CROSS_FADE, ACCUMULATE),
                    "cross-fade: what came before goes as this comes, so that expressions stay clean and the person "
                    "the same however many follow. accumulate: this is added to what came before, as in the paper; "
                    "expressions mix and the face drifts.",
                ),
                "seed": ("INT", SEED),
            },
            "optional": {
                "text": (TEXT, {"tooltip": "The expression, from Encode Text. Unconnected: back to the neutral face."}),
                "previous": (
                    MOTION,
                    {"tooltip": "What comes before: another Chain Expressions. Unconnected: this is the first."},
                ),
            },
        }

    def chain(
        self,
        motion_model: LoadedMotionModel,
        transition,
        hold,
        ease,
        strength,
        mode,
        seed,
        text: Text | None = None,
        previous: Movement | None = None,
    ):
        if text is None:
            config = motion_model.model.module.config
            path = torch.zeros(1, transition + 1, config.num_ws, config.w_dim, device=result_device())
        else:
            network, text = _on_device(motion_model, text)
            path = text.motion(network, transition + 1, strength, seed).to(result_device())
        movement, before = Movement(path, motion_model.card.generator), None
        if previous is not None:
            movement, before = _together(movement, previous)
        added = mode == ACCUMULATE and text is not None  # the way to the neutral face is no more to add
        return (movement.with_offsets(chain(before, movement.offsets, hold=hold, ease=ease, accumulate=added)),)


class ShapeMotion:
    DESCRIPTION = (
        "Direct a motion: how strong it is at which frame, which layers of the generator it moves, whether it loops, "
        "and how fast it runs."
    )
    SEARCH_ALIASES = ["keyframes", "ease", "curve", "loop", "ping-pong", "layer mask", "speed", "retime"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (MOTION,), ("motion",)
    OUTPUT_TOOLTIPS = (MOTION_TOOLTIP,)
    FUNCTION = "shape"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "motion": (MOTION, {"tooltip": "The motion to shape; it is not changed itself."}),
                "strength": ("FLOAT", STRENGTH),
                "ease": choices(EASES, "How the strength goes from one keyframe to the next."),
                "keyframes": (
                    "STRING",
                    {
                        "default": "",
                        "dynamicPrompts": False,
                        "placeholder": "0:0, 12:1, 24:0",
                        "tooltip": "Strength over time as frame:strength, such as '0:0, 12:1, 24:0', multiplied with "
                        "what the motion does by itself. A frame may be a number from 0, a percentage ('50%:1') or "
                        "'end'; a key may name its own ease ('12:1 bounce'). Empty: the same strength throughout. For "
                        "the curve alone, shape Chain Expressions with transition 1.",
                    },
                ),
                "layers": choices(
                    LAYERS,
                    "Which layers move. expression only: those that draw features, so that scene and shape move less. "
                    "colour only: the finest, which hold colour in large generators. custom reads the next field.",
                ),
                "custom_layers": (
                    "STRING",
                    {
                        "default": "",
                        "dynamicPrompts": False,
                        "placeholder": "4-7:1, 8-:0.2",
                        "tooltip": "For layers = custom: rows of W+ and how much each moves, such as '4-7:1, 8-:0.2'. "
                        "Row 0 is the coarsest; rows that are not named stay still.",
                    },
                ),
                "repeat": choices(
                    (ONCE, LOOP, PING_PONG),
                    "loop: the ends are eased into each other, so that the clip repeats without a seam. ping-pong: "
                    "there and back again, without a doubled frame at the turns.",
                ),
                "speed": (
                    "FLOAT",
                    {
                        "default": 1.0,
                        "min": 0.05,
                        "max": 20.0,
                        "step": 0.05,
                        "tooltip": "2 takes half the frames, 0.5 twice as many. Keyframes count frames before this.",
                    },
                ),
            }
        }

    @classmethod
    def VALIDATE_INPUTS(cls, keyframes):
        return keyframes is None or checked(lambda: _curve(keyframes, 1_000_000, "linear"))

    def shape(self, motion: Movement, strength, ease, keyframes, layers, custom_layers, repeat, speed):
        offsets = strength * motion.offsets
        if keyframes.strip():
            offsets = scale(offsets, _curve(keyframes, motion.num_frames, ease))
        offsets = mask_layers(offsets, layer_weights(layers, offsets.shape[2], custom_layers))
        offsets = _at_speed(offsets, speed)
        return (motion.with_offsets({ONCE: _same, LOOP: loop, PING_PONG: ping_pong}[repeat](offsets)),)


_curve, _at_speed = keyframes, speed  # names that the inputs of ShapeMotion have too


def _same(motion: Motion) -> Motion:
    return motion


class BlendMotions:
    DESCRIPTION = (
        "Mix two motions, or add one to the other. Where one is shorter, its last frame holds. To close the eyes while "
        "happy, add; to be between glad and sad, mix."
    )
    SEARCH_ALIASES = ["combine motions", "add motions", "mix expressions", "layer motions"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (MOTION,), ("motion",)
    OUTPUT_TOOLTIPS = (MOTION_TOOLTIP,)
    FUNCTION = "blend"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "motion_a": (MOTION, {"tooltip": "The first motion."}),
                "motion_b": (MOTION, {"tooltip": "The second motion, of the same generator."}),
                "amount": (
                    "FLOAT",
                    {
                        "default": 0.5,
                        "min": -2.0,
                        "max": 2.0,
                        "step": 0.05,
                        "tooltip": "mix: 0 is a, 1 is b. add: how much of b is added to the whole of a.",
                    },
                ),
                "mode": choices((MIX, ADD), "mix goes from a to b; add keeps a and puts b on top."),
            }
        }

    def blend(self, motion_a: Movement, motion_b: Movement, amount, mode):
        combine = blend if mode == MIX else add
        movement, other = _together(motion_a, motion_b)
        return (movement.with_offsets(combine(movement.offsets, other, amount)),)


def _together(movement: Movement, other: Movement) -> tuple[Movement, Motion]:
    """A movement that is to be one with another, of the generator that either names, and the other's offsets.

    Where one moves styles the other is widened. Raises MismatchError for movements of two generators.
    """
    return movement.as_wide_as(other).joined(other), other.as_wide_as(movement).offsets


class SaveMotion(Saves):
    DESCRIPTION = (
        "Save a motion as a file in ComfyUI's output folder, under lga/motions, for Load Motion. It plays on every "
        "face of the same generator."
    )
    SEARCH_ALIASES = ["export motion", "store expression", "save animation"]
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls):
        return save_inputs("motion", MOTION, "The motion to save.", "motion")

    def save(self, motion: Movement, filename_prefix, node=None):
        return keep("motions", filename_prefix, lambda path: save_movement(path, motion), node)


class LoadMotion(Loads):
    DESCRIPTION = "Load a motion that Save Motion wrote, to play on another face of the same generator."
    SEARCH_ALIASES = ["import motion", "open expression", "load animation"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (MOTION,), ("motion",)
    OUTPUT_TOOLTIPS = (MOTION_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"file": file_input("motions", "movement")}}

    def load(self, file):
        return (load_movement(saved_path(file)),)
