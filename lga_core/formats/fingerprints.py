"""The fingerprint of a model: what tells one generator from another, whatever file it came from."""

from __future__ import annotations

from torch import Tensor, nn

from ..errors import MismatchError
from .native import tensors_sha256

STEP_COUNTER = "num_batches_tracked"
"""Batch normalisation's counters of training steps: of no use, and not stored."""


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """A model's tensors by name, without counters of training steps."""
    return {name: tensor for name, tensor in model.state_dict().items() if not name.endswith(STEP_COUNTER)}


def fingerprint(model: nn.Module) -> str:
    """16 hex digits that tell one generator (or another model) from another.

    Of the weights rounded to float16, so that a model and its half-size file are the same one.
    """
    return tensors_sha256({name: tensor.float().half() for name, tensor in weights_of(model).items()})[:16]


def check_fingerprint(expected: str, generator: nn.Module, what: str) -> None:
    """Raise MismatchError, beginning with `what`, if that was not made for this generator."""
    found = fingerprint(generator)
    if found != expected:
        raise MismatchError(
            f"{what} was made for the generator {expected}, but this generator is {found}. A face or a motion fits "
            "only the generator it was made for: choose that one."
        )
