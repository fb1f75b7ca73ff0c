"""Nodes that make motions: from text, chained, shaped, blended, saved."""

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
from .files import ReadsFile, SavedMenu, SavesFile, save_file, save_inputs
from .host import checked, result_device, say, warnings_shown
from .types import CLIP, MOTION, MOTION_MODEL, ROOT, TEXT, LoadedClip, LoadedMotionModel
from .widgets import choices, frames, integer, line, number, seed, strength, text

CATEGORY = f"{ROOT}/motion"
AS_TRAINED = "as trained"
SCHEDULES = (AS_TRAINED, "const", "linear", "sqrt", "exp")
ONCE, LOOP, PING_PONG = "once", "loop", "ping-pong"
CROSS_FADE, ACCUMULATE = "cross-fade", "accumulate"
MIX, ADD = "mix", "add"
MOTION_TOOLTIP = "The motion. Connect to Synthesize Frames or to another motion node."
SEED_TOOLTIP = "Random seed of the initial hidden state; equal seeds give equal motions. Its effect is barely visible."


def _on_device(model: LoadedMotionModel, text: Text) -> tuple[MotionModel, Text]:
    model.check_text(text)
    return model.model.ready(), text.to(model.model.device)


class EncodeText:
    DISPLAY_NAME = "Encode Text"
    DESCRIPTION = (
        "Describe the expression. A word such as 'smiling' is put into the motion model's sentence ('The cartoon face "
        "is smiling.'); whole sentences are used unchanged. Several prompts, one per line, are mixed."
    )
    SEARCH_ALIASES = ["prompt", "text to motion", "expression", "clip text encode", "emotion"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (TEXT,), ("text",)
    OUTPUT_TOOLTIPS = ("The encoded text. Connect to Motion Rollout or Chain Expressions.",)
    FUNCTION = "encode"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "clip": (CLIP, {"tooltip": "CLIP model that the motion model was trained with."}),
                "motion_model": (
                    MOTION_MODEL,
                    {"tooltip": "Motion model, which gives the sentence template and the prompts it was trained on."},
                ),
                "text": text(
                    "smiling",
                    "Prompts, one per line; a comma does not separate them. A weight may follow a colon: 'smiling: "
                    "0.7'. The doodle domain was trained on smiling, happy, sad, angry, annoyed, serious, surprised, "
                    "shocked, stunned, disgusted, crying, pouting, winking, closing eyes, opening mouth, has blonde "
                    "hair, is getting old, stormy.",
                ),
                "negative": text(
                    "",
                    "Negative prompts: their motion is subtracted. Written like text; try weights around 0.5.",
                ),
                "template": (
                    "STRING",
                    {
                        "default": "",
                        "tooltip": "Sentence template for single words, with {} in place of the word, such as 'The "
                        "person is {}.'. Empty: the motion model's own.",
                    },
                ),
            },
            "optional": {
                "image": (
                    "IMAGE",
                    {
                        "tooltip": "Images of the faces. With them the motion is conditioned on face and text, as in "
                        "the paper, and each face gets its own. Without them one motion serves every face."
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
        images = None if image is None else to_nchw(image).to(clip.model.device)
        with warnings_shown(node) as warned:
            result = embed(network, wording, text, negative, images, motion_model.card.mean_picture)
        if not warned:
            say("\n".join(_weighted_sentences(result)), node)
        return (result.to(result_device()),)


def _weighted_sentences(text: Text) -> list[str]:
    """The sentences with their weights, as they are shown on the node."""
    if text.weights == (1.0,):
        return list(text.sentences)
    return [f"{weight:+g} {sentence}" for weight, sentence in zip(text.weights, text.sentences, strict=True)]


class MotionRollout:
    DISPLAY_NAME = "Motion Rollout"
    DESCRIPTION = (
        "Generate a motion from text: the recurrent network takes one small step per frame, from the still face to "
        "the expression. The first frame is the still face. More frames make the same motion slower."
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
                "motion_model": (MOTION_MODEL, {"tooltip": "Motion model, which turns text into motion."}),
                "text": (TEXT, {"tooltip": "The expression, from Encode Text."}),
                "frames": frames(
                    24, "Number of frames of the motion. Any number reaches the same expression in the last frame."
                ),
                "strength": strength(),
                "schedule": choices(
                    SCHEDULES,
                    "Residual schedule: how step sizes change over the clip. const moves evenly; sqrt, exp and linear "
                    "start faster, in this order, and slow down at the end. 'as trained' is the model's own.",
                ),
                "seed": seed(SEED_TOOLTIP),
                "steps_between": integer(
                    0,
                    0,
                    64,
                    "Number of frames interpolated between each two. The clip gets longer and smoother: (frames - 1) x "
                    "(steps_between + 1) + 1 frames in all.",
                ),
            }
        }

    def roll_out(self, motion_model: LoadedMotionModel, text: Text, frames, strength, schedule, seed, steps_between):
        network, text = _on_device(motion_model, text)
        motion = text.motion(network, frames, strength, seed, None if schedule == AS_TRAINED else schedule)
        return (Movement(inbetween(motion.to(result_device()), steps_between), motion_model.card.generator),)


class ChainExpressions:
    DISPLAY_NAME = "Chain Expressions"
    DESCRIPTION = (
        "Append an expression to the previous ones. Put several of these nodes in a row, each with its own text; a "
        "node without text returns to the neutral face. Connect the last node to Synthesize Frames, or to Shape Motion "
        "to make a loop."
    )
    SEARCH_ALIASES = ["sequence", "timeline", "story", "next expression", "concatenate motion", "neutral"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (MOTION,), ("motion",)
    OUTPUT_TOOLTIPS = (
        "All expressions so far. Connect to the next Chain Expressions, Shape Motion or Synthesize Frames.",
    )
    FUNCTION = "chain"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "motion_model": (MOTION_MODEL, {"tooltip": "Motion model, which turns text into motion."}),
                "transition": frames(12, "Number of frames of the transition to the expression; 1 is a cut."),
                "hold": frames(8, "Number of frames for which the expression is then held.", least=0),
                "ease": choices(
                    EASES,
                    "Easing of the transition: even (linear), slow at its start, its end or both, past the goal and "
                    "back (overshoot), bouncing, or in steps.",
                    default="ease in and out",
                ),
                "strength": strength(),
                "mode": choices(
                    (CROSS_FADE, ACCUMULATE),
                    "cross-fade: each expression replaces the one before, so that expressions stay clean and the "
                    "person stays the same. accumulate: expressions are added up, as in the paper; they mix, and the "
                    "face drifts.",
                ),
                "seed": seed(SEED_TOOLTIP),
            },
            "optional": {
                "text": (TEXT, {"tooltip": "The expression, from Encode Text. Not connected: the neutral face."}),
                "previous": (
                    MOTION,
                    {"tooltip": "Motion of the previous Chain Expressions. Not connected: this is the first."},
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
        added = mode == ACCUMULATE and text is not None  # the way to the neutral face has nothing to add
        return (movement.with_offsets(chain(before, movement.offsets, hold=hold, ease=ease, accumulate=added)),)


class ShapeMotion:
    DISPLAY_NAME = "Shape Motion"
    DESCRIPTION = (
        "Edit a motion: its strength over time (keyframes), the generator layers it changes, looping, and speed."
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
                "motion": (MOTION, {"tooltip": "Motion to edit. The input itself is not modified."}),
                "strength": strength(),
                "ease": choices(EASES, "Easing of the strength between keyframes."),
                "keyframes": line(
                    "0:0, 12:1, 24:0",
                    "Keyframes as frame:strength, such as '0:0, 12:1, 24:0'; the motion's own course is multiplied by "
                    "them. A frame is a number from 0, a percentage ('50%:1') or 'end'. A key may have its own easing "
                    "('12:1 bounce'). Empty: constant strength. To see the keyframes alone, use a motion of Chain "
                    "Expressions with transition 1.",
                ),
                "layers": choices(
                    LAYERS,
                    "Generator layers that the motion changes. expression only: those of facial features, so that "
                    "scene and head shape move less. colour only: the finest, which control colour in large "
                    "generators. custom: those in custom_layers.",
                ),
                "custom_layers": line(
                    "4-7:1, 8-:0.2",
                    "Layer weights for layers = custom, as rows of W+ and a weight, such as '4-7:1, 8-:0.2'. Row 0 is "
                    "the coarsest. Rows that are not listed do not move.",
                ),
                "repeat": choices(
                    (ONCE, LOOP, PING_PONG),
                    "How the clip repeats. loop: its end is eased into its start, for a seamless loop. ping-pong: "
                    "forwards and backwards, without duplicate frames at the turns.",
                ),
                "speed": number(
                    1.0,
                    0.05,
                    20.0,
                    0.05,
                    "Playback speed: 2 halves the number of frames, 0.5 doubles it. Keyframes count frames before "
                    "this change.",
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


_curve, _at_speed = keyframes, speed  # ShapeMotion has inputs of the same names


def _same(motion: Motion) -> Motion:
    return motion


class BlendMotions:
    DISPLAY_NAME = "Blend Motions"
    DESCRIPTION = (
        "Interpolate between two motions, or add one to the other. The last frame of the shorter one is held. Add to "
        "combine expressions, such as closed eyes and a smile; mix for an expression between two."
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
                "motion_b": (MOTION, {"tooltip": "The second motion, for the same generator."}),
                "amount": number(
                    0.5,
                    -2.0,
                    2.0,
                    0.05,
                    "Weight of motion_b. mix: 0 is motion_a, 1 is motion_b. add: factor on motion_b, which is added to "
                    "the whole of motion_a.",
                ),
                "mode": choices(
                    (MIX, ADD), "mix interpolates from motion_a to motion_b; add adds motion_b to motion_a."
                ),
            }
        }

    def blend(self, motion_a: Movement, motion_b: Movement, amount, mode):
        combine = blend if mode == MIX else add
        movement, other = _together(motion_a, motion_b)
        return (movement.with_offsets(combine(movement.offsets, other, amount)),)


def _together(movement: Movement, other: Movement) -> tuple[Movement, Motion]:
    """A movement ready to be combined with another, of the generator that either names, and the other's offsets.

    Where one of them moves in StyleSpace the other is widened. Raises MismatchError for movements of two generators.
    """
    return movement.as_wide_as(other).joined(other), other.as_wide_as(movement).offsets


class SaveMotion(SavesFile):
    DISPLAY_NAME = "Save Motion"
    DESCRIPTION = (
        "Save a motion to a file in ComfyUI's output folder, under lga/motions. Load Motion reads it; it works with "
        "every face of the same generator."
    )
    SEARCH_ALIASES = ["export motion", "store expression", "save animation"]
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls):
        return save_inputs("motion", MOTION, "Motion to save.", "motion")

    def save(self, motion: Movement, filename_prefix, node=None):
        return save_file("motions", filename_prefix, lambda path: save_movement(path, motion), node)


class LoadMotion(ReadsFile):
    DISPLAY_NAME = "Load Motion"
    DESCRIPTION = "Load a motion from a file of Save Motion. It works with every face of the same generator."
    SEARCH_ALIASES = ["import motion", "open expression", "load animation"]
    CATEGORY = CATEGORY
    RETURN_TYPES, RETURN_NAMES = (MOTION,), ("motion",)
    OUTPUT_TOOLTIPS = (MOTION_TOOLTIP,)
    FUNCTION = "load"
    MENU = SavedMenu("motions", "movement")

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {cls.MENU.name: cls.MENU.declared()}}

    def load(self, file):
        return (load_movement(*self.MENU.files(file)),)
