"""The report of an evaluation: one HTML page, its pictures inside, failures shown and not hidden."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ..metrics.bootstrap import percent
from ..reports.html import bar, card, definitions, escape, page, section, slug, table
from ..training.atomic_files import write
from .figures import Pictured
from .paper_claims import Claim, claims
from .plots import LINES, lines, places
from .registry import ABLATION
from .shards import ShardCache

LIMIT = 4_500_000
"""Bytes of the page, about: pictures lose quality until it fits."""
QUALITIES = (82, 70, 55)
PAPER = {
    "LGA": {"fid": 42.10, "acd": 0.258},
    "baseline": {"fid": 44.22, "acd": 0.451},
}
"""Table I of the paper, on photographs of people: other pictures, other networks, other numbers."""
WORKS = 0.5
"""Share of faces below which a prompt is said to fail."""
NAMES: Mapping[str, str] = {
    "judge_rise": "does what the words say",
    "judge_top1": "judge's first choice",
    "clip_top1": "other CLIP's first choice",
    "alignment_rise": "rise of words and picture",
    "fid": "FID",
    "acd": "ACD",
    "magnitude": "movement",
    "identity": "same person",
    "distance": "change to the eye",
    "first_step_share": "first step's share",
    "flicker": "flicker",
    "jerk": "jerk",
}
SHARES = frozenset(("judge_rise", "judge_top1", "clip_top1"))
TERMS = {
    "Does what the words say": "The judge, a network that no training used, compares each clip's last frame with its "
    "first, and counts those in which what the prompt names clearly grew.",
    "First choice": "Of all expressions that it knows, the judge (or a CLIP that nothing was trained against) puts the "
    "right one first.",
    "ACD": "Average content distance: how far apart two frames of a clip are to a network that knows people, over all "
    "pairs of frames (Hang et al. 2023, IV-A5). A still picture has 0, so it means nothing without the movement beside "
    "it. The paper's code adds up squares of neighbouring frames' distances instead; results.json has both.",
    "FID": "Frechet distance of all frames to real pictures by a network's features, without the root, as clean-fid "
    "has it. It depends on the network and on the number of pictures.",
    "Movement": "How much a frame differs from the first one, in 0 to 1, mean over pixels and frames.",
    "Flicker": "How far a frame lies from the middle of its neighbours, in steps: 0 at an even pace, 1 to and fro.",
    "Jerk": "How suddenly the speed changes: 0 at an even pace or acceleration, 4 to and fro.",
    "95 % interval": "Measured on other faces, the mean would fall within this range 19 times in 20.",
}


def write_report(out: Path, told: Mapping[str, Any], kept: ShardCache, at_once: int) -> Path:
    """Write report.html into `out` from its results and from the pictures that were kept."""
    pictured, text = Pictured(told, kept, at_once), ""
    for quality in QUALITIES:
        text = _document(told, pictured, quality)
        if len(text.encode()) <= LIMIT:
            break
    return write(out / "report.html", text)


def _document(told: Mapping[str, Any], pictured: Pictured, quality: int) -> str:
    tried = claims(told)
    parts = [
        section("What the paper claims, tried", _claims(tried)),
        section("All methods", _methods(told), _measured(told)),
        section("What each method does", pictured.strips(quality), "One face under each prompt, from the first "
                "frame to the last. The first faces of the evaluation, not the best ones."),
        section("Every prompt", _prompts(told), "Share of faces on which the judge sees clearly what the words say."),
        section("On the way", _curves(told), "Means over all clips, frame by frame, in their 95 % intervals."),
        section("Where a clip goes", _places(pictured), "Codes of one face's clips along the two directions in which "
                "each goes furthest; a point is a frame."),
        section("What moves", pictured.flows(quality), "Where points went between neighbouring frames: the colour says "
                "which way, its strength how far (Fig. 1 of the paper)."),
        section("Ablations", _ablations(told)),
        section("Time and memory", _costs(told), "Of one clip, mean over the evaluation, several faces at once."),
        section("What failed", _failures(told, pictured, quality)),
        section("What is missing", _missing(told)),
        section("How it was made", definitions(_facts(told))),
        section("How to read this", definitions(TERMS, "terms")),
    ]  # fmt: skip
    shown = [part for part in parts if part]
    links = "".join(f'<a href="#{slug(head)}">{head}</a>' for head in map(_heading, shown))
    title = f"Words to motion on {told['domain']}: a comparison"
    head = (
        f'<p class="eyebrow">Evaluation</p><h1>{escape(title)}</h1><p class="lede">{escape(_lede(told, tried))}</p>'
        f'<div class="cards">{_cards(told)}</div><nav>{links}</nav>'
    )
    end = f"<footer>Written on {date.today().isoformat()} by language-guided-animation.</footer>"
    return page(title, f'<header class="top">{head}</header>\n<main>{"".join(shown)}</main>\n{end}')


def _heading(part: str) -> str:
    return part.split("<h2>", 1)[1].split("</h2>", 1)[0]


def _lede(told: Mapping[str, Any], tried: Sequence[Claim]) -> str:
    held, known = sum(claim.met is True for claim in tried), sum(claim.met is not None for claim in tried)
    said = (
        f"Of the paper's claims that could be tried, {held} of {known} hold here."
        if known
        else ("None of the paper's claims could be tried with these methods.")
    )
    ablated = sum(name.startswith(ABLATION) for name in told["methods"])
    beside = f" and {ablated} ablations" if ablated else ""
    return (
        f"{len(told['methods']) - ablated} methods{beside}, the same {told['num_faces']} unseen faces and "
        f"{told['num_prompts']} prompts for all. {said}"
    )


def _cards(told: Mapping[str, Any]) -> str:
    ours = told["methods"].get("lga")
    if ours is None:
        return ""
    means, made = ours["means"], []
    for name, label, meaning in (
        ("judge_rise", "Does what the words say", "of LGA's clips clearly show what the prompt names, says the judge."),
        ("judge_top1", "The judge's first choice", "of LGA's clips show the right expression before all others."),
    ):
        if name in means:
            made.append(card(percent(means[name]["mean"]), label, meaning, _interval(means[name], percent)))
    made.append(card(_number(means["acd"]["mean"]), "ACD", f"at a movement of {_number(means['magnitude']['mean'])}.",
                     _interval(means["acd"], _number)))  # fmt: skip
    made.append(card(f"{means['seconds']['mean']:.3g} s", "A clip", "from words to motion, beside "
                     f"{means['drawing_seconds']['mean']:.2g} s of drawing."))  # fmt: skip
    return "".join(made)


def _claims(tried: Sequence[Claim]) -> str:
    verdict = {True: "holds", False: "<strong>does not hold</strong>", None: "not tried"}
    rows = [[escape(c.claim), escape(c.found), escape(c.needed), verdict[c.met]] for c in tried]
    return table([("Claim", ""), ("Found", ""), ("Needed", ""), ("", "")], rows, "Claims of the paper")


def _methods(told: Mapping[str, Any]) -> str:
    names = [name for name in NAMES if any(_value(row, name) is not None for row in told["methods"].values())]
    heads = [("Method", ""), *((escape(NAMES[name]), "") for name in names)]
    rows = [
        [f'<span title="{escape(row["about"])}">{escape(row["label"])}</span>', *(_cell(row, name) for name in names)]
        for name, row in told["methods"].items()
        if not name.startswith(ABLATION)
    ]
    for label, figures in PAPER.items():
        kind = "the paper's LGA, on people" if label == "LGA" else "the paper's baseline, on people"
        rows.append([escape(kind), *(_number(figures[name]) if name in figures else "" for name in names)])
    return table(heads, rows, "All methods")


def _value(row: Mapping[str, Any], name: str) -> float | None:
    found = row["means"].get(name)
    return None if found is None else found["mean"]


def _cell(row: Mapping[str, Any], name: str) -> str:
    found = row["means"].get(name)
    return "–" if found is None else _with_interval(found, percent if name in SHARES else _number)


def _with_interval(found: Mapping[str, float], show: Callable[[float], str]) -> str:
    return f'<span title="{escape(_interval(found, show))}">{show(found["mean"])}</span>'


def _measured(told: Mapping[str, Any]) -> str:
    parts = [
        f"Persons: {told['identity']}.",
        f"Change to the eye: {told['distance']}.",
        f"FID: {told['features']}, {told['num_reference']} {told['reference']}." if told["features"] else "",
        f"Judge: {told['judge']}." if told["judge"] else "",
        f"Other CLIP: {told['scorer']}." if told["scorer"] else "",
        "A cell's 95 % interval shows under the pointer, and stands in results.csv.",
    ]
    return escape(" ".join(part for part in parts if part))


def _prompts(told: Mapping[str, Any]) -> str:
    shown = [(name, row) for name, row in told["methods"].items() if not name.startswith(ABLATION)]
    shown = [(name, row) for name, row in shown if row["heeds_words"] and "judge_rise" in row["means"]]
    if not shown:
        return ""
    prompts = list(shown[0][1]["prompts"])
    rows = [
        [escape(prompt), *(_share(row["prompts"][prompt].get("judge_rise")) for _, row in shown)] for prompt in prompts
    ]
    return table([("Prompt", ""), *((escape(row["label"]), "share") for _, row in shown)], rows, "Every prompt")


def _share(found: Mapping[str, float] | None) -> str:
    if found is None:
        return bar(None, "judge")
    return f'<span title="{escape(_interval(found, percent))}">{bar(found["mean"], "judge")}</span>'


def _curves(told: Mapping[str, Any]) -> str:
    drawn = ""
    for name, label in (("changes", "Change from the first frame"), ("alignments", "Words and picture (cosine)")):
        found = {row["label"]: row["curves"][name] for key, row in told["methods"].items()
                 if name in row["curves"] and not key.startswith(ABLATION)}  # fmt: skip
        if found:
            drawn += f'<h3 class="sub">{escape(label)}</h3><figure class="wide">{lines(found, label)}</figure>'
    return drawn + _legend(told) if drawn else ""


def _legend(told: Mapping[str, Any]) -> str:
    labels = [row["label"] for key, row in told["methods"].items() if not key.startswith(ABLATION)]
    style = "white-space:nowrap;margin-right:1.4em"
    dots = (
        f'<span style="{style}"><span style="color:{colour}">●</span> {escape(label)}</span>'
        for label, colour in zip(labels, LINES, strict=False)
    )
    return f'<p class="intro">{"".join(dots)}</p>'


def _places(pictured: Pictured) -> str:
    paths = pictured.paths()
    return f'<figure class="wide">{places(paths, "Paths of codes")}</figure>' if paths else ""


def _ablations(told: Mapping[str, Any]) -> str:
    found = {name: row for name, row in told["methods"].items() if name.startswith(ABLATION)}
    if not found:
        return ""
    names = [name for name in ("judge_rise", "judge_top1", "acd", "magnitude", "first_step_share", "jerk") if
             any(name in row["means"] for row in found.values())]  # fmt: skip
    ordered = sorted(found.values(), key=lambda row: -(_value(row, "judge_rise") or 0))
    rows = [[escape(row["label"]), *(_cell(row, name) for name in names)] for row in ordered]
    return table([("Trained so", ""), *((escape(NAMES[name]), "") for name in names)], rows, "Ablations") + (
        f'<p class="intro">On the first {told["num_ablated"]} faces, the best first. The paper (IV-D, Fig. 5) shows '
        "pictures only: there, the whole method beats training without contrast, with smaller batches, without the "
        "path term, and with first differences.</p>"
    )


def _costs(told: Mapping[str, Any]) -> str:
    rows = []
    for name, row in told["methods"].items():
        if name.startswith(ABLATION):
            continue
        means = row["means"]
        rows.append([
            escape(row["label"]),
            *(_with_interval(means[name], _seconds) for name in ("seconds", "processor_seconds", "drawing_seconds")),
            "–" if row["peak"] is None else f"{row['peak'] / 1e6:.0f} MB",
        ])  # fmt: skip
    heads = ["Method", "words to motion", "of the processor", "drawing", "memory at most"]
    return table([(head, "") for head in heads], rows, "Time and memory")


def _failures(told: Mapping[str, Any], pictured: Pictured, quality: int) -> str:
    """Prompts that a method which heeds words does not do, and the worst of them in pictures."""
    html = ""
    for name, row in told["methods"].items():
        if name.startswith(ABLATION) or not row["heeds_words"] or "judge_rise" not in row["means"]:
            continue
        known = {prompt: found["judge_rise"] for prompt, found in row["prompts"].items() if "judge_rise" in found}
        shares = {prompt: found["mean"] for prompt, found in known.items()}
        failed = {prompt: share for prompt, share in shares.items() if share < WORKS}
        said = ", ".join(f"{escape(p)} ({percent(v)})" for p, v in sorted(failed.items(), key=lambda item: item[1]))
        html += f"<li><strong>{escape(row['label'])}</strong>: {said or 'no prompt is below half of the faces'}.</li>"
    return f'<ul class="notes">{html}</ul>{pictured.worst(quality)}' if html else ""


def _missing(told: Mapping[str, Any]) -> str:
    lines_ = [f"{NAMES.get(name, name)}: {what}." for name, what in told["missing"].items()]
    lines_ += [f"The method {name}: {what}" for name, what in told["missing_methods"].items()]
    return f'<ul class="notes">{"".join(f"<li>{escape(line)}</li>" for line in lines_)}</ul>' if lines_ else ""


def _facts(told: Mapping[str, Any]) -> dict[str, str]:
    facts = {"Domain": told["domain"], "Machine": told["machine"]}
    facts |= {name.capitalize(): str(value) for name, value in told["versions"].items()}
    return facts | {row["label"]: row["about"] for row in told["methods"].values()}


def _interval(found: Mapping[str, float], show: Callable[[float], str]) -> str:
    return f"95 %: {show(found['low'])} to {show(found['high'])}"


def _seconds(value: float) -> str:
    return f"{value:.3g} s"


def _number(value: float) -> str:
    return f"{value:.3g}"
