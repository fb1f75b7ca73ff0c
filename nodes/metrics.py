"""The node that measures a clip, whatever made it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch

from ..lga_core import Images, InputError
from ..lga_core.imaging import to_nchw
from ..lga_core.metrics import Measures, color_texture_features, has_stages, measure, plot_measures
from ..lga_core.shapes import ImagesNHWC
from .host import Progress, frame_rate, image_of, make_ready, new_output, say, warnings_caught
from .types import CLIP, IDENTITY, ROOT, LoadedClip, LoadedIdentity

CHUNK = 8
"""Frames that are measured between two steps of the progress bar."""
MEANT = {
    "magnitude": "how much it moves: mean change of a frame from the first one",
    "first_step_share": "share of the first step in all movement",
    "flicker": "0 at an even pace, 1 to and fro",
    "jerk": "0 at an even pace, 4 to and fro",
    "acd": "average content distance of who is seen, 0 for a still picture",
    "acd_consecutive": "the same of neighbouring frames, as the paper's code has it",
    "identity": "likeness to the first frame, mean",
    "alignment": "how much the last frame agrees with the words",
    "alignment_rise": "how much more than the first one",
}
"""What each of `Measures.figures` says."""


class MeasureAnimation:
    DESCRIPTION = (
        "Measure a clip: how much it moves and how evenly, and with CLIP whether it keeps the person and comes to show "
        "the words. For one face in the frame; measure clips that you compare with the same inputs."
    )
    SEARCH_ALIASES = ["metrics", "evaluate clip", "acd", "flicker", "jerk", "clip score"]
    CATEGORY = f"{ROOT}/render"
    RETURN_TYPES, RETURN_NAMES = ("IMAGE", "STRING"), ("plot", "report")
    OUTPUT_TOOLTIPS = ("Change, steps, person and words over time.", "All figures, a line each.")
    OUTPUT_NODE = True
    FUNCTION = "measure"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "frames": ("IMAGE", {"tooltip": "The clip's frames, of one face."}),
                "fps": frame_rate("Frames a second, for the plot's time in seconds."),
                "words": (
                    "STRING",
                    {
                        "default": "",
                        "multiline": True,
                        "dynamicPrompts": False,
                        "tooltip": "What the clip should come to show, a whole sentence, for clip to compare. Empty: "
                        "nothing is compared.",
                    },
                ),
            },
            "optional": {
                "clip": (
                    CLIP,
                    {
                        "tooltip": "Compares frames and words, and tells people apart by colours and textures. Another "
                        "than the motion was made with judges it more fairly."
                    },
                ),
                "identity": (IDENTITY, {"tooltip": "Knows people: for photographs of real faces."}),
            },
            "hidden": {"node": "UNIQUE_ID"},
        }

    def measure(
        self, frames, fps, words, clip: LoadedClip | None = None, identity: LoadedIdentity | None = None, node=None
    ):
        if not torch.isfinite(frames).all():
            raise InputError("The frames hold values that are not numbers. Check the node that made them.")
        if words.strip() and clip is None:
            raise InputError("Words were given, but nothing that compares them with pictures. Connect CLIP.")
        models = [each.model for each in (clip, identity) if each is not None]
        if models:
            make_ready(*models)
        device = models[0].device if models else torch.device("cpu")
        reader = None if clip is None else clip.model.module
        with warnings_caught() as said:
            told = None if reader is None or not words.strip() else reader.encode_text([words])
        look = None if told is None or reader is None else reader.encode_images
        found = measure(_seen(frames, device), _people(clip, identity), look, told)
        report = "\n".join([*said, *_lines(found, clip, identity)])
        say("\n".join([*said, _summary(found)]), node, warning=bool(said))
        plot = plot_measures(found, words.strip() or "How the clip moves", fps)
        path, reference = new_output("lga/measures", ".png", "temp")
        plot.save(path, compress_level=4)
        return {"ui": {"images": [reference]}, "result": (image_of(plot), report)}


def _seen(frames: ImagesNHWC, device: torch.device) -> Iterator[Images]:
    """The frames, a few at a time, each a step of the progress bar once it was measured."""
    progress = Progress(len(frames))
    for part in frames.split(CHUNK):
        yield to_nchw(part).to(device)
        progress.step(len(part))


def _people(clip: LoadedClip | None, identity: LoadedIdentity | None) -> Callable[[Images], torch.Tensor] | None:
    """What tells people apart, the best at hand."""
    if identity is not None:
        return identity.model.module
    if clip is None or not has_stages(clip.model.module):
        return None
    return color_texture_features(clip.model.module, 2 * clip.model.module.image_size)


def _known(found: Measures) -> dict[str, float]:
    return {name: value for name, value in found.figures().items() if name in MEANT and not math.isnan(value)}


def _summary(found: Measures) -> str:
    """The figures alone, for which there is room on the node."""
    return ", ".join(f"{name} {value:.4f}" for name, value in _known(found).items())


def _lines(found: Measures, clip: LoadedClip | None, identity: LoadedIdentity | None) -> list[str]:
    """Every figure and what it says, then who judged, and what to bring for those that are missing."""
    lines = [f"{name} {value:.4f}: {MEANT[name]}" for name, value in _known(found).items()]
    if found.identities is None:
        lines.append("acd, identity: connect an identity network, or CLIP of the ResNet kind.")
    elif identity is None and clip is not None:
        lines.append(f"People were told apart by feature maps of CLIP '{clip.identity.name}', colours and textures.")
    if found.alignment is None:
        lines.append("alignment: connect CLIP, and write the words.")
    return lines
