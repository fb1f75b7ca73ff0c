"""The figures of a trained model: plain functions of tensors and models, which read and write nothing.

CLIP, which training pleases, never judges alone: where there is a judge, its verdict stands beside CLIP's, and a prompt
on which the two disagree is flagged. Every mean comes with a 95 % bootstrap interval (Efron and Tibshirani 1993).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lga_core import ClipModel, Images, Motion, MotionModel, WPlus
from lga_core.imaging import fit_square

from .bootstrap import NUM_FRAMES, interval, percent
from .judges import Judge, JudgeVerdict

if TYPE_CHECKING:
    from ..data.prompts import Prompt, PromptSet

FRAME_COUNTS = (4, 8, 16, 32, 64, 128)
DISAGREEMENT = 0.4
"""Difference of two shares of faces from which on CLIP and the judge are said to disagree."""
JUDGED_SIZE = 512
"""Side of the pictures that judges see, in pixels, at most."""
CHUNK = 8


class Looks(NamedTuple):
    """What is measured of drawn faces: unit embeddings [n c] of each scorer, and pictures for a judge, on the CPU."""

    features: list[Tensor]
    pictures: Images


class Sentence(NamedTuple):
    """One sentence, measured on n faces: `hits` and `rises` [scorers n], and what the judge says, if anything."""

    hits: Bool[Tensor, "s n"]
    rises: Float[Tensor, "s n"]
    verdict: JudgeVerdict | None


def first_step_share(motion: Motion) -> float:
    """Mean length of the first step over that of the whole path, for offsets [n t l d]; 1/(t-1) at an even pace."""
    steps = motion.diff(dim=1).flatten(2).norm(dim=2)
    return (steps[:, 0] / steps.sum(dim=1).clamp(min=1e-12)).mean().item()


def amplitudes(move: Callable[[int], Motion], counts: Sequence[int] = FRAME_COUNTS) -> dict[int, float]:
    """Mean length of the last frame's offset in clips of `counts` frames; `move(t)` gives the offsets [n t l d]."""
    return {count: move(count)[:, -1].flatten(1).norm(dim=1).mean().item() for count in counts}


def hits(features: Float[Tensor, "n c"], sentences: Float[Tensor, "k c"], true: int) -> Bool[Tensor, "n"]:
    """Whether sentence `true` is the most similar one of all to each picture (unit embeddings)."""
    return (features @ sentences.T).argmax(dim=1) == true


def top1(features: Float[Tensor, "n c"], sentences: Float[Tensor, "k c"], true: int) -> float:
    """Share of pictures to which sentence `true` is the most similar one of all."""
    return hits(features, sentences, true).float().mean().item()


@torch.no_grad()
def motion_figures(
    model: MotionModel,
    draw: Callable[[WPlus], Images],
    ws: WPlus,
    encoder_clip: ClipModel,
    scorers: Sequence[ClipModel],
    prompts: PromptSet,
    judge: Judge | None = None,
    image_embeddings: Float[Tensor, "n c"] | None = None,
) -> dict[str, Any]:
    """Every figure of a motion model on the faces `ws` [n l d], which training should not have seen, as JSON.

    encoder_clip: starts the motions. scorers: decide where they end; several are averaged. image_embeddings:
    `encoder_clip`'s of the faces, for a model trained with pictures.
    """
    before = look(draw, ws, scorers, judge is not None)
    texts = [scorer.encode_text(prompts.sentences) for scorer in scorers]

    def measured(sentence: str, index: int) -> Sentence:
        embedding = encoder_clip.encode_text([sentence]).expand(len(ws), -1)
        end = ws + model(embedding, image_embeddings, NUM_FRAMES)[:, -1]
        after = look(draw, end, scorers, judge is not None)
        return compared(prompts.prompts[index], index, before, after, texts, judge)

    trained = {prompt.prompt: measured(prompt.sentence, i) for i, prompt in enumerate(prompts.prompts)}
    held_out = {sentence: measured(sentence, i) for sentence, i in prompts.held_out.items()}
    names = _names(scorers)
    parents = {sentence: {"prompt": prompts.prompts[i].prompt} for sentence, i in prompts.held_out.items()}
    said = {prompt.prompt: {"sentence": prompt.sentence} for prompt in prompts.prompts}
    return {
        "num_faces": len(ws),
        "num_frames": NUM_FRAMES,
        "chance": 1 / len(prompts.prompts),
        "encoder_clip": encoder_clip.name,
        "scorers": names,
        "judge": judge.name if judge is not None else None,
        "judge_rule": judge.rule if judge is not None else None,
        "means": _means(trained, "") | _means(held_out, "held_out_"),
        "prompts": {name: said[name] | _row(sentence, names) for name, sentence in trained.items()},
        "held_out": {name: parents[name] | _row(sentence, names) for name, sentence in held_out.items()},
        **path_figures(model, encoder_clip.encode_text(prompts.sentences), image_embeddings),
    }


def look(draw: Callable[[WPlus], Images], ws: WPlus, scorers: Sequence[ClipModel], judged: bool) -> Looks:
    """Draw faces a few at a time and keep only what is measured of them."""
    features, pictures = [], []
    for codes in ws.split(CHUNK):
        images = draw(codes).float()
        features.append([scorer.encode_images(images) for scorer in scorers])
        pictures.append(fit_square(images, min(JUDGED_SIZE, images.shape[-1])).cpu() if judged else images[:, :, :0])
    return Looks([torch.cat(chunks) for chunks in zip(*features, strict=True)], torch.cat(pictures))


def compared(
    prompt: Prompt, index: int, before: Looks, after: Looks, texts: Sequence[Tensor], judge: Judge | None
) -> Sentence:
    """How faces changed under `prompt`, number `index` of the sentences that `texts` ([k c] a scorer) embed."""
    now = [hits(features, text, index) for features, text in zip(after.features, texts, strict=True)]
    changes = [new - old for new, old in zip(after.features, before.features, strict=True)]
    rises = [change @ text[index] for change, text in zip(changes, texts, strict=True)]
    verdict = None if judge is None else judge.verdict(prompt, before.pictures, after.pictures)
    return Sentence(torch.stack(now).cpu(), torch.stack(rises).cpu(), verdict)


def path_figures(
    model: MotionModel, text: Float[Tensor, "k c"], pictures: Float[Tensor, "n c"] | None, faces: int = 4
) -> dict[str, Any]:
    """First-step share, and amplitude over the number of frames, of all sentences on the first few faces."""
    seen = None if pictures is None else pictures[:faces].repeat(len(text), 1)
    text = text if pictures is None else text.repeat_interleave(len(pictures[:faces]), dim=0)

    def move(num_frames: int) -> Motion:
        return model(text, seen, num_frames)

    lengths = {str(count): length for count, length in amplitudes(move).items()}
    return {"first_step_share": first_step_share(move(NUM_FRAMES)), "amplitude": lengths}


def _row(sentence: Sentence, names: Sequence[str]) -> dict[str, Any]:
    each = sentence.hits.float().mean(dim=1).tolist()
    clip = sum(each) / len(each)
    verdict = sentence.verdict
    return {
        "clip_top1": clip,
        "clip_top1_each": dict(zip(names, each, strict=True)),
        "clip_rise": sentence.rises.mean().item(),
        "judge_top1": None if verdict is None else verdict.top1,
        "judge_rise": None if verdict is None else verdict.rise,
        "flag": None if verdict is None else disagreement(clip, verdict),
    }


def disagreement(clip_top1: float, verdict: JudgeVerdict) -> str | None:
    """A sentence for people where CLIP's share of faces and the judge's differ by more than `DISAGREEMENT`."""
    found = verdict.rise if verdict.top1 is None else verdict.top1
    if math.isnan(found) or abs(clip_top1 - found) <= DISAGREEMENT:
        return None
    if clip_top1 > found:
        return (
            f"CLIP finds these words on {percent(clip_top1)} of the faces, but the judge on {percent(found)}: CLIP may "
            "be fooled. Look at the pictures before using this prompt."
        )
    return (
        f"The judge finds this on {percent(found)} of the faces, but CLIP on {percent(clip_top1)}: CLIP may mix it up "
        "with another prompt. Look at the pictures; they decide."
    )


def _means(sentences: Mapping[str, Sentence], prefix: str) -> dict[str, dict[str, float]]:
    """Means over sentences and faces with their intervals. New words stand for more than themselves: see `interval`."""
    values: dict[str, list[Tensor]] = {"clip_top1": [], "clip_rise": [], "judge_top1": [], "judge_rise": []}
    for sentence in sentences.values():
        values["clip_top1"].append(sentence.hits.float().mean(dim=0))
        values["clip_rise"].append(sentence.rises.mean(dim=0))
        if sentence.verdict is not None:
            values["judge_rise"].append(sentence.verdict.rose)
            values["judge_top1"] += [] if sentence.verdict.first is None else [sentence.verdict.first]
    return {prefix + name: interval(torch.stack(rows), bool(prefix)) for name, rows in values.items() if rows}


def _names(scorers: Sequence[ClipModel]) -> list[str]:
    """A name for each scorer; numbered where two have the same."""
    names = [scorer.name for scorer in scorers]
    return [name if names.count(name) == 1 else f"{name} ({i + 1})" for i, name in enumerate(names)]
