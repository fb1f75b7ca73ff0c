"""Images of an evaluation's report: strips of clips, optical flow between frames, the worst clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from lga_core.imaging import estimate_flow, evenly

from ..reports.html import embedded
from ..reports.sheet_rows import Row
from .shards import Shard, ShardCache

SHOWN_FRAMES = 6
CELL = 128
"""Side of a frame on the page in pixels, at most."""
FULL_COLOR_FLOW = 0.02
"""Flow, in halves of the image's side, that is shown fully saturated."""
NUM_WORST = 6


class Strip(NamedTuple):
    """Images side by side, beside their label."""

    label: str
    images: UInt8[Tensor, "t 3 h w"]


class ClipFigures:
    """Figures of cached clips. methods: rows of the results; num_faces: faces of a shard."""

    def __init__(self, methods: Mapping[str, Any], shards: ShardCache, num_faces: int):
        self.methods, self.shards, self.num_faces = methods, shards, num_faces
        self.prompts = list(next(iter(methods.values()))["prompts"]) if methods else []
        self.tensors = cache(self._tensors)

    def _tensors(self, method: str, prompt: int) -> dict[str, Tensor]:
        tensors = self.shards.read(Shard(method, prompt, 0, self.num_faces))[1]
        return {name: tensors[name] for name in ("paths", "pictures")}

    def examples(self) -> dict[str, list[Strip]]:
        """For each prompt, every method's clip of one face."""
        return {
            prompt: [
                Strip(row["label"], _example(self.tensors(name, number)["pictures"], number))
                for name, row in self.methods.items()
            ]
            for number, prompt in enumerate(self.prompts)
        }

    def paths(self) -> dict[str, list[list[float]]]:
        """By method, the path of the first face under the first prompt, a point [x, y] for each frame."""
        return {row["label"]: self.tensors(name, 0)["paths"][0].tolist() for name, row in self.methods.items()}

    def flows(self) -> list[Strip]:
        """For each method, the flow between neighbouring frames, for the first prompt and face."""
        return [
            Strip(row["label"], _flow_strip(self.tensors(name, 0)["pictures"][0])) for name, row in self.methods.items()
        ]

    def worst(self, method: str) -> list[Strip]:
        """First and last frames under the prompts that the judge sees on the fewest faces; none without a judge."""
        row = self.methods.get(method)
        if row is None or "judge_rise" not in row["means"]:
            return []
        known = [prompt for prompt in self.prompts if "judge_rise" in row["prompts"][prompt]]
        worst = sorted(known, key=lambda prompt: row["prompts"][prompt]["judge_rise"]["mean"])[:NUM_WORST]
        return [Strip(prompt, _ends(self.tensors(method, self.prompts.index(prompt))["pictures"])) for prompt in worst]


def _example(clips: UInt8[Tensor, "n t 3 h w"], number: int) -> UInt8[Tensor, "f 3 h w"]:
    """A few frames of one face; prompts take the faces in turn."""
    clip = clips[number % len(clips)]
    return clip[evenly(len(clip), SHOWN_FRAMES)]


def _flow_strip(clip: UInt8[Tensor, "t 3 h w"]) -> UInt8[Tensor, "f 3 h w"]:
    images = clip.float() / 127.5 - 1
    places = [place for place in evenly(len(images), SHOWN_FRAMES) if place + 1 < len(images)]
    return flow_colors(estimate_flow(images[places], images[[place + 1 for place in places]]))


def _ends(clips: UInt8[Tensor, "n t 3 h w"]) -> UInt8[Tensor, "m 3 h w"]:
    """First and last frame of each face, side by side."""
    return torch.stack([clips[:, 0], clips[:, -1]], dim=1).flatten(0, 1)


def embedded_rows(strips: Sequence[Strip], quality: int) -> list[Row]:
    return [Row(label, embedded(side_by_side(images), label, quality)) for label, images in strips]


def side_by_side(frames: UInt8[Tensor, "t 3 h w"]) -> Image.Image:
    """All frames in one image, each at most `CELL` pixels wide."""
    strip = Image.fromarray(torch.cat(list(frames), dim=2).permute(1, 2, 0).numpy())
    size = frames.shape[-1]
    if size <= CELL:
        return strip
    return strip.resize((len(frames) * CELL, CELL), Image.Resampling.LANCZOS)


def flow_colors(flow: Float[Tensor, "n 2 h w"]) -> UInt8[Tensor, "n 3 h w"]:
    """Optical flow as colours: the hue is the direction, the saturation the speed; white stands still."""
    direction, speed = torch.atan2(flow[:, 1], flow[:, 0]), (flow.norm(dim=1) / FULL_COLOR_FLOW).clamp(max=1)
    hues = torch.stack([(direction + shift).cos() for shift in (0.0, 2.0944, -2.0944)], dim=1)  # thirds of a turn
    return ((1 - speed[:, None] * (1 - (hues + 1) / 2)) * 255).round().byte()
