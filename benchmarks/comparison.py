"""What the benchmarks on a processor have in common: their arguments, peers at their best, rows of a table."""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .measuring import MB, Sample, disturbance, fastest, interleaved, machine, median_ratio, peak_above_resident
from .peers import Community, Nvidia
from .reports import Column, Report, bars

NVIDIA, COMMUNITY = "NVIDIA", "community"
RESULTS = Path(__file__).parent / "results"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
Works = dict[str, dict[str, Callable[[], Tensor]]]
"""What to run, by variant and by setting: the fastest setting of each variant is what counts."""


class Folders(NamedTuple):
    """Checkouts of the peers, None for one that is left out."""

    nvidia: Path | None
    community: Path | None

    def sources(self) -> dict[str, str]:
        """Which versions they are, for the record."""
        found = {NVIDIA: (Nvidia, self.nvidia), COMMUNITY: (Community, self.community)}
        return {name: peer(folder).source for name, (peer, folder) in found.items() if folder is not None}


def arguments(description: str | None, resolutions: Sequence[int], repeats: int) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--nvidia", type=Path, metavar="DIR", help="a checkout of NVlabs/stylegan2-ada-pytorch")
    parser.add_argument("--community", type=Path, metavar="DIR", help="a checkout of rosinality/stylegan2-pytorch")
    parser.add_argument("--resolutions", type=int, nargs="+", default=resolutions, metavar="PX")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count() or 1], help="default: 1 and all")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES), help="of ours")
    parser.add_argument("--repeats", type=int, default=repeats, help=f"rounds, of which medians are taken ({repeats})")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="leave out peak memory")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help="where results go")
    return parser


def timed(works: Works, repeats: int, count: int) -> tuple[list[dict[str, Any]], dict[str, list[Sample]]]:
    """A row for each variant, of times per picture when a run makes `count` of them; and all samples."""
    chosen = {name: fastest(settings) for name, settings in works.items()}
    samples = interleaved({name: works[name][setting] for name, setting in chosen.items()}, repeats)
    clock = "cpu" if torch.get_num_threads() == 1 else "wall"
    seconds = {name: [getattr(each, clock) for each in taken] for name, taken in samples.items()}
    rows = []
    for name, taken in samples.items():
        row: dict[str, Any] = {"variant": name, "setting": chosen[name], "threads": torch.get_num_threads()}
        for field in Sample._fields:
            row[f"{field}_ms"] = 1e3 * statistics.median(getattr(each, field) for each in taken) / count
        for peer in (NVIDIA, COMMUNITY):
            if peer in seconds:
                row[f"times_{peer}"] = median_ratio(seconds[peer], seconds[name])
        row["samples"] = [[round(value / count, 6) for value in each] for each in taken]
        rows.append(row)
    return rows, samples


def add_memory(rows: Sequence[dict[str, Any]], prepare: Callable[..., Any], *args: Any) -> None:
    """The peak of `prepare(*args, variant, setting)`, once for each variant, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for row in rows:
        row["peak_mb"] = peak_above_resident(prepare, *args, row["variant"], row["setting"]) / MB
    torch.set_num_threads(threads)


def in_threads(counts: Sequence[int]) -> Iterator[int]:
    """Each distinct number in turn, with torch set to it; as it was at the end."""
    before = torch.get_num_threads()
    try:
        for count in dict.fromkeys(counts):
            torch.set_num_threads(count)
            yield count
    finally:
        torch.set_num_threads(before)


def facts_of(folders: Folders, **settings: Any) -> dict[str, Any]:
    return {**machine(), "peers": folders.sources(), **settings}


def noise_note(samples: Sequence[Sample]) -> str:
    """Whether figures of one thread could be taken at their word."""
    share = disturbance(samples)
    verdict = "quiet" if share < 1.05 else "busy: only ratios count, and those of wall time little"
    return f"Runs on one thread took {share:.2f} times their processor time on the wall: the machine was {verdict}."


COLUMNS = [
    Column("resolution", "px"),
    Column("threads", "threads"),
    Column("variant", "variant"),
    Column("setting", "at its best"),
    Column("cpu_ms", "processor ms", ".0f"),
    Column("wall_ms", "wall ms", ".0f"),
    Column(f"times_{NVIDIA}", "× NVIDIA", ".2f"),
    Column(f"times_{COMMUNITY}", "× community", ".2f"),
]


def report(name: str, title: str, facts: Mapping[str, Any], rows: Sequence[dict[str, Any]], **more: Any) -> Report:
    """With a plot of every row's ratio to NVIDIA, or to what else there is."""
    known = {key for row in rows for key in row}
    against = next((key for key in (f"times_{NVIDIA}", f"times_{COMMUNITY}") if key in known), None)
    plot = None
    if against is not None:
        panels: dict[str, dict[str, dict[str, float]]] = {}
        for row in rows:
            panel = panels.setdefault(f"{row['threads']} thread{'s' * (row['threads'] > 1)}", {})
            panel.setdefault(row["variant"], {})[f"{row['resolution']} px"] = row[against]
        plot = bars(panels, f"times as fast as {against.removeprefix('times_')}")
    return Report(name, title, facts, rows, plot=plot, **more)
