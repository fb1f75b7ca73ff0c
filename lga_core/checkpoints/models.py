"""Generators, encoders and what moves faces as files of our format, and which generator a face or a motion fits."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..baselines.mocogan_hd import MocoganConfig, MocoganMotion
from ..baselines.styleclip.latent_mapper import LatentMapper, LatentMapperConfig
from ..errors import CheckpointError
from ..formats.fingerprints import STEP_COUNTER, weights_of
from ..formats.header import AGAIN, PathLike
from ..formats.native import load_checkpoint, save_checkpoint
from ..inversion.encoder import Encoder, EncoderConfig
from ..motion.model import MotionConfig, MotionModel
from ..stylegan2.generator import Generator, GeneratorConfig


@dataclass(frozen=True)
class _Kind:
    """How one of our models lies in a file: its kind, what its tensors' names begin with, and its configuration."""

    name: str
    prefix: str
    model: type[nn.Module]
    config: type
    fixed: Mapping[str, Any]  # what its architecture says that never varies (and a foreign model might have different)
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)  # configuration field -> name in the file

    def architecture(self, config: Any) -> dict[str, Any]:
        fields = {self.renamed.get(key, key): value for key, value in dataclasses.asdict(config).items()}
        return {**self.fixed, **fields}

    def read_config(self, architecture: Mapping[str, Any], path: Path) -> Any:
        fields = dict(architecture)
        for key, need in self.fixed.items():
            if (found := fields.pop(key, None)) != need:
                raise CheckpointError(
                    f"{path}: its architecture says {key} {found!r}, but only {need!r} is supported. "
                    "Choose another file."
                )
        names = {self.renamed.get(field.name, field.name): field.name for field in dataclasses.fields(self.config)}
        if wrong := sorted(fields.keys() ^ names.keys()):
            raise CheckpointError(
                f"{path}: its architecture has missing or unknown entries: {_some(wrong)}. It was made by another "
                "version of this project: update, or make the file again."
            )
        try:
            return self.config(**{names[key]: value for key, value in fields.items()})
        except (TypeError, ValueError) as err:
            raise CheckpointError(f"{path}: its architecture is invalid ({err}). {AGAIN}") from err

    def save(self, path: PathLike, model: nn.Module, half: bool, metadata: dict[str, Any]) -> None:
        self.save_state(path, model.config, weights_of(model), metadata, half)

    def save_state(
        self, path: PathLike, config: Any, state: Mapping[str, Tensor], metadata: Mapping[str, Any], half: bool = False
    ) -> None:
        tensors = {self.prefix + name: tensor for name, tensor in state.items()}
        save_checkpoint(path, self.name, tensors, self.architecture(config), half=half, **metadata)

    def load(self, path: PathLike) -> nn.Module:
        path = Path(path)
        checkpoint = load_checkpoint(path, self.name)
        config = self.read_config(checkpoint.architecture, path)
        with torch.device("meta"):  # nothing is allocated before the file is known to fit
            model = self.model(config)
        need = {self.prefix + name: tensor.shape for name, tensor in weights_of(model).items()}
        _check_tensors(path, checkpoint.tensors, need)
        state = {name.removeprefix(self.prefix): tensor for name, tensor in checkpoint.tensors.items()}
        counters = {name: torch.tensor(0) for name in model.state_dict() if name.endswith(STEP_COUNTER)}
        model.load_state_dict({**state, **counters}, assign=True)
        return model.eval().requires_grad_(False)


def _check_tensors(path: Path, found: Mapping[str, Tensor], need: Mapping[str, torch.Size]) -> None:
    if missing := sorted(need.keys() - found.keys()):
        raise CheckpointError(f"{path} lacks {len(missing)} of {len(need)} tensors: {_some(missing)}. {AGAIN}")
    if extra := sorted(found.keys() - need.keys()):
        raise CheckpointError(
            f"{path} holds {len(extra)} tensors that its architecture does not have: {_some(extra)}. {AGAIN}"
        )
    for name, shape in need.items():
        tensor = found[name]
        if tensor.shape != shape or not tensor.is_floating_point():
            what = f"shape {list(tensor.shape)}" if tensor.shape != shape else f"type {tensor.dtype}"
            raise CheckpointError(
                f"{path}: the tensor {name} has {what}, but its architecture needs shape {list(shape)} of "
                f"floating-point numbers. {AGAIN}"
            )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


_GENERATOR = _Kind(
    "generator",
    "generator.",
    Generator,
    GeneratorConfig,
    fixed={"family": "stylegan2", "resample_filter": [1, 3, 3, 1], "act": "lrelu"},
    renamed={"architecture": "variant"},
)
_ENCODER = _Kind("encoder", "encoder.", Encoder, EncoderConfig, fixed={"family": "e4e"})
_ANIMATOR = _Kind("animator", "", MotionModel, MotionConfig, fixed={"family": "recurrent"})
_LATENT_MAPPER = _Kind("latent_mapper", "", LatentMapper, LatentMapperConfig, fixed={"family": "styleclip"})
_MOCOGAN = _Kind("mocogan", "", MocoganMotion, MocoganConfig, fixed={"family": "mocogan-hd"})
_KINDS = {kind.name: kind for kind in (_GENERATOR, _ENCODER, _ANIMATOR, _LATENT_MAPPER, _MOCOGAN)}


def state_writer(kind: str) -> Callable[[PathLike, Any, Mapping[str, Tensor], Mapping[str, Any]], None] | None:
    """What writes a model of this kind from its configuration and state; None for kinds without a class here."""
    found = _KINDS.get(kind)
    return None if found is None else found.save_state


def save_generator(path: PathLike, generator: Generator, *, half: bool = False, **metadata: Any) -> None:
    """Write a generator; see `save_checkpoint`."""
    _GENERATOR.save(path, generator, half, metadata)


def load_generator(path: PathLike) -> Generator:
    """Read a generator: float32, evaluation mode, no gradients. Raises CheckpointError."""
    return _GENERATOR.load(path)  # pyright: ignore[reportReturnType]


def save_encoder(path: PathLike, encoder: Encoder, *, half: bool = False, **metadata: Any) -> None:
    """Write an encoder; see `save_checkpoint`."""
    _ENCODER.save(path, encoder, half, metadata)


def load_encoder(path: PathLike) -> Encoder:
    """Read an encoder: float32, evaluation mode, no gradients. Raises CheckpointError."""
    return _ENCODER.load(path)  # pyright: ignore[reportReturnType]


def save_motion(path: PathLike, model: MotionModel, *, half: bool = False, **metadata: Any) -> None:
    """Write a motion model; see `save_checkpoint`."""
    _ANIMATOR.save(path, model, half, metadata)


def load_motion(path: PathLike) -> MotionModel:
    """Read a motion model: float32, evaluation mode, no gradients. Raises CheckpointError."""
    return _ANIMATOR.load(path)  # pyright: ignore[reportReturnType]


def save_latent_mapper(path: PathLike, mapper: LatentMapper, *, half: bool = False, **metadata: Any) -> None:
    """Write a StyleCLIP latent mapper; see `save_checkpoint`."""
    _LATENT_MAPPER.save(path, mapper, half, metadata)


def load_latent_mapper(path: PathLike) -> LatentMapper:
    """Read a StyleCLIP latent mapper: float32, evaluation mode, no gradients. Raises CheckpointError."""
    return _LATENT_MAPPER.load(path)  # pyright: ignore[reportReturnType]


def save_mocogan(path: PathLike, model: MocoganMotion, *, half: bool = False, **metadata: Any) -> None:
    """Write a MoCoGAN-HD motion generator; see `save_checkpoint`."""
    _MOCOGAN.save(path, model, half, metadata)


def load_mocogan(path: PathLike) -> MocoganMotion:
    """Read a MoCoGAN-HD motion generator: float32, evaluation mode, no gradients. Raises CheckpointError."""
    return _MOCOGAN.load(path)  # pyright: ignore[reportReturnType]
