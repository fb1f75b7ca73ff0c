"""The domain's own CLIP: a small open_clip model taught on renders, then on what the generator draws.

Training on generated faces, and on faces whose W+ was disturbed in ways that change no attribute, teaches it not to
be impressed by what only a generator can do. A zero-shot gate stands before any motion is trained.
"""

from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import open_clip
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn
from tqdm import tqdm

from lga_core import ClipModel, Generator, load_clip
from lga_core.clip import save_clip
from lga_core.imaging import fit_square

from ....training.loop import cosine
from ..rendering.attributes import (
    EXPRESSION,
    EXPRESSION_PRESETS,
    IDENTITY,
    NUM_ATTRIBUTES,
    PROMPTS,
    columns,
    sample,
    sample_neutral,
    with_preset,
)
from ..rendering.render_dataset import Renders
from ..words.captions import Captioner, all_phrases
from ..words.concepts import SENTENCES, truth
from .generator import AttributeMap
from .training_synthesis import final_image

CONFIG = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "head_width": 64},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 2},
}
START, END = 49406, 49407
ONE_SIDED = ("open", "pout", "skew", "lid_left", "lid_right", "tears", "disgust", "stun", "shock")
GATE = 0.85
NUM_EXPRESSIONS = len(EXPRESSION_PRESETS)  # the first concepts
LOOKS = tuple(name for name in IDENTITY if name not in ("age", "stormy", "sunny", "glasses"))
NUM_GENERATED = 9_000
STEPS_RENDERS, STEPS_GENERATED = 1_500, 1_500


class Pool(NamedTuple):
    """Training pictures at the image tower's size, uint8 [n 3 64 64], and what is true of them.

    Of `restyled` faces only the expression is as `attributes` say.
    """

    images: UInt8[Tensor, "n 3 h w"]
    attributes: Float[Tensor, "n k"]
    labels: list[str]
    restyled: Bool[Tensor, "n"]

    def truth(self) -> tuple[Bool[Tensor, "n c"], Bool[Tensor, "n c"]]:
        is_true, is_clear = truth(self.attributes)
        is_clear[:, NUM_EXPRESSIONS:] &= ~self.restyled[:, None]
        return is_true, is_clear


class Vocabulary:
    """The tokens that captions use, numbered densely in CLIP's order (so that the end of text stays the largest)."""

    def __init__(self) -> None:
        self.tokenizer = open_clip.SimpleTokenizer(context_length=CONFIG["text_cfg"]["context_length"])
        self.ids = sorted(
            {0, START, END} | {token for phrase in all_phrases() for token in self.tokenizer.encode(phrase)}
        )
        self.place = torch.full((END + 1,), 0)
        self.place[torch.tensor(self.ids)] = torch.arange(len(self.ids))

    def __call__(self, sentences: list[str]) -> Tensor:
        return self.place[self.tokenizer(sentences)]


def small(images: Float[Tensor, "n 3 h w"]) -> UInt8[Tensor, "n 3 h w"]:
    return ((fit_square(images, 64).clamp(-1, 1) + 1) * 127.5).round().byte()


def render_pool(renders: Renders, n: int | None = None) -> Pool:
    n = renders.num_train if n is None else n
    images = torch.cat([small(renders.batch(chunk)) for chunk in torch.arange(n).split(200)])
    return Pool(images, renders.attributes[:n], renders.labels[:n], torch.zeros(n, dtype=torch.bool))


@torch.no_grad()
def generated_pool(
    generator: Generator,
    attribute_map: AttributeMap,
    n: int,
    seed: int = 3,
    tricks: Float[Tensor, "m d"] | None = None,
) -> Pool:
    """Faces drawn by the generator, most of them disturbed in ways that change no expression.

    A fifth per row of W+ (mean zero over rows), a fifth outside what attributes explain, a fifth in hair, eyes, skin
    and clothes far beyond what exists, and a fifth by `tricks`: offsets with which an earlier motion pleased CLIP, less
    their part in the expression. Eyes that turn cyan were "closing eyes" to a CLIP that had not seen these. A half
    of the disturbed faces are also less than expressionless: no tears, and then fewer.
    """
    rng = torch.Generator().manual_seed(seed)
    attributes, labels = sample(n, rng)
    num_presets = n // 3
    chosen = torch.randint(len(PROMPTS), (num_presets,), generator=rng).tolist()
    neutral = sample_neutral(num_presets, rng)
    for i, prompt in enumerate(chosen):
        attributes[i], labels[i] = with_preset(neutral[i : i + 1], PROMPTS[prompt])[0], PROMPTS[prompt]
    ws = generator.broadcast(attribute_map.to_w(attributes)).clone()
    kind, amount = torch.rand(n, generator=rng), torch.rand(n, 1, 1, generator=rng)
    per_row = torch.randn(ws.shape, generator=rng)
    per_row = 0.8 * (per_row - per_row.mean(dim=1, keepdim=True))
    outside = 0.9 * attribute_map.outside(torch.randn(n, 1, ws.shape[2], generator=rng))
    looks = torch.randn(n, len(LOOKS), generator=rng)
    beyond = 2.0 * (looks @ attribute_map.basis[columns(LOOKS)])[:, None]
    noises = [per_row, outside, beyond]
    if tricks is not None:
        tricks = attribute_map.without(tricks, EXPRESSION)
        noises.append(1.5 * tricks[torch.randint(len(tricks), (n,), generator=rng)][:, None])
    for number, noise in enumerate(noises):
        share = (kind >= number / 5) & (kind < (number + 1) / 5)
        ws[share] += (amount * noise)[share]
    disturbed = kind < len(noises) / 5
    fewer = 0.5 * torch.randn(n, len(ONE_SIDED), generator=rng).abs()
    fewer = (
        fewer * (attributes[:, columns(ONE_SIDED)] < 0.05) * (disturbed & (torch.rand(n, generator=rng) < 0.5))[:, None]
    )
    ws -= (fewer @ attribute_map.basis[columns(ONE_SIDED)])[:, None]
    images = [
        small(final_image(generator, chunk)) for chunk in tqdm(ws.split(32), desc="faces for CLIP", mininterval=5)
    ]
    return Pool(torch.cat(images), attributes, labels, disturbed & (kind >= 0.4))


def joined(*pools: Pool) -> Pool:
    return Pool(
        torch.cat([pool.images for pool in pools]),
        torch.cat([pool.attributes for pool in pools]),
        [label for pool in pools for label in pool.labels],
        torch.cat([pool.restyled for pool in pools]),
    )


def train_clip(pool: Pool, path: Path, steps: int, start: Path | None = None, lr: float = 1e-3, seed: int = 0) -> None:
    """Multi-positive InfoNCE with an attribute head that is thrown away; writes `path`, beginning from `start`."""
    rng = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    vocabulary = Vocabulary()
    config = deepcopy(CONFIG)
    config["text_cfg"]["vocab_size"] = len(vocabulary.ids)
    model = open_clip.CLIP(**config)
    if start is not None:
        model.load_state_dict(load_dense(start, vocabulary))
    head = nn.Linear(CONFIG["embed_dim"], NUM_ATTRIBUTES)
    goal = (pool.attributes - pool.attributes.mean(dim=0)) / (pool.attributes.std(dim=0) + 1e-3)
    captioner = Captioner(*pool.truth(), pool.labels)
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=0.02, betas=(0.9, 0.98), fused=True)
    normal = ClipModel("doodle", model, CONFIG, *colours())
    model.train().requires_grad_(True)
    progress = tqdm(range(steps), desc=path.stem, mininterval=5)
    for step in progress:
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1, (step + 1) / 50) * (0.02 + 0.98 * cosine(step / steps))
        faces = torch.randint(len(pool.images), (128,), generator=rng)
        images = ((augmented(pool.images[faces], rng) + 1) / 2 - normal.mean) / normal.std
        with torch.autocast("cpu", torch.bfloat16):
            features = model.encode_image(images.contiguous(memory_format=torch.channels_last)).float()
        sentences, positive, clear = captioner.draw(faces, rng)
        text = model.encode_text(vocabulary(sentences), normalize=True)
        logits = model.logit_scale.exp().clamp(max=100) * F.normalize(features, dim=1) @ text.T
        loss = 0.5 * multi_positive(logits, positive, clear) + 0.3 * (head(features) - goal[faces]).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 50 == 49:
            progress.set_postfix(loss=f"{loss.item():.3f}", scale=f"{model.logit_scale.exp().item():.1f}")
    save_clip(path, model.eval(), CONFIG, vocabulary.ids, *colours(), half=True, name="doodle")


def colours() -> tuple[tuple[float, ...], tuple[float, ...]]:
    return open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD


def load_dense(path: Path, vocabulary: Vocabulary) -> dict[str, Tensor]:
    state = load_clip(path).model.state_dict()
    state["token_embedding.weight"] = state["token_embedding.weight"][torch.tensor(vocabulary.ids)]
    return state


def multi_positive(logits: Float[Tensor, "b b"], positive: Bool[Tensor, "b b"], clear: Bool[Tensor, "b b"]) -> Tensor:
    """InfoNCE in both directions where a caption may be true of several faces; doubtful pairs count for nothing."""
    logits = logits.masked_fill(~clear & ~torch.eye(len(logits), dtype=torch.bool), -1e4)
    share = (positive & clear) | torch.eye(len(logits), dtype=torch.bool)
    by_image = -(F.log_softmax(logits, dim=1) * share).sum(dim=1) / share.sum(dim=1)
    by_text = -(F.log_softmax(logits, dim=0) * share).sum(dim=0) / share.sum(dim=0)
    return (by_image + by_text).mean()


def augmented(images: UInt8[Tensor, "n 3 h w"], rng: torch.Generator) -> Float[Tensor, "n 3 h w"]:
    """Small shifts and mirrorings, casts, blur: the pictures a motion's training will show it."""
    n = len(images)
    x = images.float() / 127.5 - 1
    x = x * (1 + 0.1 * torch.randn(n, 1, 1, 1, generator=rng)) + 0.06 * torch.randn(n, 3, 1, 1, generator=rng)
    blur, mirror, shift_x, shift_y = torch.rand(4, generator=rng).tolist()
    if blur < 0.3:
        x = F.interpolate(F.avg_pool2d(x, 2), size=64, mode="bilinear")
    if mirror < 0.5:
        x = x.flip(3)
    x = torch.roll(x, (int(shift_x * 7) - 3, int(shift_y * 7) - 3), dims=(2, 3))
    return x.clamp(-1, 1)


@torch.no_grad()
def zero_shot(clip: ClipModel, draw, faces: Float[Tensor, "n k"]) -> dict[str, float]:
    """Share of faces whose best of the 18 sentences is the true one; `draw` makes images from attributes."""
    text = clip.encode_text([SENTENCES[prompt] for prompt in PROMPTS])
    scores = {}
    for column, prompt in enumerate(PROMPTS):
        features = clip.encode_images(draw(with_preset(faces, prompt)))
        scores[prompt] = ((features @ text.T).argmax(dim=1) == column).float().mean().item()
    return scores
