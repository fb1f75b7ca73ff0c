"""An embedded domain's judge behind the `Judge` protocol: before and after, did the words come true?"""

from __future__ import annotations

import torch
from torch import Tensor

from lga_core import Images

from ...data.prompts import Prompt
from ...metrics.judges import JudgeVerdict
from ..embedded_domain import EmbeddedDomain
from ..stages.judge import judged, load_judge


class AttributeJudge:
    """A domain's own judge: it reads a face's attributes, and was trained on renders only."""

    rule = "what the prompt names changed by at least half of what the full expression changes"

    def __init__(self, domain: EmbeddedDomain) -> None:
        self.name, self.attributes = f"the {domain.name} judge", domain.attributes
        self.network = load_judge(domain.assets / "judge.safetensors")
        self._before: tuple[Images, Tensor] | None = None  # the faces seen last, and what was read off them

    @torch.no_grad()
    def verdict(self, prompt: Prompt, before: Images, after: Images) -> JudgeVerdict | None:
        name, prompts = prompt.prompt, self.attributes.prompts
        if name not in prompts:
            return None
        now = judged(self.network, after.cpu().float())
        first = now.logits[:, : len(prompts)].argmax(dim=1) == prompts.index(name)
        change = self.attributes.named_change(name, self._seen(before), now.attributes)
        return JudgeVerdict((change >= 0.5).float(), first.float())

    def _seen(self, before: Images) -> Tensor:
        if self._before is None or self._before[0] is not before:
            self._before = before, judged(self.network, before.cpu().float()).attributes
        return self._before[1]
