"""What a foreign file is converted to: tensors under our names, with configuration, licence and notes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..formats.native import tensors_sha256
from ..stylegan2.generator import Generator, GeneratorConfig

NUM_AVERAGED = 10_000
"""Samples of Z that a missing average face is computed from."""
NVIDIA_LICENCE = {
    "id": "NVIDIA Source Code License, where NVIDIA published it",
    "url": "https://github.com/NVlabs/stylegan2-ada-pytorch/blob/main/LICENSE.txt",
    "non_commercial": True,
}
UNKNOWN_LICENCE = {"id": "unknown: ask where the file came from", "url": "", "non_commercial": None}


@dataclass(frozen=True, eq=False)
class ConvertedModel:
    """One model out of a foreign file.

    kind: as in our files (`generator`, `encoder`, `animator`, `latent_mapper`, `mocogan`, `clip`, `identity`, `faces`).
    tensors: under our names.
    config: the model's configuration; a dict for kinds without a class. layout: the family of files it came from.
    notes: what was missing in the file and what was put in its place, in words.
    """

    kind: str
    tensors: dict[str, Tensor]
    config: Any
    layout: str
    licence: Mapping[str, Any] = field(default_factory=lambda: UNKNOWN_LICENCE)
    notes: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """As `formats.fingerprint` of the model itself: of the weights rounded to float16."""
        return tensors_sha256({name: tensor.half() for name, tensor in self.tensors.items()})[:16]

    def with_note(self, note: str, **tensors: Tensor) -> ConvertedModel:
        """The same with further tensors, and the reason."""
        return dataclasses.replace(self, tensors={**self.tensors, **tensors}, notes=(*self.notes, note))


def taken(tensors: Mapping[str, Any], name: str, where: str) -> Tensor:
    """The tensor of this name. Raises CheckpointError, beginning with `where`, if there is none."""
    tensor = tensors.get(name)
    if not isinstance(tensor, Tensor):
        found = "nothing" if tensor is None else f"a {type(tensor).__name__}"
        raise CheckpointError(f"{where} lacks the tensor {name}: {found} is there. Fetch the file again.")
    return tensor


def converted_generator(
    config: GeneratorConfig, found: Mapping[str, Tensor], layout: str, licence: Mapping[str, Any], where: str
) -> ConvertedModel:
    """A generator of these tensors (under our names), checked against `config` and completed.

    A missing average face is computed from 10,000 samples; missing noise maps are drawn from a fixed seed.
    """
    with torch.device("meta"):
        need = {name: tensor.shape for name, tensor in Generator(config).state_dict().items()}
    model = ConvertedModel("generator", {name: t for name, t in found.items() if name in need}, config, layout, licence)
    if extra := sorted(found.keys() - need.keys()):
        raise CheckpointError(
            f"{where} holds {len(extra)} tensors that a {config.resolution} px StyleGAN2 does not have, for example "
            f"{extra[0]}. This variant is not supported."
        )
    missing = need.keys() - found.keys()
    if noises := sorted(name for name in missing if name.endswith(".noise_const")):
        rng = torch.Generator().manual_seed(0)
        drawn = {name: torch.randn(need[name], generator=rng) for name in noises}
        model = model.with_note("Its noise maps were missing: drawn anew, from seed 0.", **drawn)
        missing -= drawn.keys()
    if rest := sorted(missing - {"mapping.w_avg"}):
        raise CheckpointError(
            f"{where} lacks {len(rest)} tensors of a {config.resolution} px StyleGAN2, such as {rest[0]}. Fetch the "
            "file again, or one of another source."
        )
    for name, tensor in model.tensors.items():
        if tensor.shape != need[name]:
            raise CheckpointError(
                f"{where}: the tensor {name} has shape {list(tensor.shape)}, but {list(need[name])} is needed."
            )
    if "mapping.w_avg" in missing:
        average = average_face(config, model.tensors)
        note = f"Its average face was missing: computed from {NUM_AVERAGED:,} samples."
        model = model.with_note(note, **{"mapping.w_avg": average})
    return model


@torch.no_grad()
def average_face(config: GeneratorConfig, tensors: Mapping[str, Tensor]) -> Tensor:
    """Mean of w over random z (and random labels, where the generator has them), [w_dim]."""
    with torch.device("meta"):
        mapping = Generator(config).mapping
    state = {name.removeprefix("mapping."): t.float() for name, t in tensors.items() if name.startswith("mapping.")}
    mapping.load_state_dict({**state, "w_avg": torch.zeros(config.w_dim)}, assign=True)
    rng = torch.Generator().manual_seed(0)
    total, chunk = torch.zeros(config.w_dim, dtype=torch.float64), 1000
    for _ in range(NUM_AVERAGED // chunk):
        z = torch.randn(chunk, config.z_dim, generator=rng)
        labels = None
        if config.c_dim:
            labels = torch.eye(config.c_dim)[torch.randint(config.c_dim, (chunk,), generator=rng)]
        total += mapping(z, labels).double().sum(dim=0)
    return (total / NUM_AVERAGED).float()


def channel_numbers(channels: Mapping[int, int], where: str) -> tuple[int, int]:
    """channel_base and channel_max of min(base // resolution, max), from the channels at each resolution."""
    most = max(channels.values())
    narrow = [resolution * count for resolution, count in channels.items() if count < most]
    base = max(narrow) if narrow else most * max(channels)
    if wrong := [r for r, count in channels.items() if min(base // r, most) != count]:
        raise CheckpointError(
            f"{where}: its channel counts {dict(sorted(channels.items()))} are not halved from resolution to "
            f"resolution, as a StyleGAN2's are (see {wrong[0]} px). This variant is not supported."
        )
    return base, most
