"""How fast faces are drawn on a processor: the plain generator and the engine, beside two other StyleGAN2s.

One process, the same random config-f weights for all, runs interleaved; times are medians, per frame. Each peer draws
with whichever of its settings is fastest here. Peak memory is that of one frame, above what is resident when nothing
is drawn, each in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lga_core import Generator, GeneratorConfig, WPlus
from lga_core.stylegan2.inference import prepared

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
from .measuring import Sample, differences, random_generator
from .peers import Community, Draw, Nvidia
from .reports import Column

AUTOCAST = f"{COMMUNITY}, bf16 by autocast"
PRECISION = {f"ours, {kind} {name}": dtype for kind in ("plain", "engine") for name, dtype in DTYPES.items()}


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, and write the results; their folder."""
    parser = arguments(__doc__, resolutions=(256, 512, 1024), repeats=7)
    parser.add_argument("--frames", type=int, default=4, help="drawn in one run (4)")
    args = parser.parse_args(argv)
    folders = Folders(args.nvidia, args.community)
    facts = facts_of(folders, frames=args.frames, repeats=args.repeats)
    rows: list[dict[str, Any]] = []
    alone: list[Sample] = []
    for resolution in args.resolutions:
        generator = random_generator(GeneratorConfig(resolution))
        names = variants(folders, args.dtypes)
        ws = generator.sample(range(args.frames))
        for threads in in_threads(args.threads):
            works = {name: works_of(name, generator, folders, ws) for name in names}
            errors = errors_of(works)
            measured, samples = timed(works, args.repeats, args.frames)
            del works
            alone += [each for taken in samples.values() for each in taken if threads == 1]
            found = [{"resolution": resolution, **row, **errors[row["variant"]]} for row in measured]
            if args.memory and not any(row["resolution"] == resolution for row in rows):
                add_memory(found, prepare, resolution, folders)
            rows += found
            print(
                *(f"{row['cpu_ms']:8.0f} ms {row['variant']} {row['setting']}" for row in found),
                "",
                sep="\n",
                flush=True,
            )
    columns = [*COLUMNS, Column("max_error", "max error", ".1e"), Column("rms_error", "rms error", ".1e")]
    columns.append(Column("peak_mb", "peak MB", ".0f"))
    notes = [noise_note(alone)] if alone else []
    report("synthesis", "Drawing faces on a processor", facts, rows, columns=columns, notes=notes).write(args.out)
    return args.out


def variants(folders: Folders, dtypes: Sequence[str] = tuple(DTYPES)) -> list[str]:
    """What can be measured here, the reference for errors first."""
    peers = [NVIDIA] * (folders.nvidia is not None)
    if folders.community is not None:
        peers += [COMMUNITY, AUTOCAST] if "bf16" in dtypes else [COMMUNITY]
    return [*peers, *(f"ours, {kind} {dtype}" for kind in ("plain", "engine") for dtype in dtypes)]


def works_of(name: str, generator: Generator, folders: Folders, ws: WPlus) -> dict[str, Callable[[], Tensor]]:
    """The work of drawing `ws` by each setting of a variant."""
    if "engine" in name:
        return {"": partial(prepared(generator, PRECISION[name]), ws)}  # pyright: ignore[reportCallIssue]
    works = {}
    for setting, draw in draws_of(name, generator, folders).items():
        for batch in {len(ws), 1}:
            how = ", ".join(filter(None, (setting, f"{batch} at a time")))
            works[how] = partial(_draw, draw, ws, batch, autocast="bf16" in name)
    return works


def draws_of(name: str, generator: Generator, folders: Folders) -> dict[str, Draw]:
    if name == NVIDIA:
        assert folders.nvidia is not None
        peer = Nvidia(folders.nvidia)
        network = peer.network(generator)
        return {"fused": peer.draw(network, fused=True), "unfused": peer.draw(network, fused=False)}
    if name in (COMMUNITY, AUTOCAST):
        assert folders.community is not None
        community = Community(folders.community)
        return {"": community.draw(community.network(generator))}
    return {"": generator.synthesis}


@torch.no_grad()
def _draw(draw: Draw, ws: WPlus, batch: int, autocast: bool) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        return torch.cat([draw(part).float() for part in ws.split(batch)])


def errors_of(works: Works) -> dict[str, dict[str, float]]:
    """Of each variant, against NVIDIA's (or the first there is) pictures."""
    drawn = {name: next(iter(settings.values()))() for name, settings in works.items()}
    reference = next((name for name in (NVIDIA, COMMUNITY) if name in drawn), next(iter(drawn)))
    return {name: {} if name == reference else differences(images, drawn[reference]) for name, images in drawn.items()}


def prepare(resolution: int, folders: Folders, name: str, setting: str) -> Callable[[], Tensor]:
    """The work of drawing one frame, for a process of its own."""
    generator = random_generator(GeneratorConfig(resolution))
    works = works_of(name, generator, folders, generator.sample([0]))
    wanted = setting.rpartition(", ")[0]
    return next(work for how, work in works.items() if how.startswith(wanted))


if __name__ == "__main__":
    main()
