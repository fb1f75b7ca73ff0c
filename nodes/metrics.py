"""The node that measures a clip, whichever method made it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from ..lga_core import Images, InputError
from ..lga_core.imaging import to_nchw
from ..lga_core.metrics import ClipMetrics, identity_embedding, measure_clip, plot_clip_metrics
from ..lga_core.shapes import ImagesNHWC
from .host import Progress, image_of, make_ready, new_output, say, warnings_caught
from .types import CLIP, IDENTITY, ROOT, LoadedClip, LoadedIdentity
from .widgets import frame_rate, text

CHUNK = 8
"""Frames that are measured between two steps of the progress bar."""
MEANINGS = {
    "magnitude": "mean absolute change from the first frame",
    "first_step_share": "share of the first step in the whole movement",
    "flicker": "0 for an even pace, 1 for back and forth",
    "jerk": "0 for an even pace, 4 for back and forth",
    "acd": "average content distance, of identity embeddings; 0 for a still image",
    "acd_consecutive": "the same between neighbouring frames, as in the paper's code",
    "identity": "mean identity similarity to the first frame",
    "alignment": "CLIP similarity of the last frame and the text",
    "alignment_rise": "its gain over the first frame",
}
"""What each of `ClipMetrics.figures` means."""


class MeasureAnimation:
    DISPLAY_NAME = "Measure Animation"
    DESCRIPTION = (
        "Measure a clip: the amount and smoothness of its motion, and with CLIP whether the person stays the same and "
        "the text comes true. For clips of one face. To compare clips, measure them with the same inputs."
    )
    SEARCH_ALIASES = ["metrics", "evaluate clip", "acd", "flicker", "jerk", "clip score"]
    CATEGORY = f"{ROOT}/render"
    RETURN_TYPES, RETURN_NAMES = ("IMAGE", "STRING"), ("plot", "report")
    OUTPUT_TOOLTIPS = (
        "Plot of change, steps, identity and text similarity over time.",
        "All metrics, one per line.",
    )
    OUTPUT_NODE = True
    FUNCTION = "measure"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "frames": ("IMAGE", {"tooltip": "Frames of the clip, which shows one face."}),
                "fps": frame_rate("Frames per second, for the plot's time axis in seconds."),
                "words": text(
                    "",
                    "Text that the last frame should match, a whole sentence. It needs clip. Empty: text similarity is "
                    "not measured.",
                ),
            },
            "optional": {
                "clip": (
                    CLIP,
                    {
                        "tooltip": "CLIP model for text similarity, and for identity where identity is not connected. "
                        "One that the motion was not made with is a fairer judge."
                    },
                ),
                "identity": (IDENTITY, {"tooltip": "Face recognition network, for photographs of real faces."}),
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

    def measure(
        self, frames, fps, words, clip: LoadedClip | None = None, identity: LoadedIdentity | None = None, node=None
    ):
        if not torch.isfinite(frames).all():
            raise InputError("The frames have values that are not numbers (NaN or inf). Check the node that made them.")
        if words.strip() and clip is None:
            raise InputError("The text in words needs a CLIP model to compare it with the frames. Connect clip.")
        models = [each.model for each in (clip, identity) if each is not None]
        if models:
            make_ready(*models)
        device = models[0].device if models else torch.device("cpu")
        reader = None if clip is None else clip.model.module
        embed_identity = identity_embedding(identity and identity.model.module, reader)
        with warnings_caught() as warned:
            text_embedding = None if reader is None or not words.strip() else reader.encode_text([words])
        embed_images = None if text_embedding is None or reader is None else reader.encode_images
        found = measure_clip(_measured(frames, device), embed_identity, embed_images, text_embedding)
        report = "\n".join([*warned, *_lines(found, clip, identity)])
        say("\n".join([*warned, _summary(found)]), node, warning=bool(warned))
        plot = plot_clip_metrics(found, words.strip() or "Motion of the clip", fps)
        path, reference = new_output("lga/measures", ".png", "temp")
        plot.save(path, compress_level=4)
        return {"ui": {"images": [reference]}, "result": (image_of(plot), report)}


def _measured(frames: ImagesNHWC, device: torch.device) -> Iterator[Images]:
    """The frames, a few at a time, each a step of the progress bar once it was measured."""
    progress = Progress(len(frames))
    for part in frames.split(CHUNK):
        yield to_nchw(part).to(device)
        progress.step(len(part))


def _known(found: ClipMetrics) -> dict[str, float]:
    return {name: value for name, value in found.figures().items() if name in MEANINGS and not math.isnan(value)}


def _summary(found: ClipMetrics) -> str:
    """The metrics without their meanings, short enough for the node."""
    return ", ".join(f"{name} {value:.4f}" for name, value in _known(found).items())


def _lines(found: ClipMetrics, clip: LoadedClip | None, identity: LoadedIdentity | None) -> list[str]:
    """Every metric with its meaning, then the model that judged identity, and what to connect for missing metrics."""
    lines = [f"{name} {value:.4f}: {MEANINGS[name]}" for name, value in _known(found).items()]
    if found.identities is None:
        lines.append("acd, identity: not measured. Connect identity, or a CLIP model of the ResNet kind.")
    elif identity is None and clip is not None:
        lines.append(f"Identity was judged by colours and textures in feature maps of CLIP '{clip.identity.name}'.")
    if found.alignment is None:
        lines.append("alignment: not measured. Connect clip, and write the text into words.")
    return lines
