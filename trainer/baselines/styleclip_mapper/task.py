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

from ...data.faces import FaceSet
from ...reports.clip_sheets import clip_sheet
from ...training.config import StepPlan
from ...training.distributed import Share
from ...training.loop import Objective, cosine, step_generator
from .config import MapperLosses, MapperOptimizer
from .ranger import Ranger

Draw = Callable[[WPlus], Images]
NUM_PREVIEWED = 4


class MapperModels(NamedTuple):
    """The frozen models of the losses.

    draw: the generator. sentence [1 c]: unit embedding of the prompt. identity: images [n c h w] -> identity embeddings
    [n c]; None where that loss is off.
    """

    draw: Draw
    clip: ClipModel
    sentence: Float[Tensor, "1 c"]
    identity: Callable[[Images], Float[Tensor, "n c"]] | None = None


class MapperTask:
    """Trains `mapper` on `faces` [n num_ws w_dim]; `shown` [k num_ws w_dim] are those of the previews."""

    def __init__(
        self,
        plan: StepPlan,
        weights: MapperLosses,
        optimizer: MapperOptimizer,
        mapper: LatentMapper,
        models: MapperModels,
        faces: FaceSet,
        shown: WPlus,
    ) -> None:
        self.plan, self.weights, self.optimizer, self.mapper = plan, weights, optimizer, mapper
        self.models, self.faces, self.shown = models, faces, shown
        self.modules: Mapping[str, nn.Module] = {"mapper": mapper}
        on, parameters = weights.weights, list(mapper.parameters())
        objective = Objective(
            "mapper",
            parameters,
            optimizer_for(optimizer, parameters),
            self.losses,
            lambda step: on,
            self.lr_at,
            optimizer.clip_norm,
        )
        self.objectives: Sequence[Objective] = (objective,)
        self.num_frames_drawn = plan.batch

    def losses(self, ws: WPlus) -> dict[str, Tensor]:
        """The losses that are on, unweighted: CLIP, L2 and identity loss of w^ = w + strength M(w)."""
        on, models = self.weights.weights, self.models
        moved = ws + self.mapper.config.strength * self.mapper(ws)
        drawn = models.draw(moved)
        terms = {"clip": clip_distance(models.clip, drawn, models.sentence, self.weights.normalised).mean()}
        if "l2" in on:
            terms["l2"] = (moved - ws).square().mean()
        if "identity" in on:
            assert models.identity is not None
            with torch.no_grad():
                source = models.identity(models.draw(ws))
            terms["identity"] = (1 - F.cosine_similarity(models.identity(drawn), source, dim=1)).mean()
        return terms

    def lr_at(self, step: int) -> float:
        settings = self.optimizer
        return settings.lr_end + (settings.lr - settings.lr_end) * cosine(step / self.plan.steps)

    def batch(self, step: int, share: Share) -> WPlus:
        n = self.plan.global_batch(share.count)
        chosen = torch.randint(len(self.faces.ws), (n,), generator=step_generator(self.plan.seed, step))
        return self.faces.ws[share.of(chosen)].to(self.shown.device)

    def after(self, step: int) -> None:
        pass

    def result(self) -> LatentMapper:
        """The mapper, as a copy."""
        return deepcopy(self.mapper).eval().requires_grad_(False)

    @torch.no_grad()
    def preview(self, path: Path) -> None:
        """Faces that no step uses, interpolated to what the mapper makes of them."""
        shown = self.shown[:NUM_PREVIEWED]
        clip_sheet(self.models.draw, shown, self.mapper.motion(shown), path)


def optimizer_for(settings: MapperOptimizer, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    if settings.name == "ranger":
        return Ranger(parameters, settings.lr)
    return torch.optim.Adam(parameters, settings.lr, fused=True)
