"""Files of other projects: recognised by what is in them, never by their name, and turned into files of ours.

Each layout is a module of its own with `matches` and `read`; the list below is the order in which they are asked.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError, OutputError
from ..formats.foreign import read_foreign
from ..formats.header import PathLike, is_native
from ..formats.native import save_checkpoint
from ..formats.pickle_values import shown
from .converted_model import ConvertedModel
from .layouts import (
    e4e,
    hang2023,
    misc,
    mocogan_hd,
    nvidia_pytorch,
    nvidia_tensorflow,
    rosinality,
    styleclip,
)
from .models import state_writer

FOREIGN_SUFFIXES = frozenset({".pkl", ".pt", ".pth", ".bin", ".npy", ".npz"})
_LAYOUTS: tuple[tuple[Callable[[Any], bool], Callable[[Any, str], list[ConvertedModel]]], ...] = (
    (nvidia_pytorch.matches, nvidia_pytorch.read),
    (nvidia_tensorflow.matches, nvidia_tensorflow.read),
    (rosinality.matches, rosinality.read),
    (e4e.matches, e4e.read),
    (hang2023.matches, hang2023.read),
    (styleclip.matches, styleclip.read),
    (mocogan_hd.matches, mocogan_hd.read),
    (lambda value: misc.identity_network(value) is not None, misc.read_identity),
    (misc.is_latents, misc.read_latents),
)
WHAT_OPENS = (
    "StyleGAN2 generators (NVIDIA .pkl, PyTorch or TensorFlow; rosinality .pt; PTI), e4e and pSp encoders, motion "
    "models of the paper's code, StyleCLIP's latent mappers, MoCoGAN-HD's motion generators, CLIP weights, ArcFace and "
    "facenet, W+ codes, and this project's own safetensors"
)
OPENAI_MEAN, OPENAI_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Provenance:
    """Where a converted model came from."""

    path: Path
    bytes: int
    sha256: str

    def described(self, model: ConvertedModel) -> dict[str, Any]:
        return {"layout": model.layout, "file_name": self.path.name, "bytes": self.bytes, "sha256": self.sha256}


def open_foreign(path: PathLike) -> list[ConvertedModel]:
    """Everything of use in a file of another project. Nothing in it is run.

    Raises CheckpointError that says what the file is, where that can be told, for anything that is of no use.
    """
    path = Path(path)
    if is_native(path):
        raise CheckpointError(f"{path} is already a file of this project. Use it as it is.")
    value, where = read_foreign(path).value, str(path)
    try:
        return _recognised(value, where)
    except CheckpointError as err:
        raise CheckpointError(_fit_for_a_screen(str(err), where)) from err
    except _PARSE_ERRORS as err:
        raise CheckpointError(
            f"{where} has an unsupported layout ({shown(f'{type(err).__name__}: {err}', 200)}). "
            "The file is damaged or of an unsupported variant: fetch it again, or use another."
        ) from err


_PARSE_ERRORS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What reading a layout may end in where a value is of another kind than it has in every file of that layout."""


MAX_REASON = 500


def _fit_for_a_screen(reason: str, where: str) -> str:
    """A reason whose quotations from the file are short, and cannot do anything to a screen."""
    rest = reason.removeprefix(where)
    safe = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in rest)
    return where + (
        safe if len(safe) <= MAX_REASON else f"{safe[: MAX_REASON - 60]} ... Fetch the file again, or use another."
    )


def _recognised(value: Any, where: str) -> list[ConvertedModel]:
    for matches, read in _LAYOUTS:
        if matches(value):
            return [_checked(model, where) for model in read(value, where)]
    if tensors := _clip_tensors(value):
        return [_checked(_clip(tensors, where), where)]
    if strange := misc.describe_unsupported(value):
        raise CheckpointError(f"{where} {strange}")
    raise CheckpointError(f"{where} holds {_summary(value)}: an unrecognised format. Supported: {WHAT_OPENS}.")


def _clip_tensors(value: Any) -> dict[str, Tensor] | None:
    inner = value.get("state_dict", value) if isinstance(value, Mapping) else None
    if not isinstance(inner, Mapping):
        return None
    tensors = rosinality.without_prefix(inner)
    return {k: t for k, t in tensors.items() if isinstance(t, Tensor)} if hang2023.is_clip(tensors) else None


def _clip(tensors: dict[str, Tensor], where: str) -> ConvertedModel:
    """OpenAI's weights carry three numbers that open_clip's do not; they were trained with QuickGELU."""
    openai = "input_resolution" in tensors or "openai" in Path(where).name.lower()
    model = hang2023.converted_clip(tensors, where, quick_gelu=openai, layout="CLIP")
    if not openai:
        model = dataclasses.replace(
            model, notes=("Taken for weights trained with standard GELU; OpenAI's need QuickGELU.",)
        )
    return model


def _checked(model: ConvertedModel, where: str) -> ConvertedModel:
    """All numbers floating and finite, in float32."""
    tensors = {}
    for name, tensor in model.tensors.items():
        if not tensor.is_floating_point():
            raise CheckpointError(
                f"{where}: the tensor {name} is of type {tensor.dtype}; floating-point numbers are needed."
            )
        if not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise CheckpointError(
                f"{where}: the tensor {name} holds {bad} values that are not finite numbers, of {tensor.numel()}. Its "
                "training went wrong or the file is damaged: use an earlier checkpoint, or fetch it again."
            )
        tensors[name] = tensor.float()
    return dataclasses.replace(model, tensors=tensors)


def _summary(value: Any) -> str:
    if isinstance(value, Mapping):
        names = [str(name)[:40] for name in list(value)[:4]]
        return f"a table of {len(value)} entries ({', '.join(names)}{', …' if len(value) > 4 else ''})"
    if isinstance(value, Tensor):
        return f"a tensor of shape {list(value.shape)}"
    return f"a {type(value).__name__}"


def source_of(path: PathLike) -> Provenance:
    """Size and checksum of a file."""
    path, digest = Path(path), hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
        return Provenance(path, path.stat().st_size, digest.hexdigest())
    except OSError as err:
        raise CheckpointError(f"{path} cannot be read ({err}). Check the path and its permissions.") from err


def save_converted(path: PathLike, model: ConvertedModel, source: Provenance) -> None:
    """Write a converted model as a file of ours, with its provenance. The same file gives the same bytes."""
    metadata = {
        "source": source.described(model),
        "licence": dict(model.licence),
        "notes": list(model.notes),
        **model.metadata,
    }
    if writer := state_writer(model.kind):
        writer(path, model.config, model.tensors, metadata)
    elif model.kind == "clip":
        vocabulary = torch.arange(model.config["text_cfg"]["vocab_size"])
        metadata |= {"name": source.path.stem, "mean": OPENAI_MEAN, "std": OPENAI_STD}
        save_checkpoint(path, "clip", {**model.tensors, "token_ids": vocabulary}, model.config, **metadata)
    else:
        save_checkpoint(path, model.kind, model.tensors, model.config, **metadata)


def convert(path: PathLike, out: PathLike | None = None, kind: str | None = None) -> list[Path]:
    """Turn a file of another project into files of ours: one for each model in it, or the one of this `kind`.

    `out` is a folder, or a file name where there is one model; None puts them beside the source. Names of several
    end in their kind. Raises CheckpointError for a file of no use, OutputError where nothing can be written.
    """
    path = Path(path)
    found = [model for model in open_foreign(path) if kind in (None, model.kind)]
    if not found:
        raise CheckpointError(f"{path} holds no {kind}. `lga inspect` shows what it holds.")
    targets = _targets(path, None if out is None else Path(out), found)
    source = source_of(path)
    for model, target in zip(found, targets, strict=True):
        save_converted(target, model, source)
    return targets


def _targets(path: Path, out: Path | None, found: list[ConvertedModel]) -> list[Path]:
    if out is not None and out.suffix == ".safetensors":
        if len(found) > 1:
            kinds = ", ".join(model.kind for model in found)
            raise OutputError(f"{path} holds several models ({kinds}): give a folder instead of {out}, or one kind.")
        return [out]
    folder = path.parent if out is None else out
    if not folder.is_dir():
        raise OutputError(f"There is no folder {folder}. Make it first, or give a name that ends in .safetensors.")
    several = len(found) > 1
    return [folder / f"{path.stem}{'_' + model.kind if several else ''}.safetensors" for model in found]


def as_native(path: PathLike, kind: str, cache: PathLike, on_convert: Callable[[], None] = lambda: None) -> Path:
    """The file itself if it is ours, else the model of this `kind` in it, converted once into the folder `cache`.

    Files there are named by the checksum of their source, so that a changed file is converted anew. `on_convert` is
    called before the work, of some seconds, begins. Raises CheckpointError.
    """
    path, cache = Path(path), Path(cache)
    if is_native(path):
        return path
    target = cache / f"{source_of(path).sha256[:32]}_{kind}.safetensors"
    if not target.is_file():
        on_convert()
        cache.mkdir(parents=True, exist_ok=True)
        convert(path, target, kind)
    return target
