"""Pictures of an evaluation for its page: strips of clips, flows between neighbouring frames, the worst clips."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from lga_core.imaging import estimate_flow, evenly

from ..reports.html import escape, inline
from .registry import ABLATION
from .shards import Shard, ShardCache

SHOWN_FRAMES = 6
CELL = 128
"""Side of a frame on the page, in pixels, at most."""
REACH = 0.02
"""Flow, in halves of the picture's side, that is shown in full colour."""
WORST = 6


class Pictured:
    """What was kept of an evaluation's clips, as <img> elements."""

    def __init__(self, told: Mapping[str, Any], kept: ShardCache, at_once: int):
        self.told, self.kept = told, kept
        self.count = min(at_once, told["num_faces"])
        self.methods = {name: row for name, row in told["methods"].items() if not name.startswith(ABLATION)}
        self.prompts = list(next(iter(told["methods"].values()))["prompts"])
        self.tensors = cache(self._tensors)

    def _tensors(self, method: str, prompt: int) -> dict[str, Tensor]:
        tensors = self.kept.read(Shard(method, prompt, 0, self.count))[1]
        return {name: tensors[name] for name in ("paths", "pictures")}

    def strips(self, quality: int) -> str:
        """A block for each prompt: each method's clip of one face."""
        blocks = []
        for number, prompt in enumerate(self.prompts):
            rows = "".join(
                self._row(row["label"], self._strip(self.tensors(name, number)["pictures"], number), quality)
                for name, row in self.methods.items()
            )
            blocks.append(f'<h3 class="sub">{escape(prompt)}</h3>{_sheet(rows)}')
        return "".join(blocks)

    @staticmethod
    def _strip(pictures: UInt8[Tensor, "n t 3 h w"], number: int) -> UInt8[Tensor, "t 3 h w"]:
        """Another face for each prompt, in turn."""
        clip = pictures[number % len(pictures)]
        return clip[evenly(len(clip), SHOWN_FRAMES)]

    @staticmethod
    def _row(label: str, frames: UInt8[Tensor, "t 3 h w"], quality: int) -> str:
        return f"<div><span>{escape(label)}</span><div>{inline(side_by_side(frames), label, quality)}</div></div>"

    def paths(self) -> dict[str, list[list[float]]]:
        """Paths of the first face under the first prompt, by method."""
        return {row["label"]: self.tensors(name, 0)["paths"][0].tolist() for name, row in self.methods.items()}

    def flows(self, quality: int) -> str:
        """For the first prompt and face, each method: the flow between neighbouring frames."""
        rows = ""
        for name, row in self.methods.items():
            clip = self.tensors(name, 0)["pictures"][0].float() / 127.5 - 1
            places = [place for place in evenly(len(clip), SHOWN_FRAMES) if place + 1 < len(clip)]
            moved = estimate_flow(clip[places], clip[[place + 1 for place in places]])
            rows += self._row(row["label"], in_colours(moved), quality)
        return _sheet(rows)

    def worst(self, quality: int) -> str:
        """LGA's last frames under the prompts that the judge sees least often, beside the faces as they were."""
        ours = self.told["methods"].get("lga")
        if ours is None or "judge_rise" not in ours["means"]:
            return ""
        known = [prompt for prompt in self.prompts if "judge_rise" in ours["prompts"][prompt]]
        order = sorted(known, key=lambda prompt: ours["prompts"][prompt]["judge_rise"]["mean"])[:WORST]
        rows = ""
        for prompt in order:
            pictures = self.tensors("lga", self.prompts.index(prompt))["pictures"]
            pairs = torch.stack([pictures[:, 0], pictures[:, -1]], dim=1).flatten(0, 1)
            rows += self._row(prompt, pairs, quality)
        return f'<h3 class="sub">The prompts that LGA does least often: faces before and after</h3>{_sheet(rows)}'


def _sheet(rows: str) -> str:
    return f'<div class="sheet"><div class="rows">{rows}</div></div>'


def side_by_side(frames: UInt8[Tensor, "t 3 h w"]) -> Image.Image:
    """One picture of all frames, none wider than `CELL`."""
    strip = Image.fromarray(torch.cat(list(frames), dim=2).permute(1, 2, 0).numpy())
    size = frames.shape[-1]
    if size <= CELL:
        return strip
    return strip.resize((len(frames) * CELL, CELL), Image.Resampling.LANCZOS)


def in_colours(moved: Float[Tensor, "n 2 h w"]) -> UInt8[Tensor, "n 3 h w"]:
    """Flow as colour: the hue says which way, the saturation how far; white stands still."""
    way, far = torch.atan2(moved[:, 1], moved[:, 0]), (moved.norm(dim=1) / REACH).clamp(max=1)
    hues = torch.stack([(way + shift).cos() for shift in (0.0, 2.0944, -2.0944)], dim=1)  # a third of a turn apart
    return ((1 - far[:, None] * (1 - (hues + 1) / 2)) * 255).round().byte()
