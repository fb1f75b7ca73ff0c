"""How well a face of the domain in a photograph is animated: found, aligned, inverted, moved, pasted back, judged.

    python -m lga_trainer.demo.checks.photo_metrics DOMAIN [FACES]

Faces that no network has seen are laid over photographs that no training saw. The judge looks at the very squares that
they were drawn in, before and after.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from lga_core import Domain, Images, load_domain
from lga_core.faces import Alignment, crop
from lga_core.rendering import draw

from ...animation.photo import PhotoFace, find_scene
from ..detection.trials import Trial, held_out_photographs, put
from ..embedded_domain import EmbeddedDomain, embedded_domain
from ..stages.judge import judged
from .judge_adapter import AttributeJudge

SEED = 90_909
LEAST_SIDE = 110
"""Of the faces, in pixels: what is smaller shows the judge too little."""
SEEN = 128


@dataclass(frozen=True)
class PhotoFigures:
    """Of all faces and prompts: `rise` [faces prompts] of the named attribute, 1 for the full expression; `stay`, the
    mean change of the attributes that should stay; `outside`, how many pixels changed where the mask is 0; `missed`,
    how many faces were not found."""

    rise: Float[Tensor, "n p"]
    stay: Float[Tensor, "n p"]
    outside: int
    missed: int

    def __str__(self) -> str:
        shown = (self.rise >= 0.5).float().mean().item()
        return (
            f"{len(self.rise)} faces in photographs, {self.missed} not found: the named expression appears in "
            f"{shown:.0%} of {self.rise.numel()} clips (mean rise {self.rise.mean().item():.2f}); what should stay "
            f"changes by {self.stay.mean().item():.3f}; {self.outside} pixels outside the mask changed."
        )


def photo_figures(
    described: EmbeddedDomain, domain: Domain, count: int, prompts: Sequence[str] | None = None
) -> PhotoFigures:
    """`count` faces under each of `prompts` (None: all)."""
    judge, photos, space = AttributeJudge(described).network, held_out_photographs(), described.attributes
    rises, stays, outside, missed = [], [], 0, 0
    for number in tqdm(range(count), desc="photos", disable=None):
        trial = make_photo(described, photos[number % len(photos)], SEED + number)
        scene = find_scene(trial.picture, domain, PhotoFace())
        true = square_of(trial)
        if (scene.alignment.center - true.center).norm() > 0.3 * true.side:
            missed += 1
            continue
        before = judged(judge, crop(trial.picture, true, SEEN)).attributes
        rise, stay = [], []
        for prompt in prompts or space.prompts:
            motion = domain.motion_for(prompt, scene.ws, 4)
            (after,) = scene.with_faces(iter([draw(scene.domain.generator, scene.ws + motion[:, -1])]))
            outside += changed_outside(after, trial.picture, scene.alignment)
            now = judged(judge, crop(after, true, SEEN)).attributes
            rise.append(space.named_change(prompt, before, now).item())
            stay.append((now - before)[:, space.columns(space.preserved[prompt])].abs().mean().item())
        rises.append(rise)
        stays.append(stay)
    return PhotoFigures(torch.tensor(rises), torch.tensor(stays), outside, missed)


def make_photo(described: EmbeddedDomain, photo: Images, seed: int) -> Trial:
    """One fresh face without an expression, of LEAST_SIDE pixels at least, laid over a photograph at random."""
    rng = torch.Generator().manual_seed(seed)
    drawn = described.renderer.render(described.attributes.sample_neutral(1, rng), 256)
    drawn = torch.cat([drawn, torch.ones_like(drawn[:, :1])], dim=1)
    while True:
        trial = put(photo, drawn, rng)
        if len(trial.axes) and 2 * trial.axes[0].abs() >= LEAST_SIDE:
            return trial


def square_of(trial: Trial) -> Alignment:
    center, axis = (torch.view_as_real(each[:1]).float() for each in (trial.centers, trial.axes))
    return Alignment(center, axis, *trial.picture.shape[2:])


def changed_outside(after: Images, before: Images, alignment: Alignment) -> int:
    """Pixels that differ although they lie outside the square, in which alone a mask may be above 0."""
    h, w = before.shape[2:]
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    inside = (alignment.to_square(torch.stack([x, y], dim=-1).reshape(1, -1, 2)).abs() <= 1).all(dim=-1).view(h, w)
    return int(((after != before).any(dim=1)[0] & ~inside).sum())


if __name__ == "__main__":
    name, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8
    print(photo_figures(embedded_domain(name), load_domain(name), count))
