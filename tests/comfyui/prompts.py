"""Prompts in API format, short: an input that is not given takes its default, as a new node on the canvas does."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO

import numpy as np
from ui_format import widgets


class Prompts:
    def __init__(self, object_info: dict):
        self.object_info = object_info

    def node(self, type_: str, **inputs: object) -> dict:
        """One node of a prompt; a link is written ("id", slot)."""
        defaults = {name: first(options) for name, options in widgets(self.object_info[type_]).items()}
        given = {name: list(value) if isinstance(value, tuple) else value for name, value in inputs.items()}
        return {"class_type": type_, "inputs": defaults | given}

    def motion(self, text: str = "smiling", frames: int = 6) -> dict[str, dict]:
        """Domain, one face, one motion."""
        return {
            "domain": self.node("LGA_LoadDomain"),
            "face": self.node("LGA_SampleFace", generator=("domain", 0), seed=1),
            "text": self.node("LGA_EncodeText", clip=("domain", 2), motion_model=("domain", 3), text=text),
            "motion": self.node(
                "LGA_MotionRollout", motion_model=("domain", 3), text=("text", 0), frames=frames, seed=1
            ),
        }

    def clip(self, text: str = "smiling", frames: int = 6) -> dict[str, dict]:
        """The whole way to a video file."""
        return self.motion(text, frames) | {
            "frames": self.synthesize("domain", "face", "motion"),
            "video": self.node("CreateVideo", images=("frames", 0), fps=("frames", 1)),
            "saved": self.node("SaveVideo", video=("video", 0), filename_prefix="clip"),
        }

    def synthesize(self, domain: str, face: str, motion: str) -> dict:
        return self.node("LGA_SynthesizeFrames", generator=(domain, 0), faces=(face, 0), motion=(motion, 0))

    def shown(self, prompt: dict, *link: object) -> dict:
        """The prompt with a preview of the pictures that `link` gives out, so that it has an output node."""
        return prompt | {"shown": self.node("PreviewImage", images=link)}


def first(options: dict) -> object:
    """A widget's value on a new node."""
    if "default" in options:
        return options["default"]
    return next(iter(options.get("options", ())), "")


def decoded(video: bytes) -> tuple[np.ndarray, float]:
    """Frames [t h w 3] of 0..255, as a player would show them, and frames a second."""
    import av

    with av.open(BytesIO(video)) as container:
        rate = container.streams.video[0].average_rate or Fraction(0)
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]), float(rate)


def pixels(picture: bytes) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(BytesIO(picture)).convert("RGB"))
