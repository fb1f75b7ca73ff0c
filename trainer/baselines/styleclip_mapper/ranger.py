"""The optimiser that StyleCLIP's mappers were trained with."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

EVERY, SHARE = 6, 0.5


class Ranger(torch.optim.RAdam):
    """RAdam (Liu et al. 2020) that looks ahead (Zhang et al. 2019), with Ranger's own betas and epsilon.

    After every `EVERY` steps, weights go back to `SHARE` of the way from where they were then. Where that was is kept
    beside the moments, and the count of steps is RAdam's: a saved state is all of it. Without gradient centralisation,
    which later versions added.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, lr=lr, betas=(0.95, 0.999), eps=1e-5)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        moved = [parameter for parameter in parameters if parameter.grad is not None]
        before = {parameter: parameter.clone() for parameter in moved if "slow" not in self.state[parameter]}
        super().step(closure)
        for parameter in moved:
            state = self.state[parameter]
            slow: Tensor = state.setdefault("slow", before.get(parameter))
            if int(state["step"]) % EVERY == 0:
                slow.lerp_(parameter, SHARE)
                parameter.copy_(slow)
