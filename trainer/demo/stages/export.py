"""Put the finished parts together: the domain as a folder that `load_domain` opens."""

import json
import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import asdict

from lga_core.faces import Framing
from lga_core.formats import fingerprint

from ..embedded_domain import BuildFolder
from ..renderer import Point

PARTS = ("generator", "encoder", "clip", "motion", "finder")


def export(build: BuildFolder) -> None:
    """Write domain/ in the build folder."""
    described, folder = build.domain, build.path / "domain"
    folder.mkdir(exist_ok=True)
    parts = {part: f"{part}.safetensors" for part in PARTS}
    for name in parts.values():
        shutil.copyfile(build.path / name, folder / name)
    sentences = described.lexicon.sentences
    card = {
        "name": described.name,
        "template": described.lexicon.template,
        "prompts": [{"prompt": prompt, "sentence": sentence} for prompt, sentence in sentences.items()],
        "files": parts,
        "framing": asdict(framing_of(described.renderer.points_at_rest)),
        "fingerprint": fingerprint(build.generator()),
        "made": {
            "minutes": json.loads((build.path / "minutes.json").read_text()),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, no GPU",
        },
    }
    (folder / "domain.json").write_text(json.dumps(card, indent=1) + "\n")


def framing_of(points: Sequence[Point]) -> Framing:
    """The framing under which `align` gives these points [5] the square -1..1 that they are in.

    The eyes say how large it is: the mouth counts less, for it moves (where a person marks the points of a face with
    an expression, sizes are off by 4 %, by the mouth 10 %).
    """
    (left, eyes), (right, _), _, (_, mouth), _ = points
    return Framing(down=-eyes / (mouth - eyes), eyes=1 / (right - left), mouth=0.8 / (mouth - eyes))
