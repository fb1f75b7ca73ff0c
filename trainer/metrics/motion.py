"""Metrics of a motion model: top-1 accuracy and gain by CLIP, a judge's verdicts, first-step share, amplitude.

Training optimises CLIP's score, so CLIP never judges alone: where there is a judge, its verdict stands beside CLIP's,
and a prompt on which the two disagree is flagged. Every mean has a 95 % bootstrap interval (Efron and Tibshirani 1993).
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
"""CLIP and the judge disagree on a prompt if their shares of faces differ by more than this."""
JUDGED_SIZE = 512
"""Side of the images that judges are given, in pixels, at most."""
CHUNK = 8


class FaceFeatures(NamedTuple):
    """Synthesised faces: unit embeddings [n c] by each scorer, and their images on the CPU for a judge."""

    embeddings: list[Tensor]
    images: Images


class SentenceScores(NamedTuple):
    """Scores of one sentence on n faces: top-1 hits and gains in similarity by each of s scorers, and the verdict."""

    hits: Bool[Tensor, "s n"]
    gains: Float[Tensor, "s n"]
    verdict: JudgeVerdict | None


def first_step_share(motion: Motion) -> float:
    """Mean length of the first step divided by that of the whole path; 1 / (t - 1) at uniform speed."""
    steps = motion.diff(dim=1).flatten(2).norm(dim=2)
    return (steps[:, 0] / steps.sum(dim=1).clamp(min=1e-12)).mean().item()


def amplitudes(move: Callable[[int], Motion], counts: Sequence[int] = FRAME_COUNTS) -> dict[int, float]:
    """Mean norm of the last frame's offset in clips of `counts` frames; `move(t)`: offsets [n t num_ws w_dim]."""
    return {count: move(count)[:, -1].flatten(1).norm(dim=1).mean().item() for count in counts}


def hits(images: Float[Tensor, "n c"], sentences: Float[Tensor, "k c"], true: int) -> Bool[Tensor, "n"]:
    """Whether sentence `true` is the most similar one to each image, of unit embeddings."""
    return (images @ sentences.T).argmax(dim=1) == true


def top1(images: Float[Tensor, "n c"], sentences: Float[Tensor, "k c"], true: int) -> float:
    """Share of images to which sentence `true` is the most similar one."""
    return hits(images, sentences, true).float().mean().item()


@torch.no_grad()
def motion_figures(
    model: MotionModel,
    synthesize: Callable[[WPlus], Images],
    ws: WPlus,
    encoder_clip: ClipModel,
    scorers: Sequence[ClipModel],
    prompts: PromptSet,
    judge: Judge | None = None,
    image_embeddings: Float[Tensor, "n c"] | None = None,
) -> dict[str, Any]:
    """All metrics of a motion model on held-out faces `ws` [n num_ws w_dim], as JSON.

    encoder_clip: embeds the sentences that start the motions. scorers: CLIP models that score the last frames; several
    are averaged. image_embeddings: `encoder_clip`'s of the faces, for a model that takes them.
    """
    before = face_features(synthesize, ws, scorers, judge is not None)
    texts = [scorer.encode_text(prompts.sentences) for scorer in scorers]

    def scored(sentence: str, index: int) -> SentenceScores:
        embedding = encoder_clip.encode_text([sentence]).expand(len(ws), -1)
        end = ws + model(embedding, image_embeddings, NUM_FRAMES)[:, -1]
        after = face_features(synthesize, end, scorers, judge is not None)
        return sentence_scores(prompts.prompts[index], index, before, after, texts, judge)

    trained = {prompt.prompt: scored(prompt.sentence, i) for i, prompt in enumerate(prompts.prompts)}
    held_out = {sentence: scored(sentence, i) for sentence, i in prompts.held_out.items()}
    names = _names(scorers)
    sentences = {prompt.prompt: {"sentence": prompt.sentence} for prompt in prompts.prompts}
    paraphrased = {sentence: {"prompt": prompts.prompts[i].prompt} for sentence, i in prompts.held_out.items()}
    return {
        "num_faces": len(ws),
        "num_frames": NUM_FRAMES,
        "chance": 1 / len(prompts.prompts),
        "encoder_clip": encoder_clip.name,
        "scorers": names,
        "judge": judge.name if judge is not None else None,
        "judge_rule": judge.rule if judge is not None else None,
        "means": _means(trained, "") | _means(held_out, "held_out_"),
        "prompts": {name: sentences[name] | _row(scores, names) for name, scores in trained.items()},
        "held_out": {name: paraphrased[name] | _row(scores, names) for name, scores in held_out.items()},
        **path_figures(model, encoder_clip.encode_text(prompts.sentences), image_embeddings),
    }


def face_features(
    synthesize: Callable[[WPlus], Images], ws: WPlus, scorers: Sequence[ClipModel], judged: bool
) -> FaceFeatures:
    """Synthesise faces a few at a time; keep their embeddings, and their images only if they are `judged`."""
    embeddings, kept_images = [], []
    for codes in ws.split(CHUNK):
        images = synthesize(codes).float()
        embeddings.append([scorer.encode_images(images) for scorer in scorers])
        small = fit_square(images, min(JUDGED_SIZE, images.shape[-1])).cpu() if judged else images[:, :, :0]
        kept_images.append(small)
    return FaceFeatures([torch.cat(chunks) for chunks in zip(*embeddings, strict=True)], torch.cat(kept_images))


def sentence_scores(
    prompt: Prompt, index: int, before: FaceFeatures, after: FaceFeatures, texts: Sequence[Tensor], judge: Judge | None
) -> SentenceScores:
    """How faces changed under `prompt`, number `index` of the sentences that `texts` ([k c] for each scorer) embed."""
    now = [hits(embeddings, text, index) for embeddings, text in zip(after.embeddings, texts, strict=True)]
    changes = [new - old for new, old in zip(after.embeddings, before.embeddings, strict=True)]
    gains = [change @ text[index] for change, text in zip(changes, texts, strict=True)]
    verdict = None if judge is None else judge.verdict(prompt, before.images, after.images)
    return SentenceScores(torch.stack(now).cpu(), torch.stack(gains).cpu(), verdict)


def path_figures(
    model: MotionModel,
    text: Float[Tensor, "k c"],
    image_embeddings: Float[Tensor, "n c"] | None,
    num_faces: int = 4,
) -> dict[str, Any]:
    """First-step share, and amplitude over the number of frames, of all sentences on the first few faces."""
    images = None if image_embeddings is None else image_embeddings[:num_faces]
    if images is not None:
        text, images = text.repeat_interleave(len(images), dim=0), images.repeat(len(text), 1)

    def move(num_frames: int) -> Motion:
        return model(text, images, num_frames)

    lengths = {str(count): length for count, length in amplitudes(move).items()}
    return {"first_step_share": first_step_share(move(NUM_FRAMES)), "amplitude": lengths}


def _row(scores: SentenceScores, names: Sequence[str]) -> dict[str, Any]:
    each = scores.hits.float().mean(dim=1).tolist()
    clip = sum(each) / len(each)
    verdict = scores.verdict
    return {
        "clip_top1": clip,
        "clip_top1_each": dict(zip(names, each, strict=True)),
        "clip_rise": scores.gains.mean().item(),
        "judge_top1": None if verdict is None else verdict.top1,
        "judge_rise": None if verdict is None else verdict.rise,
        "flag": None if verdict is None else disagreement(clip, verdict),
    }


def disagreement(clip_top1: float, verdict: JudgeVerdict) -> str | None:
    """A warning if CLIP's share of faces and the judge's differ by more than `DISAGREEMENT`."""
    found = verdict.rise if verdict.top1 is None else verdict.top1
    if math.isnan(found) or abs(clip_top1 - found) <= DISAGREEMENT:
        return None
    if clip_top1 > found:
        return (
            f"CLIP sees this prompt on {percent(clip_top1)} of the faces, but the judge on {percent(found)}: CLIP may "
            "be fooled. Check the images before you use this prompt."
        )
    return (
        f"The judge sees this prompt on {percent(found)} of the faces, but CLIP on {percent(clip_top1)}: CLIP may "
        "confuse it with another prompt. Check the images."
    )


def _means(scores: Mapping[str, SentenceScores], prefix: str) -> dict[str, dict[str, float]]:
    """Means over sentences and faces with their intervals; held-out sentences are resampled too."""
    values: dict[str, list[Tensor]] = {"clip_top1": [], "clip_rise": [], "judge_top1": [], "judge_rise": []}
    for each in scores.values():
        values["clip_top1"].append(each.hits.float().mean(dim=0))
        values["clip_rise"].append(each.gains.mean(dim=0))
        if each.verdict is not None:
            values["judge_rise"].append(each.verdict.rose)
            values["judge_top1"] += [] if each.verdict.first is None else [each.verdict.first]
    return {prefix + name: interval(torch.stack(rows), bool(prefix)) for name, rows in values.items() if rows}


def _names(scorers: Sequence[ClipModel]) -> list[str]:
    """A name for each scorer; equal names are numbered."""
    names = [scorer.name for scorer in scorers]
    return [name if names.count(name) == 1 else f"{name} ({i + 1})" for i, name in enumerate(names)]
