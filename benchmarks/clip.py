"""What a whole clip costs, from a face to an mp4 file: how much of its time is synthesis, and its memory by length.

Each length is a process of its own, which draws and writes one short clip before anything is counted. Reported are wall
time, the share of it that was spent inside the engine (conversion to bytes and encoding run beside it, the motion
before it), and the peak memory above what was resident before.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from lga_core import GeneratorConfig, MotionConfig, MotionModel, frames, write_clip
from lga_core.stylegan2.inference import Engine, fastest_dtype

from .comparison import RESULTS
from .measuring import MB, alone, forget_peak, machine, peak_bytes, random_generator
from .reports import Column, Report

COLUMNS = (
    Column("resolution", "px"),
    Column("frames", "frames"),
    Column("wall_s", "wall s", ".1f"),
    Column("synthesis_share", "in synthesis", ".1%"),
    Column("peak_mb", "peak MB", ".0f"),
)
FPS = 12.0


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, and write the results; their folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", type=int, default=1024, metavar="PX")
    parser.add_argument("--frames", type=int, nargs="+", default=[50, 1000], metavar="N", help="lengths (50 1000)")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help="where results go")
    args = parser.parse_args(argv)
    facts, rows = machine(), []
    for length in args.frames:
        rows.append({"resolution": args.resolution, "frames": length, **alone(clip, args.resolution, length)})
        print(rows[-1], flush=True)
    report = Report("clip", "A clip, from a face to a file", facts, rows, COLUMNS, [_growth(rows)])
    report.write(args.out)
    return args.out


def clip(resolution: int, length: int) -> dict[str, Any]:
    """Figures of one clip of a random generator, moved by a random motion model."""
    generator = random_generator(GeneratorConfig(resolution))
    ws = generator.sample([0])
    model = MotionModel(MotionConfig(num_ws=generator.num_ws, code_dim=64, hidden_dim=64)).eval()
    text = ws.new_ones(1, 64) / 8
    dtype, spent = fastest_dtype(ws.device), 0.0

    def write(count: int, folder: str) -> None:
        write_clip(Path(folder, "clip.mp4"), frames(generator, ws, model(text, text, count), dtype=dtype), FPS)

    call = Engine.__call__

    def timed(self: Engine, *args: Any, **options: Any) -> Any:
        nonlocal spent
        begun = time.perf_counter()
        try:
            return call(self, *args, **options)
        finally:
            spent += time.perf_counter() - begun

    with tempfile.TemporaryDirectory() as folder, patch.object(Engine, "__call__", timed):
        write(2, folder)
        before, spent, begun = forget_peak(), 0.0, time.perf_counter()
        write(length, folder)
        wall = time.perf_counter() - begun
    return {"wall_s": wall, "synthesis_share": spent / wall, "peak_mb": (peak_bytes() - before) / MB}


def _growth(rows: Sequence[dict[str, Any]]) -> str:
    shortest, longest = (pick(rows, key=lambda row: row["frames"]) for pick in (min, max))
    more = longest["peak_mb"] - shortest["peak_mb"]
    return f"{longest['frames']} frames took {more:.0f} MB more than {shortest['frames']}."


if __name__ == "__main__":
    main()
