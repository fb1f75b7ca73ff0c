"""The doodle domain's judge behind the `Judge` protocol: before and after, did the words come true?"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import Images

from ....data.prompts import Prompt
from ....metrics.judges import JudgeVerdict
from .. import ASSETS
from ..rendering.attributes import COLUMN, PROMPTS, sample_neutral, with_preset
from ..stages.judge import judged, load_judge
from ..words.concepts import NAMED


class DoodleJudge:
    """The doodle domain's own judge: it reads a doodle's attributes, and was trained on renders only."""

    name = "the doodle judge"
    rule = "what the prompt names changed by at least half of what the full expression changes"

    def __init__(self, weights: Path | None = None) -> None:
        self.network = load_judge(weights or ASSETS / "judge.safetensors")
        self._before: tuple[Images, Tensor] | None = None  # the faces seen last, and what was read off them

    @torch.no_grad()
    def verdict(self, prompt: Prompt, before: Images, after: Images) -> JudgeVerdict | None:
        if prompt.prompt not in PROMPTS:
            return None
        now = judged(self.network, after.cpu().float())
        first = now.logits[:, : len(PROMPTS)].argmax(dim=1) == PROMPTS.index(prompt.prompt)
        change = named_change(prompt.prompt, self._attributes(before), now.attributes)
        return JudgeVerdict((change >= 0.5).float(), first.float())

    def _attributes(self, before: Images) -> Tensor:
        if self._before is None or self._before[0] is not before:
            self._before = before, judged(self.network, before.cpu().float()).attributes
        return self._before[1]


def named_change(prompt: str, before: Float[Tensor, "n k"], after: Float[Tensor, "n k"]) -> Float[Tensor, "n"]:
    """Change of the attributes that `prompt` names, each 1 for the change that the full preset makes."""
    if prompt == "winking":
        lids = [COLUMN["lid_left"], COLUMN["lid_right"]]
        return (after[:, lids].diff(dim=1).abs() - before[:, lids].diff(dim=1).abs())[:, 0]
    start = sample_neutral(1, torch.Generator().manual_seed(0))
    full = (with_preset(start, prompt) - start)[0]
    changes = [(after - before)[:, COLUMN[name]] / full[COLUMN[name]] for name in NAMED[prompt]]
    return torch.stack(changes).mean(dim=0)
