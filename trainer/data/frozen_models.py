"""The frozen generator that a training draws with: found by a name, a file or a domain, and arranged for gradients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from lga_core import ClipModel, Generator, InputError, load_clip, load_generator
from lga_core.checkpoints import as_native
from lga_core.domain import EMBEDDED, DomainCard, read_domain
from lga_core.formats import read_metadata
from lga_core.stylegan2 import FrozenSynthesis

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


class FoundGenerator(NamedTuple):
    """A frozen generator. `card`: of the domain, where the generator was given as one."""

    name: str
    generator: Generator
    card: DomainCard | None
    licence: str | None


class SynthesisSettings(Protocol):
    """The settings of the frozen generator's synthesis, a part of each training's optimizer settings."""

    @property
    def precision(self) -> str: ...
    @property
    def recompute_from(self) -> int | None: ...
    @property
    def compiled(self) -> bool: ...


def find_generator(given: str, folder: Path, device: torch.device) -> FoundGenerator:
    """The generator that --generator names; another project's file is converted into `folder`/converted.

    Raises InputError or CheckpointError.
    """
    card = find_card(given)
    path = Path(given) if card is None else card.files["generator"]
    if not path.is_file():
        raise InputError(
            f"There is no generator at {path}. Give --generator a model file, a domain's folder, or one of "
            f"{', '.join(EMBEDDED)}."
        )
    path = as_native(path, "generator", folder / "converted")
    generator = load_generator(path).to(device).requires_grad_(False)
    name = Path(given).stem if card is None else card.name
    return FoundGenerator(name, generator, card, licence_in(read_metadata(path)))


def licence_in(metadata: Mapping[str, Any]) -> str | None:
    """A model's licence as text, from its file's metadata. Converted files keep its name, its address and its terms."""
    licence = metadata.get("licence")
    if not isinstance(licence, Mapping):
        return licence
    terms = " (non-commercial)" if licence.get("non_commercial") else ""
    address = f", {licence['url']}" if licence.get("url") else ""
    return f"{licence['id']}{terms}{address}"


def find_card(given: str) -> DomainCard | None:
    """The card of the domain that --generator names, if it names one. Raises InputError or CheckpointError."""
    return read_domain(given) if given in EMBEDDED or (Path(given) / "domain.json").is_file() else None


def check_synthesis(settings: SynthesisSettings, generator: Generator) -> None:
    """Raises InputError where the settings name a block that the generator does not have."""
    resolution, blocks = settings.recompute_from, generator.config.block_resolutions
    if resolution and resolution not in blocks:
        raise InputError(
            f"--optimizer.recompute-from is {resolution}; the generator's blocks are {', '.join(map(str, blocks))}."
        )


def frozen_synthesis(generator: Generator, settings: SynthesisSettings) -> FrozenSynthesis:
    """The frozen generator's synthesis, differentiable in W+, as the settings say."""
    dtype = precision(settings, generator.w_avg.device)
    return FrozenSynthesis(generator, dtype, settings.recompute_from, settings.compiled)


def precision(settings: SynthesisSettings, device: torch.device) -> torch.dtype:
    """What was asked for, or bf16 where the hardware has it."""
    if settings.precision != "auto":
        return PRECISIONS[settings.precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    has_bf16 = (
        device.type == "cpu" and torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
    return torch.bfloat16 if has_bf16 else torch.float32


def open_clip_model(name: str, device: torch.device) -> ClipModel:
    """A CLIP by its file, or by NAME=WEIGHTS."""
    model, _, weights = name.partition("=")
    return load_clip(model, weights or None, device=device)
