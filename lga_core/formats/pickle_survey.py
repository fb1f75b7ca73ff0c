"""A survey of what was read, before it is walked: no cycles, no towers of containers, no values shared without end."""

from collections.abc import Iterable
from typing import Any, NoReturn

import torch
from torch import Tensor

from ..errors import CheckpointError
from .byte_source import OTHER
from .pickle_values import LIMITS, Limits, Record, kind


def check_tree(value: Any, where: str, tensor_bytes: int, limits: Limits = LIMITS) -> None:
    """Refuse what a walk over `value` could stumble over: afterwards plain recursion is safe, and ends soon.

    All in it is a dict, list, tuple, set, Record, tensor, number, text, bytes, torch.dtype or None; nothing holds
    itself; at most `limits.depth` containers lie in each other; and with shared values counted wherever they are met,
    there are at most `limits.opcodes` of them and `tensor_bytes` in tensors. Raises CheckpointError if not.
    """
    _Surveyor(where, limits, tensor_bytes).survey(value, 0)


class _Surveyor:
    def __init__(self, where: str, limits: Limits, tensor_bytes: int):
        self.where, self.limits, self.tensor_bytes = where, limits, tensor_bytes
        self.seen: dict[int, tuple[int, int, int]] = {}
        self.open: set[int] = set()

    def survey(self, value: Any, depth: int) -> tuple[int, int, int]:
        """Height, number of values and bytes of tensors of `value`, which lies in `depth` others."""
        if type(value) in _LEAVES:
            return 0, 1, 0
        if isinstance(value, Tensor):
            return 0, 1, value.nbytes
        found = self.seen.get(id(value)) or self.survey_parts(value, depth)
        height, count, num_bytes = self.seen[id(value)] = found
        if depth + height > self.limits.depth:
            self.refuse(f"more than {self.limits.depth} containers in each other")
        if count > self.limits.opcodes:
            self.refuse(f"more than {self.limits.opcodes:,} values, the same ones again and again")
        if num_bytes > self.tensor_bytes:
            self.refuse(f"{num_bytes:,} bytes of tensors, the same ones again and again")
        return found

    def survey_parts(self, value: Any, depth: int) -> tuple[int, int, int]:
        if id(value) in self.open:
            self.refuse("a container that holds itself")
        if depth >= self.limits.depth:
            self.refuse(f"more than {self.limits.depth} containers in each other")
        self.open.add(id(value))
        height, count, num_bytes = 0, 1, 0
        for part in self.parts(value):
            part_height, part_count, part_bytes = self.survey(part, depth + 1)
            height, count, num_bytes = max(height, part_height), count + part_count, num_bytes + part_bytes
        self.open.remove(id(value))
        return height + 1, count, num_bytes

    def parts(self, value: Any) -> Iterable[Any]:
        if isinstance(value, dict):
            return value.values()
        if type(value) in (list, tuple):
            return value
        if type(value) is set:
            return ()  # text and integers
        if not isinstance(value, Record):
            self.refuse(f"{kind(value)}, which is no value by itself")
        return value.args, value.state

    def refuse(self, found: str) -> NoReturn:
        raise CheckpointError(f"{self.where} holds {found}. {OTHER}")


_LEAVES = frozenset({type(None), bool, int, float, str, bytes, torch.dtype})
