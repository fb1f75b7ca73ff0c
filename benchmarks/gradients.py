"""How fast faces are drawn and their gradient brought back to W+, which is nearly all the time of training a motion.

Weights are frozen, everybody's. One process, the same random config-f weights for all, runs interleaved; times are
medians, per picture. Each peer works with whichever of its settings is fastest here. What compiles is compiled in its
first run, which no median counts; `first run s` is that run. Peak memory is above what is resident between runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lga_core import Generator, GeneratorConfig, WPlus
from lga_core.stylegan2 import FrozenSynthesis

from .comparison import (
    COLUMNS,
    COMMUNITY,
    DTYPES,
    NVIDIA,
    Folders,
    Works,
    add_memory,
    arguments,
    facts_of,
    in_threads,
    noise_note,
    report,
    timed,
)
from .measuring import Sample, random_generator, sample
from .peers import Draw
from .reports import Column
from .synthesis import draws_of

BATCHES = {512: 2, 1024: 1}
"""Pictures in one run by resolution; 4 below."""
PLAIN = "ours, plain fp32"
FROZEN = {f"ours, frozen {dtype}{how}": (dtype, bool(how)) for dtype in DTYPES for how in ("", " compiled")}


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, and write the results; their folder."""
    parser = arguments(__doc__, resolutions=(256, 1024), repeats=5)
    parser.add_argument("--eager", action="store_true", help="leave out what compiles")
    args = parser.parse_args(argv)
    folders = Folders(args.nvidia, args.community)
    rows: list[dict[str, Any]] = []
    alone: list[Sample] = []
    for resolution in args.resolutions:
        generator = random_generator(GeneratorConfig(resolution))
        batch = BATCHES.get(resolution, 4)
        names = variants(folders, args.dtypes, args.eager)
        for threads in in_threads(args.threads):
            works = {name: works_of(name, generator, folders, faces(generator, batch)) for name in names}
            firsts = first_runs(works)
            measured, samples = timed(works, args.repeats, batch)
            del works
            alone += [each for taken in samples.values() for each in taken if threads == 1]
            found = [{"resolution": resolution, "batch": batch, **row, **firsts[row["variant"]]} for row in measured]
            if args.memory and not any(row["resolution"] == resolution for row in rows):
                add_memory(found, prepare, resolution, batch, folders)
            rows += found
            print(
                *(f"{row['cpu_ms']:8.0f} ms {row['variant']} {row['setting']}" for row in found),
                "",
                sep="\n",
                flush=True,
            )
    columns = [COLUMNS[0], Column("batch", "pictures a run"), *COLUMNS[1:]]
    columns += [Column("gradient_error", "gradient's error", ".1e"), Column("first_s", "first run s", ".1f")]
    columns.append(Column("peak_mb", "peak MB", ".0f"))
    notes = ["The gradient's error is the length of the difference over the gradient's length."]
    notes += [noise_note(alone)] if alone else []
    facts = facts_of(folders, repeats=args.repeats)
    title = "Forward and backward to W+ on a processor"
    report("gradients", title, facts, rows, columns=columns, notes=notes).write(args.out)
    return args.out


def variants(folders: Folders, dtypes: Sequence[str], eager: bool = False) -> list[str]:
    peers = {NVIDIA: folders.nvidia, COMMUNITY: folders.community}
    ours = [name for name, (dtype, compiled) in FROZEN.items() if dtype in dtypes and not (eager and compiled)]
    return [*(name for name, folder in peers.items() if folder is not None), PLAIN, *ours]


def works_of(name: str, generator: Generator, folders: Folders, ws: WPlus) -> dict[str, Callable[[], Tensor]]:
    """The work of one gradient [n num_ws w_dim], by each setting of a variant."""
    if name in FROZEN:
        dtype, compiled = FROZEN[name]
        return {"": partial(gradient, FrozenSynthesis(generator, DTYPES[dtype], compiled=compiled), ws)}
    return {setting: partial(gradient, draw, ws) for setting, draw in draws_of(name, generator, folders).items()}


def gradient(draw: Draw, ws: WPlus) -> WPlus:
    """Of one random picture in the space of pictures, the same for everyone."""
    ws = ws.detach().requires_grad_()
    images = draw(ws)
    images.backward(direction(images.shape[1:], images.device).expand_as(images))
    assert ws.grad is not None
    return ws.grad


@cache
def direction(shape: torch.Size, device: torch.device) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2)).to(device)


def first_runs(works: Works) -> dict[str, dict[str, float]]:
    """The time of each variant's first run, and its gradient's error against NVIDIA's (or the first there is)."""
    firsts, reference = {}, None
    for name, settings in works.items():
        found: list[Tensor] = []
        work = next(iter(settings.values()))
        seconds = sample(lambda work=work, found=found: found.append(work())).wall
        firsts[name] = {"first_s": seconds}
        if reference is None:
            reference = found[0]
        else:
            firsts[name]["gradient_error"] = ((found[0] - reference).norm() / reference.norm()).item()
    return firsts


def faces(generator: Generator, batch: int) -> WPlus:
    return generator.sample(range(batch)).contiguous()


def prepare(resolution: int, batch: int, folders: Folders, name: str, setting: str) -> Callable[[], Tensor]:
    """The work of one run, for a process of its own."""
    generator = random_generator(GeneratorConfig(resolution))
    return works_of(name, generator, folders, faces(generator, batch))[setting]


if __name__ == "__main__":
    main()
