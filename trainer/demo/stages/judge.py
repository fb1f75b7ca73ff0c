"""The judge: a network that reads attributes and concepts off a face, trained on renders only and used in no loss.

It decides whether a motion did what its words say. CLIP cannot: it is what the motion was trained to please.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from ...training.loop import cosine
from ..embedded_domain import BuildFolder
from ..words.lexicon import Lexicon

BATCH = 48


class Verdict(NamedTuple):
    """logits [n concepts], in the order of the lexicon; attributes [n k] in their own units."""

    logits: Tensor
    attributes: Tensor


class Residual(nn.Module):
    def __init__(self, i: int, o: int, stride: int = 1):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o))
        self.shortcut = nn.Identity() if i == o else nn.Sequential(nn.AvgPool2d(stride), nn.Conv2d(i, o, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


class Judge(nn.Module):
    """Images [n 3 h w] in -1..1, any size (resized to 128 px) -> Verdict."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, num_concepts: int, num_attributes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 5, 2, 2, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.body = nn.Sequential(
            *(Residual(32, 48, 2), Residual(48, 48), Residual(48, 80, 2), Residual(80, 80), Residual(80, 128, 2))
        )
        self.squeeze = nn.Conv2d(128, 32, 1)
        self.hidden = nn.Linear(32 * 8 * 8, 160)
        self.concepts = nn.Linear(160, num_concepts)
        self.attributes = nn.Linear(160, num_attributes)
        self.register_buffer("mean", torch.zeros(num_attributes))
        self.register_buffer("deviation", torch.ones(num_attributes))

    def features(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 160"]:
        """What concepts and attributes are read off."""
        if images.shape[-1] != 128:
            images = F.interpolate(images, size=(128, 128), mode="bilinear", antialias=True)
        x = self.body(self.stem(images.clamp(-1, 1).contiguous(memory_format=torch.channels_last)))
        return F.relu(self.hidden(F.relu(self.squeeze(x)).flatten(1)))

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Verdict:
        x = self.features(images)
        return Verdict(self.concepts(x).float(), self.attributes(x).float() * self.deviation + self.mean)


def load_judge(path: Path) -> Judge:
    tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
    judge = Judge(len(tensors["concepts.bias"]), len(tensors["attributes.bias"]))
    judge.load_state_dict(tensors, strict=False)
    return judge.eval().requires_grad_(False)


def train_judge(build: BuildFolder, steps: int, seed: int = 1) -> None:
    """Train on renders and their attributes; writes judge.safetensors (half precision)."""
    renders, lexicon, steps = build.renders(), build.domain.lexicon, build.scaled(steps)
    rng = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    judge = Judge(len(lexicon.names), len(lexicon.attributes)).to(memory_format=torch.channels_last)
    judge.mean, judge.deviation = renders.attributes.mean(dim=0), renders.attributes.std(dim=0) + 1e-3
    is_true, is_clear = lexicon.truth(renders.attributes)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=0.02, fused=True)
    progress = tqdm(range(steps), desc="judge", mininterval=5)
    for step in progress:
        for group in optimizer.param_groups:
            group["lr"] = 2.5e-3 * min(1, (step + 1) / 40) * (0.01 + 0.99 * cosine(step / steps))
        indices = torch.randint(renders.num_train, (BATCH,), generator=rng)
        images = disturbed(renders.batch(indices), step, rng)
        with torch.autocast("cpu", torch.bfloat16):
            verdict = judge(images)
        target = (renders.attributes[indices] - verdict.attributes) / judge.deviation
        wrong = F.binary_cross_entropy_with_logits(verdict.logits, is_true[indices] * 0.98 + 0.01, reduction="none")
        loss = (wrong * is_clear[indices]).sum(dim=1).mean() / 6 + target.square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(judge.parameters(), 5.0)
        optimizer.step()
        if step % 50 == 49:
            progress.set_postfix(loss=f"{loss.item():.4f}")
    judge.eval()
    tensors = {
        name: tensor.half().contiguous() for name, tensor in judge.state_dict().items() if tensor.is_floating_point()
    }
    save_file(tensors, build.file("judge"))


def disturbed(images: Float[Tensor, "n 3 h w"], step: int, rng: torch.Generator) -> Float[Tensor, "n 3 h w"]:
    """Blurs, small shifts and zooms, noise and colour casts: a generated face must not be foreign to the judge."""
    n, kind = len(images), step % 5
    if kind == 1:
        images = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="bilinear")
    if kind == 2:
        small = F.interpolate(F.interpolate(images, size=48, mode="area"), size=128, mode="bilinear")
        images = torch.where(torch.rand(n, 1, 1, 1, generator=rng) < 0.6, small, images)
    if kind >= 3:
        grid = torch.zeros(n, 2, 3)
        grid[:, 0, 0] = 1 + 0.03 * torch.randn(n, generator=rng)
        grid[:, 1, 1] = 1 + 0.03 * torch.randn(n, generator=rng)
        grid[:, :, 2] = 0.03 * torch.randn(n, 2, generator=rng)
        field = F.affine_grid(grid, list(images.shape), align_corners=False)
        images = F.grid_sample(images, field, padding_mode="border", align_corners=False)
    images = images * (1 + 0.08 * torch.randn(n, 1, 1, 1, generator=rng))
    images = images + 0.05 * torch.randn(n, 3, 1, 1, generator=rng)
    if kind == 4:
        grain = torch.rand(images.shape, generator=rng) * 2 - 1
        images = images + 0.1 * torch.rand(n, 1, 1, 1, generator=rng) * grain
    return images


@torch.no_grad()
def judged(judge: Judge, images: Float[Tensor, "n 3 h w"]) -> Verdict:
    """The judge in chunks."""
    verdicts = [judge(chunk) for chunk in images.split(64)]
    return Verdict(torch.cat([v.logits for v in verdicts]), torch.cat([v.attributes for v in verdicts]))


def areas_under_roc(
    judge: Judge, lexicon: Lexicon, images: Float[Tensor, "n 3 h w"], attributes: Float[Tensor, "n k"]
) -> dict[str, float]:
    """Area under the ROC curve of every concept that is clearly true of some faces and clearly false of others."""
    logits = judged(judge, images).logits.double()
    is_true, is_clear = lexicon.truth(attributes)
    areas = {}
    for column, name in enumerate(lexicon.names):
        positive = logits[is_clear[:, column] & is_true[:, column], column]
        negative = logits[is_clear[:, column] & ~is_true[:, column], column]
        if min(len(positive), len(negative)) >= 5:
            wins = (positive[:, None] > negative[None]).double() + 0.5 * (positive[:, None] == negative[None])
            areas[name] = wins.mean().item()
    return areas
