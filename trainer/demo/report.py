"""`lga demo report`: how well an embedded domain works, every part's figures and each prompt judged."""

import json
from pathlib import Path

from lga_core import load_domain
from lga_core.demo import DEFAULT_DOMAIN

from .checks.motion_metrics import NUM_FACES, motion_figures, motion_table
from .checks.part_metrics import part_figures
from .contact_sheets import motion_sheets
from .embedded_domain import EmbeddedDomain, embedded_domain_of
from .stages.judge import load_judge


def report(out: Path, domain: str = DEFAULT_DOMAIN, num_faces: int = NUM_FACES) -> dict:
    """Write report.json, report.md and the contact sheets to `out`; returns the figures.

    `domain` is the name of an embedded domain, or the folder of one that was built or trained anew: it is measured with
    the renderer and the judge of the embedded domain that it belongs to. Raises InputError if it belongs to none.
    """
    described, loaded = embedded_domain_of(domain), load_domain(domain)
    out.mkdir(parents=True, exist_ok=True)
    judge, attribute_map = load_judge(described.assets / "judge.safetensors"), described.attribute_map()
    figures = {"parts": part_figures(described, loaded, judge, attribute_map)}
    figures |= motion_figures(described, loaded, judge, attribute_map, num_faces)
    figures["bars"] = {
        bar.name: {"found": bar.figure(figures), "needed": bar.needed, "met": bar.is_met(figures)}
        for bar in described.bars
    }
    (out / "report.json").write_text(json.dumps(figures, indent=1))
    text = parts_table(described, figures["parts"]) + "\n" + motion_table(described, figures)
    (out / "report.md").write_text(text)
    print(text)
    motion_sheets(described, loaded, attribute_map, out)
    return figures


def parts_table(described: EmbeddedDomain, parts: dict) -> str:
    """Figures of the judge first (without them its verdicts mean nothing), then of the other parts, as Markdown."""
    lines = ["| part | found | needed |", "|---|---|---|"]
    lines += [f"| {bar.name} | {bar.figure(parts):.4g} | {bar.needed} |" for bar in described.part_bars]
    return "\n".join(lines) + "\n"
