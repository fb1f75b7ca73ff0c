"""How well a doodle in a photograph is animated: found, aligned, inverted, moved, pasted back, and judged.

    python -m lga_trainer.demo.photo_checks [faces]

Doodles that nobody has seen are laid over photographs that no training saw. The judge looks at the very squares that
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

from ....animation.photo import PhotoFace, find_scene
from ..rendering.attributes import PROMPTS, sample_neutral
from ..rendering.renderer import render
from ..report import named_change, staying
from ..stages.judge import judged
from .detector_metrics import Trial, held_out_photographs, put
from .judge_adapter import DoodleJudge

SEED = 90_909
LEAST_SIDE = 110
"""Of the doodles, in pixels: what is smaller shows the judge too little."""
SEEN = 128


@dataclass(frozen=True)
class PhotoFigures:
    """Of all doodles and prompts: `rise` [faces prompts] of the named attribute, 1 for the full expression; `stay`, the
    mean change of identity attributes; `outside`, how many pixels changed where the mask is 0; `missed` doodles."""

    rise: Float[Tensor, "n p"]
    stay: Float[Tensor, "n p"]
    outside: int
    missed: int

    def __str__(self) -> str:
        shown = (self.rise >= 0.5).float().mean().item()
        return (
            f"{len(self.rise)} doodles in photographs, {self.missed} not found: the named expression appears in "
            f"{shown:.0%} of {self.rise.numel()} clips (mean rise {self.rise.mean().item():.2f}); identity attributes "
            f"change by {self.stay.mean().item():.3f}; {self.outside} pixels outside the mask changed."
        )


def photo_figures(domain: Domain, count: int, prompts: Sequence[str] = PROMPTS) -> PhotoFigures:
    judge, photos = DoodleJudge().network, held_out_photographs()
    rises, stays, outside, missed = [], [], 0, 0
    for number in tqdm(range(count), desc="photos", disable=None):
        trial = make_photo(photos[number % len(photos)], SEED + number)
        scene = find_scene(trial.picture, domain, PhotoFace())
        true = square_of(trial)
        if (scene.alignment.centre - true.centre).norm() > 0.3 * true.side:
            missed += 1
            continue
        before = judged(judge, crop(trial.picture, true, SEEN)).attributes
        rise, stay = [], []
        for prompt in prompts:
            motion = domain.motion_for(prompt, scene.ws, 4)
            (after,) = scene.with_faces(iter([draw(scene.domain.generator, scene.ws + motion[:, -1])]))
            outside += changed_outside(after, trial.picture, scene.alignment)
            now = judged(judge, crop(after, true, SEEN)).attributes
            rise.append(named_change(prompt, before, now).item())
            stay.append((now - before)[:, staying(prompt)].abs().mean().item())
        rises.append(rise)
        stays.append(stay)
    return PhotoFigures(torch.tensor(rises), torch.tensor(stays), outside, missed)


def make_photo(photo: Images, seed: int) -> Trial:
    """One fresh doodle without an expression, of LEAST_SIDE pixels at least, laid over a photograph at random."""
    rng = torch.Generator().manual_seed(seed)
    drawn = render(sample_neutral(1, rng), 256)
    drawn = torch.cat([drawn, torch.ones_like(drawn[:, :1])], dim=1)
    while True:
        trial = put(photo, drawn, rng)
        if len(trial.axes) and 2 * trial.axes[0].abs() >= LEAST_SIDE:
            return trial


def square_of(trial: Trial) -> Alignment:
    centre, axis = (torch.view_as_real(each[:1]).float() for each in (trial.centres, trial.axes))
    return Alignment(centre, axis, *trial.picture.shape[2:])


def changed_outside(after: Images, before: Images, alignment: Alignment) -> int:
    """Pixels that differ although they lie outside the square, in which alone a mask may be above 0."""
    h, w = before.shape[2:]
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    inside = (alignment.to_square(torch.stack([x, y], dim=-1).reshape(1, -1, 2)).abs() <= 1).all(dim=-1).view(h, w)
    return int(((after != before).any(dim=1)[0] & ~inside).sum())


if __name__ == "__main__":
    print(photo_figures(load_domain("doodle"), int(sys.argv[1]) if len(sys.argv) > 1 else 8))
