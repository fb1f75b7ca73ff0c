"""The doodle domain's words: its concepts, their phrases, and the sentences around them."""

import torch
from torch import Tensor

from ..words.lexicon import Concept, Lexicon, Rule
from .rendering.attributes import ATTRIBUTES, PROMPTS

SUBJECT = "The cartoon face"
TEMPLATES = {
    "state": ("The cartoon face is {}.", "The cartoon face is {}", "The face is {}.", "a face that is {}", "{}")
    + ("a cartoon person who is {}", "The person is {}.", "a {} face", "The cartoon is {}"),
    "feature": ("The cartoon face has {}.", "The cartoon face has {}", "a face with {}", "{}", "The face has {}.")
    + ("a person with {}", "The person has {}."),
    "weather": ("It is {}.", "It is {}", "The weather is {}.", "{}", "a face while it is {}", "{} weather"),
}
NEUTRAL_PHRASES = ("a cartoon face", "The cartoon face", "a face", "The cartoon face is neutral.", "a neutral face")


def both(a: Tensor, b: Tensor) -> Tensor:
    return torch.minimum(a, b)


def hair(name: str) -> Rule:
    return lambda p: [p(f"hair:{name}") - 0.6, 0.4 - p("age")]


def eyes(name: str) -> Rule:
    return lambda p: [p(f"eyes:{name}") - 0.6, 0.5 - p("lid_left"), 0.5 - p("lid_right"), 0.5 - p("stun")]


CONCEPTS: dict[str, Concept] = {
    "smiling": Concept(
        "state",
        lambda p: [p("smile") - 0.55, 0.32 - p("open"), 0.65 - p("lid_left")],
        ("smiling", "giving a smile"),
        ("grinning",),
    ),
    "happy": Concept(
        "state", lambda p: [p("smile") - 0.55, p("open") - 0.4], ("happy", "joyful", "laughing"), ("cheerful",)
    ),
    "sad": Concept(
        "state",
        lambda p: [-0.5 - p("smile"), -0.4 - p("brow_angle"), 0.5 - p("tears")],
        ("sad", "unhappy", "down"),
        ("gloomy",),
    ),
    "angry": Concept(
        "state", lambda p: [p("brow_angle") - 0.6, -0.35 - p("smile")], ("angry", "mad", "furious"), ("enraged",)
    ),
    "annoyed": Concept(
        "state",
        lambda p: [p("skew") - 0.5, p("lid_left") - 0.22, 0.75 - p("lid_left"), p("lid_right") - 0.22],
        ("annoyed", "irritated", "grumpy"),
        ("bothered",),
    ),
    "serious": Concept(
        "state",
        lambda p: (
            [-0.55 - p("brow_raise"), p("brow_angle") - 0.2, 0.75 - p("brow_angle"), 0.4 - p("smile").abs()]
            + [0.3 - p("open"), 0.4 - p("skew"), 0.5 - p("disgust"), 0.5 - p("pout")]
        ),
        ("serious", "stern", "strict"),
        ("solemn",),
    ),
    "surprised": Concept(
        "state",
        lambda p: [p("open") - 0.32, p("widen") - 0.4, p("brow_raise") - 0.45, 0.5 - p("shock"), 0.5 - p("stun")],
        ("surprised", "amazed", "astonished"),
        ("startled",),
    ),
    "shocked": Concept("state", lambda p: [p("shock") - 0.5], ("shocked", "horrified", "scared"), ("terrified",)),
    "stunned": Concept("state", lambda p: [p("stun") - 0.5], ("stunned", "dazed", "hypnotised"), ("dizzy",)),
    "disgusted": Concept("state", lambda p: [p("disgust") - 0.5], ("disgusted", "sick", "grossed out"), ("nauseous",)),
    "crying": Concept("state", lambda p: [p("tears") - 0.5], ("crying", "in tears", "sobbing"), ("weeping",)),
    "pouting": Concept(
        "state", lambda p: [p("pout") - 0.5], ("pouting", "sulking", "puckering the lips"), ("kissing",)
    ),
    "winking": Concept(
        "state",
        lambda p: [
            torch.maximum(
                both(p("lid_left") - 0.78, 0.5 - p("lid_right")), both(p("lid_right") - 0.78, 0.5 - p("lid_left"))
            )
        ],
        ("winking", "closing one eye", "giving a wink"),
        ("blinking with one eye",),
    ),
    "closing eyes": Concept(
        "state",
        lambda p: [p("lid_left") - 0.78, p("lid_right") - 0.78],
        ("closing eyes", "sleeping", "closing the eyes"),
        ("asleep",),
    ),
    "opening mouth": Concept(
        "state",
        lambda p: [p("open") - 0.62, 0.4 - p("smile"), 0.5 - p("shock"), 0.5 - p("tears"), 0.5 - p("widen")],
        ("opening mouth", "opening the mouth", "yawning", "shouting"),
        ("screaming",),
    ),
    "has blonde hair": Concept(
        "feature", hair("blonde"), ("blonde hair", "golden hair", "yellow hair"), ("fair hair",), weight=1.5
    ),
    "is getting old": Concept(
        "state", lambda p: [p("age") - 0.5], ("getting old", "old", "aged", "wrinkled"), ("elderly",), weight=1.5
    ),
    "stormy": Concept(
        "weather", lambda p: [p("stormy") - 0.5], ("stormy", "raining", "thundering"), ("rainy",), weight=1.5
    ),
    "brown hair": Concept("feature", hair("brown"), ("brown hair",)),
    "black hair": Concept("feature", hair("black"), ("black hair", "dark hair")),
    "red hair": Concept("feature", hair("red"), ("red hair", "ginger hair")),
    "blue hair": Concept("feature", hair("blue"), ("blue hair",)),
    "pink hair": Concept("feature", hair("pink"), ("pink hair",)),
    "brown eyes": Concept("feature", eyes("brown"), ("brown eyes",), weight=0.4),
    "blue eyes": Concept("feature", eyes("blue"), ("blue eyes",), weight=0.4),
    "green eyes": Concept("feature", eyes("green"), ("green eyes",), weight=0.4),
    "long hair": Concept("feature", lambda p: [p("hair_length") - 0.7], ("long hair",), weight=0.6),
    "short hair": Concept("feature", lambda p: [0.3 - p("hair_length")], ("short hair",), weight=0.6),
    "curly hair": Concept("feature", lambda p: [p("curl") - 0.5], ("curly hair", "wavy hair")),
    "glasses": Concept("feature", lambda p: [p("glasses") - 0.5], ("glasses", "eyeglasses")),
    "beard": Concept("feature", lambda p: [p("beard") - 0.5], ("a beard", "facial hair")),
    "fair skin": Concept("feature", lambda p: [p("skin") - 0.75], ("fair skin", "pale skin"), weight=0.4),
    "dark skin": Concept("feature", lambda p: [0.3 - p("skin")], ("dark skin", "brown skin"), weight=0.4),
    "sunny": Concept("weather", lambda p: [p("sunny") - 0.5], ("sunny", "a sunny day")),
    "blushing": Concept("state", lambda p: [p("blush") - 0.55], ("blushing", "shy"), weight=0.5),
    "young": Concept("state", lambda p: [0.1 - p("age")], ("young",), weight=0.2),
}


def sentence(prompt: str) -> str:
    if prompt == "stormy":
        return "It is stormy."
    return f"{SUBJECT} {prompt}." if prompt.startswith(("has ", "is ")) else f"{SUBJECT} is {prompt}."


LEXICON = Lexicon(
    attributes=ATTRIBUTES,
    concepts=CONCEPTS,
    templates=TEMPLATES,
    template=f"{SUBJECT} is {{}}.",
    subject=SUBJECT,
    neutral_phrases=NEUTRAL_PHRASES,
    sentences={prompt: sentence(prompt) for prompt in PROMPTS},
)
