"""What the loop needs to train a latent mapper: its faces, its losses and its preview."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lga_core import ClipModel, Images, WPlus
from lga_core.baselines.styleclip import LatentMapper, clip_distance

from ...reports.clip_sheets import clip_sheet
from ...training.distributed import Share
from ...training.loop import Objective, cosine, step_generator
from .config import MapperOptimizer, MapperRun
from .ranger import Ranger

Draw = Callable[[WPlus], Images]
NUM_PREVIEWED = 4


class MapperModels(NamedTuple):
    """Everything that plays a part in a step and is not trained by it.

    draw: the frozen generator. sentence [1 c]: unit embedding of what the mapper learns. recognise: pictures [n c h w]
    -> vectors [n c] that are alike for one person; None where that term is off.
    """

    draw: Draw
    clip: ClipModel
    sentence: Float[Tensor, "1 c"]
    recognise: Callable[[Images], Float[Tensor, "n c"]] | None = None


class MapperTask:
    """Trains `mapper` on `faces` [n num_ws w_dim]; `shown` [k num_ws w_dim] are those of the previews."""

    def __init__(self, run: MapperRun, mapper: LatentMapper, cast: MapperModels, faces: WPlus, shown: WPlus) -> None:
        self.run, self.mapper, self.cast, self.faces, self.shown = run, mapper, cast, faces, shown
        self.modules: Mapping[str, nn.Module] = {"mapper": mapper}
        weights, parameters = run.weights, list(mapper.parameters())
        objective = Objective(
            "mapper",
            parameters,
            optimizer_for(run.optimizer, parameters),
            self.losses,
            lambda step: weights,
            self.lr_at,
            run.optimizer.clip_norm,
        )
        self.objectives: Sequence[Objective] = (objective,)
        self.num_frames_drawn = run.batch

    def losses(self, ws: WPlus) -> dict[str, Tensor]:
        """The losses that are on, unweighted: w^ = w + strength M(w) against the sentence, w and its picture."""
        weights, cast = self.run.weights, self.cast
        moved = ws + self.mapper.config.strength * self.mapper(ws)
        drawn = cast.draw(moved)
        terms = {"clip": clip_distance(cast.clip, drawn, cast.sentence, self.run.losses.normalised).mean()}
        if "l2" in weights:
            terms["l2"] = (moved - ws).square().mean()
        if "identity" in weights:
            assert cast.recognise is not None
            with torch.no_grad():
                person = cast.recognise(cast.draw(ws))
            terms["identity"] = (1 - F.cosine_similarity(cast.recognise(drawn), person, dim=1)).mean()
        return terms

    def lr_at(self, step: int) -> float:
        settings = self.run.optimizer
        return settings.lr_end + (settings.lr - settings.lr_end) * cosine(step / self.run.steps)

    def batch(self, step: int, share: Share) -> WPlus:
        n = self.run.batch // self.run.optimizer.accumulate * share.count
        chosen = torch.randint(len(self.faces), (n,), generator=step_generator(self.run.seed, step))
        return self.faces[share.of(chosen)].to(self.shown.device)

    def after(self, step: int) -> None:
        pass

    def result(self) -> LatentMapper:
        """The mapper, as a copy."""
        return deepcopy(self.mapper).eval().requires_grad_(False)

    @torch.no_grad()
    def preview(self, path: Path) -> None:
        """Faces that no step shows, and the straight way to what the mapper makes of them."""
        shown = self.shown[:NUM_PREVIEWED]
        clip_sheet(self.cast.draw, shown, self.mapper.motion(shown), path)


def optimizer_for(settings: MapperOptimizer, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    if settings.name == "ranger":
        return Ranger(parameters, settings.lr)
    return torch.optim.Adam(parameters, settings.lr, fused=True)
