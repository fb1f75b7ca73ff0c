"""Shards of an evaluation: one method, one prompt and some faces; synthesised, measured and cached, each only once."""

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

from ..data.prompts import Prompt, PromptSet
from ..metrics.evaluation_setup import EvaluationSetup, Network, Networks
from ..metrics.judges import Judge
from ..reports.html import slug
from ..training.atomic_files import aside, write
from .benchmark import in_batches
from .methods import Method, TextPrompt
from .profiling import measured_cost

FPS = 10
"""Frames per second of the videos, as in the paper's code."""
NUM_SHOWN = 4
"""Faces of each prompt whose frames are cached for the report."""


@dataclass(frozen=True)
class Shard:
    """Faces `first` to `first + count - 1` with prompt number `prompt`, by the method of this name."""

    method: str
    prompt: int
    first: int
    count: int

    @property
    def name(self) -> str:
        return f"{self.prompt:03d}-{self.first:05d}"


@dataclass(frozen=True)
class ShardCache:
    """An evaluation's folder: the metrics and features of each shard, and its videos."""

    out: Path

    def metrics_file(self, shard: Shard) -> Path:
        return self.out / "pieces" / shard.method / f"{shard.name}.json"

    def tensors_file(self, shard: Shard) -> Path:
        return self.out / "pieces" / shard.method / f"{shard.name}.safetensors"

    def video_file(self, method: str, prompt: str, face: int) -> Path:
        return self.out / "clips" / method / slug(prompt) / f"{face:03d}.mp4"

    def done(self, shard: Shard) -> bool:
        return self.metrics_file(shard).is_file()

    def write(self, shard: Shard, rows: Sequence[dict[str, Any]], tensors: dict[str, Tensor]) -> None:
        """The metrics are written last: if they are there, the shard is complete."""
        with aside(self.tensors_file(shard)) as written:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, written)
        write(self.metrics_file(shard), json.dumps({"piece": asdict(shard), "faces": rows}))

    def read(self, shard: Shard) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
        """A row of metrics for each face, and the tensors."""
        return json.loads(self.metrics_file(shard).read_text())["faces"], load_file(self.tensors_file(shard))


def all_shards(methods: Sequence[str], num_prompts: int, num_faces: int, at_once: int) -> list[Shard]:
    """Every shard, method by method; `at_once`: faces of a shard."""
    return [
        Shard(method, prompt, first, min(at_once, num_faces - first))
        for method in methods
        for prompt in range(num_prompts)
        for first in range(0, num_faces, at_once)
    ]


@torch.no_grad()
def run_shard(
    shard: Shard, method: Method, domain: Domain, setup: EvaluationSetup, ws: WPlus, cache: ShardCache
) -> None:
    """Compute the motions of the faces `ws` [count num_ws w_dim]; synthesise, measure and cache their videos."""
    prompt, networks = setup.prompts.prompts[shard.prompt], setup.networks
    with measured_cost(ws.device) as motion_cost:
        motion = method(ws, TextPrompt(shard.prompt, prompt.sentence, shard.first))
    with measured_cost(ws.device) as synthesis_cost:
        dtype = fastest_dtype(ws.device)
        pairs = zip(ws.split(1), motion.split(1), strict=True)
        videos = [torch.cat(list(frames(domain.generator, *pair, dtype=dtype))) for pair in pairs]
    rows = [video_metrics(video, networks, setup.prompts, shard.prompt) for video in videos]
    for row, verdict in zip(rows, judge_verdicts(videos, prompt, networks.judge), strict=True):
        row |= verdict | {
            "seconds": motion_cost.seconds / len(ws),
            "processor_seconds": motion_cost.cpu_seconds / len(ws),
            "drawing_seconds": synthesis_cost.seconds / len(ws),
            "peak": max(motion_cost.peak_memory or 0, synthesis_cost.peak_memory or 0) or None,
        }
    for face, video in enumerate(videos, shard.first):
        path = cache.video_file(shard.method, prompt.prompt, face)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, [video], FPS)
    cache.write(shard, rows, report_tensors(videos, motion, max(0, NUM_SHOWN - shard.first), networks.features))


def video_metrics(video: Images, networks: Networks, prompts: PromptSet, prompt: int) -> dict[str, Any]:
    """Metrics of one video [t c h w] for prompt number `prompt`, except those whose network is missing."""
    scorer = networks.scorer
    texts = None if scorer is None else scorer.encode_text(prompts.sentences)
    alignment: dict[str, Any] = {}
    if scorer is not None and texts is not None:
        alignment = {"embed_images": scorer.encode_images, "text_embedding": texts[prompt : prompt + 1]}
    found = measure_clip(
        [video], lambda images: in_batches(networks.identity.embed, images), distance=networks.distance, **alignment
    )
    row: dict[str, Any] = found.figures() | {"changes": found.changes.tolist()}
    if scorer is not None and texts is not None:
        row["clip_top1"] = float((scorer.encode_images(video[-1:]) @ texts.T).argmax() == prompt)
    if found.alignment is not None:
        row["alignments"] = found.alignment.tolist()
    return row


def judge_verdicts(videos: Sequence[Images], prompt: Prompt, judge: Judge | None) -> list[dict[str, float]]:
    """For each video, the judge's verdict on its last frame compared with its first."""
    before, after = (torch.cat([video[at : at + 1 or None] for video in videos]) for at in (0, -1))
    verdict = None if judge is None else judge.verdict(prompt, before, after)
    if verdict is None:
        return [{} for _ in videos]
    found = [{"judge_rise": rose} for rose in verdict.rose.tolist()]
    if verdict.first is not None:
        found = [row | {"judge_top1": first} for row, first in zip(found, verdict.first.tolist(), strict=True)]
    return found


def report_tensors(
    videos: Sequence[Images], motion: Motion, num_shown: int, features: Network | None
) -> dict[str, Tensor]:
    """What results need of the frames: features of all of them, and frames and paths of the first `num_shown` faces."""
    tensors: dict[str, Tensor] = {}
    if features is not None:
        each = [in_batches(features.embed, video) for video in videos]
        tensors["features"] = torch.stack(each).half().cpu()  # [count t c]
    if num_shown:
        shown = videos[:num_shown]
        tensors["paths"] = torch.stack([path_of(each) for each in motion[:num_shown]])
        tensors["pictures"] = torch.stack([((video.clamp(-1, 1) + 1) * 127.5).round().byte() for video in shown])
    return tensors


def path_of(motion: Float[Tensor, "t l d"]) -> Float[Tensor, "t 2"]:
    """The motion projected on its two principal components."""
    return pca_path(motion.flatten(1).float().cpu())
