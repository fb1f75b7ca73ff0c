"""Figures of a domain's motion: each prompt judged on faces that no choice was made on, beside its ceiling.

The judge (a network that no loss used) decides. The ceiling of a prompt is the same figures for its true preset, drawn
by the generator from known attributes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from lga_core import Domain

from ..attribute_map import AttributeMap
from ..attributes import AttributeSpace
from ..embedded_domain import Bar, EmbeddedDomain
from ..stages.judge import Judge, Verdict, judged

NUM_FACES, FACES_SEED = 64, 20_261
FRAME_COUNTS = (4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class PromptFigures:
    """What a prompt did to the faces.

    rise: the judge's change of the named attributes, 1 for the change of a full preset. top1: share of faces on which
    the judge puts this prompt first. stay: r.m.s. change of the attributes that should stay, in their standard
    deviations. outside: mean absolute change of pixels (0..1) outside the face.
    """

    rise: float
    top1: float
    stay: float
    outside: float


def figures_of(
    described: EmbeddedDomain,
    prompt: str,
    judge: Judge,
    before: Verdict,
    source: Float[Tensor, "n 3 h w"],
    pictures: Float[Tensor, "n 3 h w"],
) -> PromptFigures:
    after, space = judged(judge, pictures), described.attributes
    preserved = space.columns(space.preserved[prompt])
    scaled = (after.attributes - before.attributes)[:, preserved] / judge.deviation[preserved]
    outside = described.renderer.outside_face(pictures.shape[-1])
    change = ((pictures.clamp(-1, 1) - source.clamp(-1, 1)).abs() / 2 * outside).sum(dim=(2, 3)).mean() / outside.sum()
    first = after.logits[:, : len(space.prompts)].argmax(dim=1) == space.prompts.index(prompt)
    return PromptFigures(
        rise=space.named_change(prompt, before.attributes, after.attributes).mean().item(),
        top1=first.float().mean().item(),
        stay=scaled.square().mean().sqrt().item(),
        outside=change.item(),
    )


@torch.no_grad()
def motion_figures(
    described: EmbeddedDomain,
    domain: Domain,
    judge: Judge,
    attribute_map: AttributeMap,
    num_faces: int = NUM_FACES,
    seed: int = FACES_SEED,
) -> dict:
    """Figures of every prompt, its ceiling and its held-out paraphrases, on `num_faces` fresh neutral faces."""
    space, sentences = described.attributes, described.lexicon.sentences
    attributes = space.sample_neutral(num_faces, torch.Generator().manual_seed(seed))
    ws = domain.generator.broadcast(attribute_map.to_w(attributes))
    source = drawn(domain, ws)
    before, features = judged(judge, source), domain.clip.encode_images(source)

    def moved(sentence: str) -> Tensor:
        motion = domain.motion(domain.clip.encode_text([sentence]), features, 4)
        return drawn(domain, ws + motion[:, -1])

    def figures_under(prompt: str, pictures: Tensor) -> dict[str, float]:
        return asdict(figures_of(described, prompt, judge, before, source, pictures))

    figures: dict = {"num_faces": num_faces, "prompts": {}, "ceiling": {}, "held_out": {}}
    for prompt in tqdm(space.prompts, desc="prompts"):
        preset = domain.generator.broadcast(attribute_map.to_w(space.with_preset(attributes, prompt)))
        figures["prompts"][prompt] = figures_under(prompt, moved(sentences[prompt]))
        figures["ceiling"][prompt] = figures_under(prompt, drawn(domain, preset))
    for sentence, prompt in tqdm(described.lexicon.held_out_sentences().items(), desc="held-out words"):
        figures["held_out"][sentence] = figures_under(prompt, moved(sentence))
    text = domain.clip.encode_text([sentences[prompt] for prompt in space.prompts])
    figures |= path_figures(domain, text, features)
    return figures


def path_figures(domain: Domain, text: Float[Tensor, "k c"], features: Float[Tensor, "n c"]) -> dict:
    """First-step share at 16 frames, and the last offset's length over the number of frames (mean over prompts)."""
    few = features[:8]
    pairs = text.repeat_interleave(len(few), dim=0), few.repeat(len(text), 1)
    steps = domain.motion(*pairs, 16).diff(dim=1).flatten(2).norm(dim=2)
    amplitude = {str(t): domain.motion(*pairs, t)[:, -1].flatten(1).norm(dim=1).mean().item() for t in FRAME_COUNTS}
    return {"first_step_share": (steps[:, 0] / steps.sum(dim=1)).mean().item(), "amplitude": amplitude}


def drawn(domain: Domain, ws: Float[Tensor, "n l d"]) -> Float[Tensor, "n 3 h w"]:
    return torch.cat([domain.generator.synthesis(chunk) for chunk in ws.split(16)])


# Bars and tables


def motion_bars(space: AttributeSpace, risen: int, top1: float, held_out: float) -> tuple[Bar, ...]:
    """What is asked of a motion: how many prompts must rise, and the least top-1 of prompts and of paraphrases."""

    def over(figures: dict, part: str, key: str, prompts: Sequence[str]) -> float:
        return mean(figures[part][prompt][key] for prompt in prompts)

    expressions = space.expression_prompts
    return (
        Bar(
            "prompts whose named attribute rises >= 0.5",
            lambda f: sum(p["rise"] >= 0.5 for p in f["prompts"].values()),
            f">= {risen} of {len(space.prompts)}",
            least=risen,
        ),
        Bar(
            "top-1 among prompts, by the judge",
            lambda f: over(f, "prompts", "top1", space.prompts),
            f">= {top1}",
            least=top1,
        ),
        Bar(
            "held-out paraphrases, top-1",
            lambda f: over(f, "held_out", "top1", tuple(f["held_out"])),
            f">= {held_out}",
            least=held_out,
        ),
        Bar(
            "change of what should stay, against the true preset's",
            lambda f: over(f, "prompts", "stay", expressions) / over(f, "ceiling", "stay", expressions),
            "<= 1.3",
            most=1.3,
        ),
        Bar(
            "pixel change outside the face",
            lambda f: over(f, "prompts", "outside", expressions),
            "<= 0.02",
            most=0.02,
        ),
        Bar("first-step share at T = 16", lambda f: f["first_step_share"], "<= 1.3/15 = 0.0867", most=1.3 / 15),
        Bar("amplitude over T = 4 ... 128, largest deviation", amplitude_drift, "<= 0.12", most=0.12),
    )


def amplitude_drift(figures: dict) -> float:
    """Largest relative difference of a motion's length from that at 4 frames."""
    return max(abs(value / figures["amplitude"]["4"] - 1) for value in figures["amplitude"].values())


def mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)


def motion_table(described: EmbeddedDomain, figures: dict) -> str:
    """The motion's figures as Markdown."""
    keys = [field.name for field in fields(PromptFigures)]
    lines = ["| bar | found | needed | met |", "|---|---|---|---|"]
    lines += [
        f"| {bar.name} | {bar.figure(figures):.3g} | {bar.needed} | {'yes' if bar.is_met(figures) else '**no**'} |"
        for bar in described.bars
    ]
    lines += [
        "",
        "| prompt | rise | top-1 | stay | outside | ceiling: rise | top-1 | stay | outside |",
        "|" + "---|" * 9,
    ]
    for prompt in described.attributes.prompts:
        cells = [figures[part][prompt][key] for part in ("prompts", "ceiling") for key in keys]
        lines.append(f"| {prompt} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    lines += ["", "| held-out sentence | rise | top-1 |", "|---|---|---|"]
    lines += [f"| {sentence} | {f['rise']:.2f} | {f['top1']:.2f} |" for sentence, f in figures["held_out"].items()]
    return "\n".join(lines) + "\n"
