"""A doodle's attributes, the presets of every prompt, and how faces are sampled.

A face is one row of an attribute tensor [n k]; `COLUMN[name]` is the place of an attribute in it. Switches and sizes
run from 0 to 1, signed attributes from -1 to 1, and a palette is a group of weights that sum to 1.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ...attributes import AttributeSpace

PALETTES = {
    "hair": ("blonde", "brown", "black", "red", "blue", "pink"),
    "eyes": ("brown", "blue", "green"),
    "shirt": ("coral", "azure", "leaf", "sun", "violet"),
    "backdrop": ("rose", "sky", "mint", "cream", "lilac"),
}
SIZES = ("skin", "face_width", "jaw", "hair_length", "fringe", "eye_size", "eye_space", "nose", "mouth_width")
SWITCHES = {"curl": 0.6, "glasses": 0.9, "beard": 1.15, "age": 1.0, "stormy": 1.3, "sunny": 1.2}  # threshold in sigmas
POSE = ("yaw", "pitch")
EXPRESSION = (
    *("smile", "open", "narrow", "pout", "skew", "widen", "lid_left", "lid_right", "brow_angle", "brow_raise"),
    *("gaze_x", "gaze_y", "tears", "blush", "disgust", "stun", "shock"),
)
IDENTITY = (*(f"{group}:{name}" for group, names in PALETTES.items() for name in names), *SIZES, *SWITCHES, *POSE)
NAMES = (*IDENTITY, *EXPRESSION)
COLUMN = {name: column for column, name in enumerate(NAMES)}
NUM_ATTRIBUTES = len(NAMES)

NEUTRAL = {"smile": 0.22, "brow_raise": 0.1}
EXPRESSION_PRESETS = {
    "smiling": {"smile": 1.0, "blush": 0.35, "brow_raise": 0.25},
    "happy": {"smile": 1.0, "open": 0.75, "blush": 0.8, "brow_raise": 0.6},
    "sad": {"smile": -0.95, "brow_angle": -0.9, "gaze_y": 0.7, "lid_left": 0.2, "lid_right": 0.2},
    "angry": {"smile": -0.8, "brow_angle": 1.0, "brow_raise": -0.75, "lid_left": 0.14, "lid_right": 0.14},
    "annoyed": {"skew": 1.0, "smile": -0.25, "brow_angle": 0.45, "brow_raise": -0.3, "gaze_x": 0.8}
    | {"lid_left": 0.46, "lid_right": 0.46},
    "serious": {"smile": -0.1, "brow_angle": 0.45, "brow_raise": -1.0, "narrow": -0.6, "lid_left": 0.22}
    | {"lid_right": 0.22},
    "surprised": {"open": 0.6, "narrow": 1.0, "widen": 0.8, "brow_raise": 1.0, "smile": 0.0},
    "shocked": {"shock": 1.0, "open": 0.55, "narrow": -0.7, "widen": 1.0, "brow_raise": 0.7, "brow_angle": -0.6},
    "stunned": {"stun": 1.0, "widen": 0.5, "open": 0.22, "narrow": 0.75, "brow_raise": 0.6, "smile": 0.0},
    "disgusted": {"disgust": 1.0, "smile": -0.5, "brow_angle": 0.5, "lid_left": 0.38, "lid_right": 0.38},
    "crying": {"tears": 1.0, "smile": -0.9, "brow_angle": -1.0, "open": 0.5, "brow_raise": 0.2},
    "pouting": {"pout": 1.0, "smile": -0.3, "brow_angle": 0.3, "brow_raise": -0.2, "gaze_x": -0.6},
    "winking": {"lid_left": 1.0, "smile": 0.75, "brow_raise": 0.3},
    "closing eyes": {"lid_left": 1.0, "lid_right": 1.0},
    "opening mouth": {"open": 1.0, "smile": 0.0},
}
IDENTITY_PRESETS = {"has blonde hair": "hair:blonde", "is getting old": "age", "stormy": "stormy"}
PROMPTS = (*EXPRESSION_PRESETS, *IDENTITY_PRESETS)


def columns(names: tuple[str, ...]) -> list[int]:
    return [COLUMN[name] for name in names]


def from_normal(normal: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Attributes of calm faces from standard normal numbers, one per attribute: the domain's prior over seeds."""
    attributes = torch.zeros_like(normal)
    for group, names in PALETTES.items():
        group_columns = columns(tuple(f"{group}:{name}" for name in names))
        attributes[:, group_columns] = torch.softmax(5 * normal[:, group_columns], dim=1)
    for name in SIZES:
        attributes[:, COLUMN[name]] = 0.5 * (1 + torch.erf(normal[:, COLUMN[name]] / math.sqrt(2)))
    for name, threshold in SWITCHES.items():
        attributes[:, COLUMN[name]] = torch.sigmoid(14 * (normal[:, COLUMN[name]] - threshold))
    attributes[:, COLUMN["sunny"]] *= 1 - attributes[:, COLUMN["stormy"]]
    for name in POSE:
        attributes[:, COLUMN[name]] = torch.tanh(0.7 * normal[:, COLUMN[name]])
    mild = {"smile": 0.28, "brow_raise": 0.2, "brow_angle": 0.12, "gaze_x": 0.22, "gaze_y": 0.1, "blush": 0.15}
    for name, spread in mild.items():
        rest = NEUTRAL.get(name, 0.0)
        attributes[:, COLUMN[name]] = rest + spread * torch.tanh(normal[:, COLUMN[name]])
    attributes[:, COLUMN["blush"]].clamp_(min=0)
    return attributes


def with_expression(faces: Float[Tensor, "n k"], name: str) -> Float[Tensor, "n k"]:
    """The same people with the expression `name` of EXPRESSION_PRESETS, or "neutral"."""
    faces = faces.clone()
    preset = NEUTRAL if name == "neutral" else EXPRESSION_PRESETS[name]
    for attribute in EXPRESSION:
        faces[:, COLUMN[attribute]] = preset.get(attribute, 0.0)
    return faces


def with_preset(faces: Float[Tensor, "n k"], prompt: str) -> Float[Tensor, "n k"]:
    """The same faces with the full change that `prompt` (one of PROMPTS) names, everything else kept."""
    if prompt in EXPRESSION_PRESETS:
        return with_expression(faces, prompt)
    faces = faces.clone()
    column = COLUMN[IDENTITY_PRESETS[prompt]]
    if prompt == "has blonde hair":
        faces[:, columns(tuple(f"hair:{name}" for name in PALETTES["hair"]))] = 0.0
        faces[:, COLUMN["age"]] = 0.0
    if prompt == "stormy":
        faces[:, COLUMN["sunny"]] = 0.0
    faces[:, column] = 1.0
    return faces


def sample_neutral(n: int, generator: torch.Generator) -> Float[Tensor, "n k"]:
    """Neutral faces on which every prompt is still to happen: not old, not blonde, no storm."""
    normal = torch.randn(n, NUM_ATTRIBUTES, generator=generator)
    for name, limit in (("age", 0.2), ("stormy", 0.4), ("sunny", 0.5), ("hair:blonde", -0.8)):
        normal[:, COLUMN[name]].clamp_(max=limit)
    return with_expression(from_normal(normal), "neutral")


def sample(n: int, generator: torch.Generator) -> tuple[Float[Tensor, "n k"], list[str]]:
    """Training faces and the preset each one shows ("" where it is a free mixture).

    Half wear one preset at a random intensity, a quarter mix two, a quarter move every expression attribute freely.
    """
    faces = from_normal(torch.randn(n, NUM_ATTRIBUTES, generator=generator))
    expressions = torch.stack([with_expression(faces[:1], name)[0] for name in ("neutral", *EXPRESSION_PRESETS)])
    expressions = expressions[:, columns(EXPRESSION)]
    names = ("neutral", *EXPRESSION_PRESETS)
    neutral = expressions[0]
    first, second = torch.randint(len(names), (2, n), generator=generator)
    amount, other = torch.rand(2, n, 1, generator=generator)
    kind = torch.rand(n, generator=generator)
    amount = torch.where(torch.rand(n, 1, generator=generator) < 0.6, 0.85 + 0.25 * amount, 1.1 * amount)
    expression = neutral + amount * (expressions[first] - neutral)
    mixed = (kind > 0.5) & (kind <= 0.75)
    expression[mixed] += (0.8 * other * (expressions[second] - neutral))[mixed]
    jitter = torch.randn(n, len(EXPRESSION), generator=generator)
    gate = torch.rand(n, len(EXPRESSION), generator=generator) < 0.5
    expression = expression + 0.05 * jitter * gate
    free = kind > 0.75
    expression[free] = (neutral + 0.55 * jitter * gate)[free]
    faces[:, columns(EXPRESSION)] = expression
    labels = [names[i] if k <= 0.5 and a > 0.8 else "" for i, k, a in zip(first, kind, amount[:, 0], strict=True)]
    return bounded(faces), labels


SIGNED = ("smile", "narrow", "skew", "brow_angle", "brow_raise", "gaze_x", "gaze_y", *POSE)


def bounded(faces: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Attributes cut to what the renderer draws: signed ones to -1.1..1.1, others to 0..1.1 (lids to 1)."""
    low = torch.tensor([-1.1 if name in SIGNED else 0.0 for name in NAMES])
    high = torch.tensor([1.0 if name.startswith("lid") or ":" in name else 1.1 for name in NAMES])
    return torch.minimum(torch.maximum(faces, low), high)


# What reports and trainings ask of them

NAMED: dict[str, tuple[str, ...]] = {
    "smiling": ("smile",),
    "happy": ("smile", "open"),
    "sad": ("smile", "brow_angle"),
    "angry": ("smile", "brow_angle"),
    "annoyed": ("skew", "lid_left", "lid_right"),
    "serious": ("brow_raise", "brow_angle"),
    "surprised": ("open", "widen", "brow_raise"),
    "shocked": ("shock",),
    "stunned": ("stun",),
    "disgusted": ("disgust",),
    "crying": ("tears",),
    "pouting": ("pout",),
    "winking": ("lid_left",),
    "closing eyes": ("lid_left", "lid_right"),
    "opening mouth": ("open",),
    "has blonde hair": ("hair:blonde",),
    "is getting old": ("age",),
    "stormy": ("stormy",),
}


def preserved(prompt: str) -> tuple[str, ...]:
    """Attributes of person and scene that `prompt` must leave as they are."""
    touched = {
        "has blonde hair": ("hair:", "age"),
        "is getting old": ("hair:",),
        "stormy": ("sunny", "backdrop:"),
    }.get(prompt, ())
    return tuple(name for name in IDENTITY if name not in NAMED[prompt] and not name.startswith(touched))


PERSON = (*(f"{part}:{name}" for part in ("hair", "eyes") for name in PALETTES[part]), *SIZES)
PERSON += ("curl", "glasses", "beard", "age")

ATTRIBUTES = AttributeSpace(
    names=NAMES,
    expression=EXPRESSION,
    expression_prompts=tuple(EXPRESSION_PRESETS),
    other_prompts=tuple(IDENTITY_PRESETS),
    from_normal=from_normal,
    sample=sample,
    sample_neutral=sample_neutral,
    with_preset=with_preset,
    bounded=bounded,
    named=NAMED,
    sides={"winking": ("lid_left", "lid_right")},
    preserved={prompt: preserved(prompt) for prompt in PROMPTS},
    person=PERSON,
    restyled=tuple(name for name in IDENTITY if name not in ("age", "stormy", "sunny", "glasses")),
    one_sided=("open", "pout", "skew", "lid_left", "lid_right", "tears", "disgust", "stun", "shock"),
    sway={"yaw": 0.3, "pitch": 0.2, "gaze_x": 0.25},
    lids=("lid_left", "lid_right"),
)
