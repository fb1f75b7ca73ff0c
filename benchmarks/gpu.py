"""How fast a card draws faces, and brings gradients back to W+, beside NVIDIA's compiled operations at their best.

    python -m benchmarks.gpu --nvidia DIR        under ten minutes; nothing is downloaded
    python -m benchmarks.gpu --train-steps 2000  that many steps of a motion's training at 1024 px instead
    python -m benchmarks.gpu --dry-run           the same on a processor, tiny, to see that it works

One process, the same random config-f weights, codes and noise for all. NVIDIA's plugins must compile, or nothing is
measured. Its best over fused, channels-last, fp16 resolutions and TF32 is sought for each batch, and so is its best
under a CUDA graph, a harder baseline than it offers itself. Then all run in turn: CUDA events, 20 warm-ups, 50 repeats,
medians and minima. Errors are against fp32 without TF32. The first run, in which things compile, is told apart.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lga_core import Generator, GeneratorConfig, WPlus
from lga_core.stylegan2 import FrozenSynthesis
from lga_core.stylegan2.inference import prepared

from .card import Card, Run, split_of, with_tf32
from .comparison import NVIDIA, RESULTS
from .gradients import gradient
from .measuring import MB, differences, interleaved, machine, median_ratio, random_generator
from .peers import Nvidia
from .reports import Column, Report, bars

GRAPHED = f"{NVIDIA}, CUDA graph"
CLAMP = 256.0
"""Of every layer, as in NVIDIA's networks that draw in fp16. Random weights do not reach it."""
SCANNED = 8
"""Runs of a setting that is sought, of which the first third warm up."""
WORTH_A_GRAPH = 3
"""Settings of NVIDIA's that are tried under a CUDA graph: the fastest without."""
TASKS = {"drawing": (1, 8, 32), "forward and backward": (4,)}
"""What is measured, in batches of these sizes."""


class Setting(NamedTuple):
    """One way to run NVIDIA's network."""

    fused: bool
    half_blocks: int
    channels_last: bool
    tf32: bool

    def __str__(self) -> str:
        said = ["fused" if self.fused else "unfused", f"{self.half_blocks} fp16 resolutions"]
        return ", ".join(said + ["channels-last"] * self.channels_last + ["TF32"] * self.tf32)


SETTINGS = [
    Setting(*values)
    for values in product((False, True), (9, 4, 0), (True, False), (True, False))
    if values[1] or not values[2]
]
"""The likely winners first. Channels-last is an option of fp16 alone."""
EXACT = Setting(fused=False, half_blocks=0, channels_last=False, tf32=False)
Rows = list[dict[str, Any]]


def main(argv: Sequence[str] | None = None) -> Path:
    """Measure, and write the results; their folder."""
    args = parse(argv)
    torch.backends.cudnn.benchmark = True
    card = Card(torch.device("cuda" if not args.dry_run else "cpu"))
    begun = card.now()
    if args.train_steps:
        from .card_training import training_report

        training_report(card, args.train_steps, args.dry_run, args.seconds).write(args.out)
        return args.out
    nvidia = None if args.nvidia is None else Nvidia(args.nvidia)
    facts = {**machine(), "peers": {} if nvidia is None else {NVIDIA: nvidia.source}, "repeats": args.repeats}
    if nvidia is not None and card.is_cuda:
        facts["seconds_to_compile_its_plugins"] = round(card.seconds(nvidia.compile), 1)
    seconds = args.seconds - (card.now() - begun)
    cases = [(r, task, batch) for r in args.resolutions for task in TASKS for batch in args.batches or TASKS[task]]
    rows: Rows = []
    scans: dict[str, dict[str, float]] = {}
    generator = None
    for (resolution, task, batch), left in zip(cases, split_of(seconds, len(cases)), strict=True):
        if generator is None or generator.config.resolution != resolution:
            generator = random_generator(GeneratorConfig(resolution, conv_clamp=CLAMP)).to(card.device)
        bench = Bench(card, generator, nvidia, task, batch)
        scan = bench.scan(SETTINGS[:1] if args.dry_run else SETTINGS, left)
        scans[f"{resolution} px, {task}, batch {batch}"] = {str(setting): round(ms, 3) for setting, ms in scan.items()}
        found = bench.measured(scan, args.warm_ups, args.repeats, left)
        print(
            *(f"{row.get('ms', 0):9.3f} ms {row['variant']} {row['setting']}" for row in found),
            "",
            sep="\n",
            flush=True,
        )
        rows += found
    report(rows, {**facts, "dry_run": args.dry_run}, scans).write(args.out)
    return args.out


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nvidia", type=Path, metavar="DIR", help="a checkout of NVlabs/stylegan2-ada-pytorch")
    parser.add_argument("--resolutions", type=int, nargs="+", metavar="PX", help="default: 1024")
    parser.add_argument("--batches", type=int, nargs="+", metavar="N", help="default: 1, 8 and 32; 4 for gradients")
    parser.add_argument("--warm-ups", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=540, help="all it may take (540): repeats are cut first")
    parser.add_argument("--train-steps", type=int, metavar="N", help="train a motion instead, for so many steps")
    parser.add_argument("--dry-run", action="store_true", help="on a processor, tiny")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help="where results go")
    args = parser.parse_args(argv)
    if not args.dry_run and not torch.cuda.is_available():
        parser.error("torch finds no CUDA card here; --dry-run shows what would be done")
    args.resolutions = args.resolutions or [16 if args.dry_run else 1024]
    if args.dry_run:
        args.batches, args.warm_ups, args.repeats = args.batches or [1, 2], 1, 2
    return args


class Bench:
    """One generator, one task, one batch size: everyone's runs."""

    def __init__(self, card: Card, generator: Generator, nvidia: Nvidia | None, task: str, batch: int):
        self.card, self.generator, self.nvidia, self.task, self.batch = card, generator, nvidia, task, batch
        self.ws = generator.sample(range(batch)).contiguous()
        self.networks: dict[tuple[int, bool], nn.Module] = {}

    @property
    def place(self) -> dict[str, Any]:
        return {"resolution": self.generator.config.resolution, "task": self.task, "batch": self.batch}

    def run_of(self, draw: Callable[[WPlus], Tensor]) -> Run:
        if self.task != "drawing":
            return partial(gradient, draw, self.ws)
        return partial(torch.no_grad()(draw), self.ws)

    def nvidias(self, setting: Setting) -> Run:
        assert self.nvidia is not None
        half = (setting.half_blocks, setting.channels_last)
        if half not in self.networks:
            self.networks[half] = self.nvidia.network(self.generator, self.card.device, *half)
        run = self.run_of(self.nvidia.draw(self.networks[half], setting.fused))
        return with_tf32(setting.tf32, run)

    def ours(self) -> dict[str, Callable[[], Run]]:
        """How each of our runs is made. TF32 is left out: that is fp32's row."""
        generator, device = self.generator, self.card.device
        half = torch.float16 if self.card.is_cuda else torch.bfloat16

        def plain(ws: WPlus) -> Tensor:
            with torch.autocast(device.type, half):
                return generator.synthesis(ws).float()

        makers: dict[str, Callable[[], Callable[[WPlus], Tensor]]] = {
            "ours, plain fp32": lambda: generator.synthesis,
            "ours, plain, half by autocast": lambda: plain,
        }
        for name, dtype in {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}.items():
            if self.task != "drawing" and dtype != torch.float16:
                makers[f"ours, frozen {name}"] = partial(FrozenSynthesis, generator, dtype)
                if self.card.is_cuda:
                    makers[f"ours, frozen {name} compiled"] = partial(FrozenSynthesis, generator, dtype, compiled=True)
            elif self.task == "drawing":
                makers[f"ours, engine {name}"] = partial(prepared, generator, dtype, device)
        return {name: partial(self._made, make) for name, make in makers.items()}

    def _made(self, make: Callable[[], Callable[[WPlus], Tensor]]) -> Run:
        return with_tf32(False, self.run_of(make()))

    def scan(self, settings: Sequence[Setting], left: Callable[[], float]) -> dict[Setting, float]:
        """Milliseconds of NVIDIA's settings, fastest first; of as many as half of the time that is left allows."""
        if self.nvidia is None:
            return {}
        found, end = {}, left() / 2
        for setting in settings:
            if found and left() < end:
                break
            run = self.nvidias(setting)
            try:
                found[setting] = statistics.median([self.card.ms(run) for _ in range(SCANNED)][SCANNED // 3 :])
            except torch.cuda.OutOfMemoryError:
                continue
        return dict(sorted(found.items(), key=lambda item: item[1]))

    def measured(self, scan: Mapping[Setting, float], warm_ups: int, repeats: int, left: Callable[[], float]) -> Rows:
        """Rows of everyone at their best, NVIDIA first."""
        rows: dict[str, dict[str, Any]] = {}
        runs: dict[str, Run] = {}
        reference = (self.nvidias(EXACT) if self.nvidia else self._made(lambda: self.generator.synthesis))().clone()
        for name, (make, setting) in self.candidates(scan).items():
            rows[name] = {**self.place, "variant": name, "setting": setting}
            try:
                begun = self.card.now()
                run = make()
                drawn = run()
                rows[name] |= {"first_s": self.card.now() - begun, **differences(drawn, reference)}
                peak = self.card.peak_bytes(run)
            except RuntimeError as error:  # out of memory is one, too
                rows[name]["setting"] = f"left out: {str(error).splitlines()[0]}"
                continue
            rows[name] |= {} if peak is None else {"peak_mb": peak / MB}
            runs[name] = run
        affordable = left() / max(1e-9, sum(self.card.seconds(run) for run in runs.values()))
        warm_ups, repeats = (max(2, int(min(n, affordable * n / (warm_ups + repeats)))) for n in (warm_ups, repeats))
        samples = interleaved(runs, repeats, warm_ups, self.card.ms)
        return [row | (self.times(name, samples) if name in samples else {}) for name, row in rows.items()]

    def candidates(self, scan: Mapping[Setting, float]) -> dict[str, tuple[Callable[[], Any], str]]:
        """How to make each run, and what to call its setting."""
        found: dict[str, tuple[Callable[[], Any], str]] = {}
        if scan:
            best = next(iter(scan))
            found[NVIDIA] = partial(self.nvidias, best), str(best)
            if self.task == "drawing":
                found |= self.best_graph(list(scan)[:WORTH_A_GRAPH])
        return {**found, **{name: (make, "") for name, make in self.ours().items()}}

    def best_graph(self, settings: Sequence[Setting]) -> dict[str, tuple[Callable[[], Run], str]]:
        """The fastest of them under a CUDA graph; none where none can be captured."""
        graphs: dict[Setting, Run] = {}
        for setting in settings:
            with suppress(RuntimeError):
                graphs[setting] = self.card.graphed(self.nvidias(setting))
        if not graphs:
            return {}
        best = min(graphs, key=lambda setting: min(self.card.ms(graphs[setting]) for _ in range(SCANNED)))
        return {GRAPHED: (lambda: graphs[best], str(best))}

    def times(self, name: str, samples: Mapping[str, list[float]]) -> dict[str, Any]:
        taken = samples[name]
        row: dict[str, Any] = {"ms": statistics.median(taken), "least_ms": min(taken), "repeats": len(taken)}
        row["per_second"] = 1e3 * self.batch / row["ms"]
        row |= {f"times_{peer}": median_ratio(samples[peer], taken) for peer in (NVIDIA, GRAPHED) if peer in samples}
        return row


COLUMNS = [
    Column("resolution", "px"),
    Column("task", "task"),
    Column("batch", "batch"),
    Column("variant", "variant"),
    Column("setting", "at its best"),
    Column("ms", "ms", ".3f"),
    Column("least_ms", "least ms", ".3f"),
    Column("per_second", "pictures a second", ".0f"),
    Column(f"times_{NVIDIA}", "× NVIDIA", ".2f"),
    Column(f"times_{GRAPHED}", "× its graph", ".2f"),
    Column("max_error", "max error", ".1e"),
    Column("rms_error", "rms error", ".1e"),
    Column("first_s", "first run s", ".1f"),
    Column("peak_mb", "peak MB", ".0f"),
]


def report(rows: Rows, facts: Mapping[str, Any], scans: Mapping[str, Mapping[str, float]]) -> Report:
    panels: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        panel = panels.setdefault(row["task"], {}).setdefault(row["variant"], {})
        panel[f"{row['resolution']} px, {row['batch']}"] = row.get("per_second", 0.0)
    notes = ["Errors are in standard deviations of NVIDIA's (else our) pictures, or gradients, in fp32 without TF32."]
    if facts["dry_run"]:
        notes.append("**A dry run on a processor: these figures say nothing about a card.**")
    kept = {**facts, "settings_tried_of_nvidia": {place: len(found) for place, found in scans.items()}}
    plot = bars(panels, "pictures a second") if rows else None
    return Report("gpu", "Drawing faces on a card", kept, rows, COLUMNS, notes, plot, {"nvidia_ms": scans})


if __name__ == "__main__":
    main()
