"""One piece of an evaluation: a method, some words, some faces; drawn, measured, and kept, so that it is done once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from lga_core import Domain, Images, Motion, WPlus, frames, write_clip
from lga_core.metrics import measure_clip, pca_path
from lga_core.stylegan2.inference import fastest_dtype

from ..data.prompts import Prompt
from ..metrics.evaluation_setup import EvaluationSetup
from ..reports.html import slug
from ..training.atomic_files import aside, write
from .benchmark import in_batches
from .methods import Method, Words
from .profiling import costing

FPS = 10
"""Frames a second of the clips, as in the paper's code."""
SHOWN = 4
"""Faces of which pictures are kept for the report, of each prompt."""


@dataclass(frozen=True)
class Shard:
    """Faces `first` .. `first + count - 1` under prompt number `prompt`, by the method of this name."""

    method: str
    prompt: int
    first: int
    count: int

    @property
    def name(self) -> str:
        return f"{self.prompt:03d}-{self.first:05d}"


@dataclass(frozen=True)
class ShardCache:
    """Where pieces of an evaluation are kept: figures and features of each, and its clips."""

    out: Path

    def figures(self, piece: Shard) -> Path:
        return self.out / "pieces" / piece.method / f"{piece.name}.json"

    def features(self, piece: Shard) -> Path:
        return self.out / "pieces" / piece.method / f"{piece.name}.safetensors"

    def clip(self, method: str, prompt: str, face: int) -> Path:
        return self.out / "clips" / method / slug(prompt) / f"{face:03d}.mp4"

    def done(self, piece: Shard) -> bool:
        return self.figures(piece).is_file()

    def write(self, piece: Shard, rows: Sequence[dict[str, Any]], tensors: dict[str, Tensor]) -> None:
        """The figures last: where they are, all of it is there."""
        with aside(self.features(piece)) as written:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, written)
        write(self.figures(piece), json.dumps({"piece": asdict(piece), "faces": rows}))

    def read(self, piece: Shard) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
        return json.loads(self.figures(piece).read_text())["faces"], load_file(self.features(piece))


def pieces(methods: Sequence[str], num_prompts: int, num_faces: int, at_once: int) -> list[Shard]:
    """All there are, method by method."""
    starts = range(0, num_faces, at_once)
    return [
        Shard(method, prompt, first, min(at_once, num_faces - first))
        for method in methods
        for prompt in range(num_prompts)
        for first in starts
    ]


@torch.no_grad()
def run_shard(
    piece: Shard, method: Method, domain: Domain, setup: EvaluationSetup, ws: WPlus, kept: ShardCache
) -> None:
    """Find the motions of a piece's faces `ws` [count num_ws w_dim], draw and measure them, and keep it all."""
    prompt = setup.prompts.prompts[piece.prompt]
    with costing(ws.device) as finding:
        motion = method(ws, Words(piece.prompt, prompt.sentence, piece.first))
    with costing(ws.device) as drawing:
        fast = fastest_dtype(ws.device)
        films = (frames(domain.generator, *pair, dtype=fast) for pair in zip(ws.split(1), motion.split(1), strict=True))
        clips = [torch.cat(list(video_frames)) for video_frames in films]
    rows = [measured(clip, setup, piece.prompt) for clip in clips]
    for row, judged in zip(rows, verdicts(clips, prompt, setup), strict=True):
        row |= judged | {
            "seconds": finding.seconds / len(ws),
            "processor_seconds": finding.processor / len(ws),
            "drawing_seconds": drawing.seconds / len(ws),
            "peak": max(finding.peak or 0, drawing.peak or 0) or None,
        }
    for face, clip in enumerate(clips, piece.first):
        path = kept.clip(piece.method, prompt.prompt, face)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, [clip], FPS)
    kept.write(piece, rows, looked_at(clips, motion, piece, setup))


def measured(clip: Images, setup: EvaluationSetup, prompt: int) -> dict[str, Any]:
    """Figures of one clip [t c h w]; what needs a network that is missing is left out."""
    networks = setup.networks
    options: dict[str, Any] = {}
    if networks.scorer is not None:
        texts = networks.scorer.encode_text(setup.prompts.sentences)
        options = {"look": networks.scorer.encode_images, "words": texts[prompt : prompt + 1]}
    found = measure_clip(
        [clip], lambda images: in_batches(networks.identity.look, images), distance=networks.distance, **options
    )
    row: dict[str, Any] = found.figures() | {"changes": found.changes.tolist()}
    if networks.scorer is not None:
        last = networks.scorer.encode_images(clip[-1:])
        row["clip_top1"] = float((last @ networks.scorer.encode_text(setup.prompts.sentences).T).argmax() == prompt)
    if found.alignment is not None:
        row["alignments"] = found.alignment.tolist()
    return row


def verdicts(clips: Sequence[Images], prompt: Prompt, setup: EvaluationSetup) -> list[dict[str, float]]:
    """What the judge says of each clip's last frame beside its first."""
    judge = setup.networks.judge
    before, after = (torch.cat([clip[at : at + 1 or None] for clip in clips]) for at in (0, -1))
    verdict = None if judge is None else judge.verdict(prompt, before, after)
    if verdict is None:
        return [{} for _ in clips]
    found = [{"judge_rise": rose} for rose in verdict.rose.tolist()]
    if verdict.first is not None:
        found = [row | {"judge_top1": first} for row, first in zip(found, verdict.first.tolist(), strict=True)]
    return found


def looked_at(clips: Sequence[Images], motion: Motion, piece: Shard, setup: EvaluationSetup) -> dict[str, Tensor]:
    """What a report needs beside figures: features of every frame, and pictures and paths of the first few faces."""
    shown = max(0, SHOWN - piece.first)
    tensors: dict[str, Tensor] = {}
    if setup.networks.features is not None:
        look = setup.networks.features.look
        tensors["features"] = torch.stack([in_batches(look, clip) for clip in clips]).half().cpu()  # [count t c]
    if shown:
        tensors["paths"] = torch.stack([path_of(each) for each in motion[:shown]])
        tensors["pictures"] = torch.stack([((clip.clamp(-1, 1) + 1) * 127.5).round().byte() for clip in clips[:shown]])
    return tensors


def path_of(motion: Float[Tensor, "t l d"]) -> Float[Tensor, "t 2"]:
    return pca_path(motion.flatten(1).float().cpu())
