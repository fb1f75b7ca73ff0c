"""Weight delta: what pivotal tuning changed in a generator, as a small file, applied to the generator like a LoRA.

File kind "difference": a tensor "difference.<name>" for each changed weight, tuned minus base, and "faces", the codes
it was tuned for, all in float16; the metadata name the generator it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError, InputError, MismatchError
from ..formats.fingerprints import fingerprint
from ..formats.header import PathLike
from ..formats.native import load_checkpoint, save_checkpoint
from ..latents import Faces, ModelId
from ..shapes import WPlus
from ..stylegan2.generator import Generator

KIND, PREFIX, FACES = "difference", "difference.", "faces"


@dataclass(frozen=True, eq=False)
class WeightDelta:
    """A weight delta of the generator `base`, and the faces it was tuned for, which belong to `base`.

    tensors: tuned minus base, by the names of the generator's weights.
    """

    tensors: Mapping[str, Tensor]
    faces: Faces
    base: ModelId

    def applied_to(self, generator: Generator, strength: float = 1.0) -> Generator:
        """The generator with `strength` times the delta added: 0 is the base, 1 the tuned generator.

        Unchanged weights are shared with `generator`, which stays as it is. Faces and motions of the base work with
        the result; they still belong to the base.

        Raises MismatchError for another generator than `base`, InputError for infinite strength.
        """
        if not isfinite(strength):
            raise InputError(
                f"The strength of the weight delta is {strength}; it must be finite. 1 is the tuned generator."
            )
        found = ModelId(fingerprint(generator), "the one here")
        self.base.check(found, "The weight delta was made for the generator", "the generator is")
        state = generator.state_dict()
        if wrong := _misfit(self.tensors, state):
            raise MismatchError(f"The weight delta does not fit its generator: {wrong}. Tune the generator again.")
        changed = {name: state[name] + strength * part.to(state[name]) for name, part in self.tensors.items()}
        with torch.inference_mode(False), torch.device("meta"):  # only changed weights are allocated
            tuned = Generator(generator.config)
        tuned.load_state_dict({**state, **changed}, assign=True)
        return tuned.eval().requires_grad_(False)


def changed_weights(base: Generator, tuned: Generator) -> dict[str, Tensor]:
    """Tuned minus base in float16, for the weights that differ only.

    Raises MismatchError for generators of different sizes.
    """
    ours, theirs = base.state_dict(), tuned.state_dict()
    if wrong := _misfit(theirs, ours):
        raise MismatchError(
            f"The tuned generator is not the base's own: {wrong}. Give the generator it was tuned from."
        )
    return {
        name: (tensor - ours[name]).half().cpu()
        for name, tensor in theirs.items()
        if not torch.equal(tensor, ours[name])
    }


def weight_delta_of(base: Generator, tuned: Generator, ws: WPlus, name: str) -> WeightDelta:
    """The difference as a value, with the faces `ws` that it was tuned for. `name`: the base's, for people."""
    owner = ModelId(fingerprint(base), name)
    return WeightDelta(changed_weights(base, tuned), Faces(ws.detach(), owner), owner)


def save_weight_delta(path: PathLike, changed: WeightDelta, **metadata: Any) -> None:
    """Save a weight delta as a safetensors file; see `save_checkpoint`."""
    ws = changed.faces.ws
    tensors = {PREFIX + name: tensor for name, tensor in changed.tensors.items()} | {FACES: ws}
    owner = {"generator_fingerprint": changed.base.fingerprint, "generator": changed.base.name}
    sizes = {"num_ws": ws.shape[1], "w_dim": ws.shape[2]}
    save_checkpoint(path, KIND, tensors, sizes, half=True, **owner, **metadata)


def load_weight_delta(path: PathLike) -> WeightDelta:
    """Load a weight delta. Whether it fits a generator is checked when it is applied. Raises CheckpointError."""
    path = Path(path)
    checkpoint = load_checkpoint(path, KIND)
    tensors, said = dict(checkpoint.tensors), checkpoint.metadata
    ws = tensors.pop(FACES, None)
    need = [checkpoint.architecture.get(key) for key in ("num_ws", "w_dim")]
    if ws is None or ws.ndim != 3 or not len(ws) or list(ws.shape[1:]) != need or not ws.is_floating_point():
        found = "none" if ws is None else f"some of shape {list(ws.shape)}"
        raise CheckpointError(f"{path} needs faces of shape [n {need[0]} {need[1]}], but holds {found}. Tune again.")
    if strange := [name for name, tensor in tensors.items() if not _is_weight(name, tensor)]:
        raise CheckpointError(f"{path}: '{strange[0]}' is not a change of a weight. Use another file, or tune again.")
    mark, name = said.get("generator_fingerprint"), said.get("generator")
    if not (isinstance(mark, str) and isinstance(name, str) and mark and name):
        raise CheckpointError(f"{path} does not say which generator it belongs to. Take another file, or tune again.")
    base = ModelId(mark, name)
    return WeightDelta({name.removeprefix(PREFIX): part for name, part in tensors.items()}, Faces(ws, base), base)


def _is_weight(name: str, tensor: Tensor) -> bool:
    return name.startswith(PREFIX) and tensor.is_floating_point()


def _misfit(parts: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str | None:
    """Describe the first tensor that does not fit into `state`; None if all fit."""
    for name, tensor in parts.items():
        if name not in state:
            return f"it has a weight {name}, which the generator has not"
        if tensor.shape != state[name].shape:
            return f"{name} has shape {list(tensor.shape)} instead of {list(state[name].shape)}"
    return None
