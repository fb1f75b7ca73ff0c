"""The report of an evaluation: one HTML page with its images inside, which shows failures too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ..reports.html import render, within_limit
from ..training.atomic_files import write
from .figures import ClipFigures, embedded_rows
from .paper_claims import Claim, claims
from .plots import COLORS, curves_plot, paths_plot
from .registry import ABLATION
from .shards import ShardCache

TEMPLATE = Path(__file__).parent / "templates" / "evaluation.html.j2"
PAPER = {
    "LGA": {"fid": 42.10, "acd": 0.258},
    "baseline": {"fid": 44.22, "acd": 0.451},
}
"""Table I of the paper, on photographs of people: with other images and networks, its numbers are not comparable."""
WORKS = 0.5
"""Share of faces below which a prompt counts as failed."""
LABELS: Mapping[str, str] = {
    "judge_rise": "expression increases",
    "judge_top1": "judge top-1",
    "clip_top1": "independent CLIP top-1",
    "alignment_rise": "CLIP gain",
    "fid": "FID",
    "acd": "ACD",
    "magnitude": "motion magnitude",
    "identity": "identity similarity",
    "distance": "perceptual distance",
    "first_step_share": "first-step share",
    "flicker": "flicker",
    "jerk": "jerk",
}
SHARES = frozenset(("judge_rise", "judge_top1", "clip_top1"))
OF_ABLATIONS = ("judge_rise", "judge_top1", "acd", "magnitude", "first_step_share", "jerk")
CURVES = {"changes": "Change from the first frame", "alignments": "Similarity of text and image (cosine)"}


def write_report(out: Path, results: Mapping[str, Any], cache: ShardCache, at_once: int) -> Path:
    """Write report.html into `out` from the evaluation's results and its cached images; `at_once`: faces of a shard."""
    methods: Mapping[str, Any] = results["methods"]
    compared = {name: row for name, row in methods.items() if not name.startswith(ABLATION)}
    ablations = sorted(_ablations(methods).values(), key=lambda row: -_mean(row, "judge_rise"))
    tested = claims(methods)
    figures = ClipFigures(compared, cache, min(at_once, results["num_faces"]))
    examples, flows, worst = figures.examples(), figures.flows(), figures.worst("lga")
    facts = {
        "title": f"Language-guided motion on {results['domain']}: a comparison",
        "today": date.today().isoformat(),
        "lede": _lede(results, tested),
        "lga": methods["lga"]["means"] if "lga" in methods else None,
        "results": results,
        "compared": compared,
        "labels": LABELS,
        "shares": SHARES,
        "paper": PAPER,
        "claims": tested,
        "measured": _measured(results),
        "metrics": [name for name in LABELS if any(name in row["means"] for row in methods.values())],
        "judged": list(_judged(compared)),
        "curves": dict(_curves(compared)),
        "colors": list(zip((row["label"] for row in compared.values()), COLORS, strict=False)),
        "paths_plot": Markup(paths_plot(figures.paths(), "Paths of codes")) if compared else "",
        "ablations": ablations,
        "ablation_metrics": [name for name in OF_ABLATIONS if any(name in row["means"] for row in ablations)],
        "failures": _failures(_judged(compared)),
        "missing": _missing(results["missing"], results["missing_methods"]),
        "facts": _facts(results),
    }

    def page(quality: int) -> str:
        images = {
            "examples": {prompt: embedded_rows(strips, quality) for prompt, strips in examples.items()},
            "flows": embedded_rows(flows, quality),
            "worst": embedded_rows(worst, quality),
        }
        return render(TEMPLATE, **facts, **images)

    return write(out / "report.html", within_limit(page))


def _ablations(methods: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row for name, row in methods.items() if name.startswith(ABLATION)}


def _mean(row: Mapping[str, Any], metric: str) -> float:
    """0 for a metric that the method lacks."""
    return row["means"][metric]["mean"] if metric in row["means"] else 0.0


def _judged(methods: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The methods that follow text and that a judge has measured."""
    return (row for row in methods.values() if row["heeds_words"] and "judge_rise" in row["means"])


def _lede(results: Mapping[str, Any], tested: Sequence[Claim]) -> str:
    held, known = sum(claim.met is True for claim in tested), sum(claim.met is not None for claim in tested)
    verdict = (
        f"Of the paper's claims that could be tested, {held} of {known} hold here."
        if known
        else "None of the paper's claims could be tested with these methods."
    )
    num_ablations = len(_ablations(results["methods"]))
    ablations = f" and {num_ablations} ablations" if num_ablations else ""
    return (
        f"{len(results['methods']) - num_ablations} methods{ablations} on the same {results['num_faces']} held-out "
        f"faces and {results['num_prompts']} prompts. {verdict}"
    )


def _measured(results: Mapping[str, Any]) -> str:
    parts = [
        f"Identity: {results['identity']}.",
        f"Perceptual distance: {results['distance']}.",
        f"FID: {results['features']}, {results['num_reference']} {results['reference']}."
        if results["features"]
        else "",
        f"Judge: {results['judge']}." if results["judge"] else "",
        f"Independent CLIP: {results['scorer']}." if results["scorer"] else "",
        "Hover over a cell to see its 95 % interval; results.csv lists all of them.",
    ]
    return " ".join(part for part in parts if part)


def _curves(methods: Mapping[str, Any]) -> Iterator[tuple[str, Markup]]:
    for name, label in CURVES.items():
        found = {row["label"]: row["curves"][name] for row in methods.values() if name in row["curves"]}
        if found:
            yield label, Markup(curves_plot(found, label))


def _failures(judged: Iterator[Mapping[str, Any]]) -> dict[str, list[tuple[str, float]]]:
    """By method, the prompts on which it fails, with the share of faces; the worst prompt first."""
    failures = {}
    for row in judged:
        shares = {
            prompt: _mean({"means": means}, "judge_rise")
            for prompt, means in row["prompts"].items()
            if "judge_rise" in means
        }
        failed = [(prompt, share) for prompt, share in shares.items() if share < WORKS]
        failures[row["label"]] = sorted(failed, key=lambda each: each[1])
    return failures


def _missing(metrics: Mapping[str, str], methods: Mapping[str, str]) -> list[str]:
    """Each metric and method that is missing, and what to provide for it."""
    return [f"{LABELS.get(name, name)}: {remedy}." for name, remedy in metrics.items()] + [
        f"The method {name}: {remedy}" for name, remedy in methods.items()
    ]


def _facts(results: Mapping[str, Any]) -> dict[str, str]:
    facts = {"Domain": results["domain"], "Machine": results["machine"]}
    facts |= {name.capitalize(): str(value) for name, value in results["versions"].items()}
    return facts | {row["label"]: row["about"] for row in results["methods"].values()}
