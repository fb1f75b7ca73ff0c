"""`lga demo build`: an embedded domain from nothing, stage by stage, each on the frozen ones before it.

A stage whose file exists is skipped, so a stopped build goes on where it was; delete a file to make it again. Each
stage leaves a picture beside its weights: look at it before trusting any figure.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from lga_core import InputError
from lga_core.demo import DEFAULT_DOMAIN

from .attribute_map import AttributeMap
from .embedded_domain import BuildFolder, embedded_domain


def build(out: Path, stages: Sequence[str] | None = None, effort: float = 1.0, domain: str = DEFAULT_DOMAIN) -> None:
    """Run the stages of `domain` (all, or those named) in `out`, and put the finished domain in out/domain.

    `effort` scales every number of steps: at 0.01 it is a rehearsal of a few minutes, whose domain is worth nothing
    and whose gates are only read out. Raises InputError for a domain or stage that does not exist, or a gate that is
    not met.
    """
    described = embedded_domain(domain)
    if not 0 < effort <= 100:
        raise InputError(f"The effort is {effort}; it must be above 0, and 1 for the domain as it ships.")
    unknown = set(stages or ()) - set(described.stages)
    if unknown:
        raise InputError(f"There is no stage {sorted(unknown)[0]!r}. The stages are {', '.join(described.stages)}.")
    out.mkdir(parents=True, exist_ok=True)
    folder = BuildFolder(described, out, effort)
    if not folder.file("attribute_map").exists():
        made = AttributeMap.create(described.attributes, w_dim=described.generator.w_dim)
        made.save(folder.file("attribute_map"))
    for name, stage in described.stages.items():
        if stages is not None and name not in stages:
            continue
        if (out / stage.product).exists():
            print(f"{name}: {stage.product} is there, skipped", flush=True)
            continue
        print(f"{name}: begins", flush=True)
        start = time.perf_counter()
        stage.make(folder)
        if stage.show is not None:
            stage.show(folder)
        note_minutes(out, name, (time.perf_counter() - start) / 60)


def note_minutes(out: Path, name: str, minutes: float) -> None:
    """Keep how long each stage took: the domain's metadata tells it."""
    path = out / "minutes.json"
    spent = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(spent | {name: round(minutes, 1)}, indent=1))
    print(f"{name}: {minutes:.1f} minutes", flush=True)
