"""What a report says of a motion model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..metrics.bootstrap import percent
from .html import bar, card, escape, figure, inline, section, slug, table
from .sheet_rows import Sheet, columns
from .svg_plots import amplitude_plot

EYEBROW = "Motion model · training report"
WORKS = 0.5
"""Share of faces from which on a prompt is said to work."""
STEADY = 0.12
"""Deviation of the amount of movement over clip lengths that is not worth a word of warning."""
CLIP_TERMS = {
    "CLIP": "A network that has learned how well a picture and a sentence fit. Training pleases it, so its own verdict "
    "is not enough: it can be fooled by details that no person would accept.",
    "First choice": "Of all trained prompts, the right one fits the face best. Guessing would get one in as many as "
    "there are prompts.",
    "Rise": "By how much the similarity between face and sentence, which CLIP measures from -1 to 1, went up.",
    "95 % interval": "Measured on other faces (and, for new words, with other words), the mean would fall within this "
    "range 19 times in 20.",
}
JUDGE_TERMS = {
    "The judge": "A network that training never used. It reads the expression off the face itself.",
    "Clearly grew": "The judge compares each face before and after, and counts those on which what the prompt names "
    "clearly grew.",
    "Disagree": "CLIP and the judge differ by more than 40 points on a prompt. Then the pictures decide, and you do.",
}


def terms(figures: Mapping[str, Any]) -> dict[str, str]:
    """The words that the page uses, each with its meaning."""
    return CLIP_TERMS | JUDGE_TERMS if figures["judge"] else CLIP_TERMS


def _who(figures: Mapping[str, Any]) -> str:
    return "CLIP and the judge put" if figures["judge"] else "CLIP puts"


def lede(figures: Mapping[str, Any]) -> str:
    """What came out, in two sentences."""
    rows, faces = figures["prompts"].values(), figures["num_faces"]
    judged = [row for row in rows if row["judge_rise"] is not None]
    if not judged:
        good = sum(row["clip_top1"] >= WORKS for row in rows)
        return (
            f"{good} of {len(rows)} prompts are recognised by CLIP on at least half of {faces} faces that training "
            "never saw. No independent judge knows this domain: let the pictures below decide."
        )
    good = sum(row["judge_rise"] >= WORKS for row in judged)
    known = f"{len(judged)} prompts" if len(judged) == len(rows) else f"the {len(judged)} prompts that the judge knows"
    flagged = sum(row["flag"] is not None for row in judged)
    look = {0: "CLIP and the judge agree on all of them.", 1: "On one of them CLIP and the judge disagree."}
    return (
        f"{good} of {known} do what they say: on at least half of {faces} faces that training never saw, an "
        f"independent judge sees it clearly. {look.get(flagged, f'On {flagged} of them CLIP and the judge disagree.')}"
    )


def parts(figures: Mapping[str, Any], sheets: Sequence[Sheet], quality: int) -> tuple[str, list[str]]:
    """The row of pictures for the head, and the sections."""
    sheet = next((sheet for sheet in sheets if sheet.layout is not None and sheet.layout.groups), None)
    others = "".join(other.whole(quality) for other in sheets if other is not sheet)
    held_out = figures["held_out"]
    return _hero(figures, sheet, quality), [
        section("Key figures", f'<div class="cards">{_cards(figures)}</div>{_flags(figures)}'),
        section(
            "What each prompt does",
            _words(figures, sheet, quality) + others,
            f"Left of each row, the share of faces on which {_who(figures)} the right prompt first. Then one face on "
            "its way from the first frame to the last, and other faces at the end of theirs.",
        ),
        section("Every prompt in figures", _table(figures, figures["prompts"], "prompt", "Prompt"), _measured(figures)),
        section(
            "New words",
            _table(figures, held_out, "sentence", "Sentence") if held_out else "",
            "Sentences that training never used, each with the prompt that it means: what happens when someone writes "
            "their own words.",
        ),
        section("Start and length", _length(figures)),
    ]


def _hero(figures: Mapping[str, Any], sheet: Sheet | None, quality: int) -> str:
    """The first face as it is, and under the seven prompts that work best."""
    if sheet is None or sheet.layout is None:
        return ""
    layout, last = sheet.layout, sheet.layout.groups[0][1] - 1
    rows = [row for row, caption in enumerate(layout.captions) if caption in figures["prompts"]]
    best = sorted(rows, key=lambda row: -_score(figures["prompts"][layout.captions[row]]))[:7]
    shown = [(0, "before")] * (layout.captions[0] == "before") + [(row, layout.captions[row]) for row in sorted(best)]
    figures_ = [
        figure(inline(sheet.cells(layout, row, last, 1), caption, quality), escape(caption), slug(caption))
        for row, caption in shown
    ]
    return f'<div class="hero">{"".join(figures_)}</div>'


def _score(row: Mapping[str, Any]) -> float:
    """How well a prompt works, by everyone who has an opinion."""
    known = [row[key] for key in ("clip_top1", "judge_top1", "judge_rise") if row[key] is not None]
    return sum(known) / len(known) - (row["flag"] is not None)


def _cards(figures: Mapping[str, Any]) -> str:
    means, k, judge = figures["means"], len(figures["prompts"]), figures["judge"]
    guess = f"Guessing: {percent(figures['chance'])}."
    cards = []
    if "judge_rise" in means:
        rule = f"of faces clearly show what the prompt names, says {judge}, which training never used."
        cards.append(_mean_card(means["judge_rise"], "Does what the words say", rule))
    if "judge_top1" in means:
        cards.append(
            _mean_card(means["judge_top1"], "The judge's first choice", f"of faces fit the right prompt best. {guess}")
        )
    clip = f"of faces fit the right one of {k} prompts best, says CLIP, which training pleases. {guess}"
    cards.append(_mean_card(means["clip_top1"], "CLIP's first choice", clip))
    new = next((key for key in ("held_out_judge_rise", "held_out_clip_top1") if key in means), None)
    if new is not None:
        who = "the judge" if "judge" in new else "CLIP"
        told = f"of faces follow {len(figures['held_out'])} sentences that training never used, says {who}."
        cards.append(_mean_card(means[new], "New words", told))
    even = 1 / (figures["num_frames"] - 1)
    cards.append(
        card(
            f"{100 * figures['first_step_share']:.1f} %",
            "A smooth start",
            f"of the whole way is made in the first of {figures['num_frames'] - 1} steps. {100 * even:.1f} % is "
            "perfectly even; much more would be seen as a jump.",
        )
    )
    cards.append(
        card(
            f"± {100 * _drift(figures):.0f} %",
            "Any length",
            "is how far the amount of movement in clips of 4 to 128 frames lies from the usual clip's. Small is good.",
        )
    )
    return "".join(cards)


def _mean_card(mean: Mapping[str, float], label: str, meaning: str) -> str:
    low, high = percent(mean["low"]), percent(mean["high"])
    return card(percent(mean["mean"]), label, meaning, f"95 % interval: {low} to {high}" if low != high else "")


def _drift(figures: Mapping[str, Any]) -> float:
    """Largest deviation of the amplitude from that of a clip of the usual length."""
    lengths = figures["amplitude"]
    base = lengths.get(str(figures["num_frames"])) or 1.0
    return max(abs(length / base - 1) for length in lengths.values())


def _flags(figures: Mapping[str, Any]) -> str:
    rows = {**figures["prompts"], **figures["held_out"]}
    flagged = [(name, row["flag"]) for name, row in rows.items() if row["flag"]]
    if not flagged:
        return ""
    lines = "".join(f"<li><strong>{escape(name)}</strong>: {escape(flag)}</li>" for name, flag in flagged)
    return f'<div class="flags"><h3>Look at these before you use them</h3><ul>{lines}</ul></div>'


def _words(figures: Mapping[str, Any], sheet: Sheet | None, quality: int) -> str:
    """The sheet, row by row, each prompt with its figures."""
    if sheet is None or sheet.layout is None:
        return ""
    layout = sheet.layout
    headings = "".join(f"<span>{escape(heading)}</span>" for heading, _ in layout.groups)
    html = f'<div class="columns"><span></span><div class="strips" style="{columns(layout)}">{headings}</div></div>'
    for row, caption in enumerate(layout.captions):
        words = _word(caption, figures["prompts"].get(caption))
        html += f'<article class="word"><div>{words}</div>{sheet.strips(layout, row, quality)}</article>'
    return html


def _word(caption: str, row: Mapping[str, Any] | None) -> str:
    if row is None:
        still = '<p class="sentence">The faces as they are.</p>' if caption == "before" else ""
        return f"<h3>{escape(caption)}</h3>{still}"
    judge = row["judge_top1"] if row["judge_top1"] is not None else row["judge_rise"]
    meters = f'<div class="meter"><span>CLIP</span>{bar(row["clip_top1"], "clip")}</div>'
    if judge is not None:
        meters += f'<div class="meter"><span>Judge</span>{bar(judge, "judge")}</div>'
    flag = '<a class="badge" href="#key-figures">CLIP and judge disagree</a>' if row["flag"] else ""
    return f'<h3>{escape(caption)}</h3><p class="sentence">{escape(row["sentence"])}</p>{meters}{flag}'


def _measured(figures: Mapping[str, Any]) -> str:
    """How the figures came about, as HTML."""
    told = f"Measured on {figures['num_faces']} faces that training never saw, at frame {figures['num_frames']}."
    if len(figures["scorers"]) > 1:
        told += f" CLIP is the mean of {', '.join(figures['scorers'])}."
    if figures["judge"]:
        told += f" The judge is {figures['judge']}; clearly grew means: {figures['judge_rule']}."
    return escape(told)


def _table(figures: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]], kind: str, first: str) -> str:
    judged = [key for key in ("judge_top1", "judge_rise") if any(row[key] is not None for row in rows.values())]
    names = {"judge_top1": "Judge: first choice", "judge_rise": "Judge: clearly grew"}
    scorers = figures["scorers"] if len(figures["scorers"]) > 1 else []
    heads = [(first, ""), *([("Means", "")] if kind == "sentence" else [])]
    heads += [('<span class="legend clip"></span>CLIP: first choice', "share")]
    heads += [(escape(name), "figure") for name in scorers] + [("CLIP: rise", "figure")]
    heads += [(f'<span class="legend judge"></span>{names[key]}', "share") for key in judged]
    heads += [("", "")] * any(row["flag"] for row in rows.values())
    lines = []
    for name, row in rows.items():
        cells = [escape(name), *([escape(row["prompt"])] if kind == "sentence" else [])]
        cells += [bar(row["clip_top1"], "clip")]
        cells += [percent(row["clip_top1_each"][scorer]) for scorer in scorers] + [f"{row['clip_rise']:+.2f}"]
        cells += [bar(row[key], "judge") for key in judged]
        if len(cells) < len(heads):
            cells.append(f'<span class="badge" title="{escape(row["flag"])}">disagree</span>' if row["flag"] else "")
        lines.append(cells)
    return table(heads, lines, f"Figures of every {kind}")


def _length(figures: Mapping[str, Any]) -> str:
    lengths = {int(count): length for count, length in figures["amplitude"].items()}
    share, even = figures["first_step_share"], 1 / (figures["num_frames"] - 1)
    words = "no jump" if share <= 1.3 * even else "a jump; look at the second frame"
    drift, ends = _drift(figures), f"clips of {min(lengths)} to {max(lengths)} frames"
    length = (
        f"In {ends} the last frame is equally far from the face, to within {100 * drift:.0f} %."
        if drift <= STEADY
        else f"In {ends} the amount of movement differs by up to {100 * drift:.0f} %: choose the length with care."
    )
    told = (
        f"The first step of a {figures['num_frames']}-frame clip makes {100 * share:.1f} % of the way, where "
        f"{100 * even:.1f} % is even: {words}. {length}"
    )
    caption = f"Amount of movement at the last frame; 100 % is a clip of {figures['num_frames']} frames."
    return f'<p class="intro">{escape(told)}</p>' + figure(amplitude_plot(lengths), escape(caption), "wide")
