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
from ..formats.native import PathLike, read_metadata, save_checkpoint, tensors_sha256
from ..formats.unpickler import shown
from .converted_model import ConvertedModel
from .layouts import (
    e4e,
    rosinality,
    styleclip,
)
from .layouts import (
    hang2023 as official,
)
from .layouts import (
    misc as others,
)
from .layouts import (
    mocogan_hd as mocogan,
)
from .layouts import (
    nvidia_pytorch as nvidia,
)
from .layouts import (
    nvidia_tensorflow as tensorflow,
)
from .models import state_writer

FOREIGN_SUFFIXES = frozenset({".pkl", ".pt", ".pth", ".bin", ".npy", ".npz"})
_LAYOUTS: tuple[tuple[Callable[[Any], bool], Callable[[Any, str], list[ConvertedModel]]], ...] = (
    (nvidia.matches, nvidia.read),
    (tensorflow.matches, tensorflow.read),
    (rosinality.matches, rosinality.read),
    (e4e.matches, e4e.read),
    (official.matches, official.read),
    (styleclip.matches, styleclip.read),
    (mocogan.matches, mocogan.read),
    (lambda value: others.identity_network(value) is not None, others.read_identity),
    (others.is_latents, others.read_latents),
)
WHAT_OPENS = (
    "StyleGAN2 generators (NVIDIA .pkl, PyTorch or TensorFlow; rosinality .pt; PTI), e4e and pSp encoders, motion "
    "models of the paper's code, StyleCLIP's latent mappers, MoCoGAN-HD's motion generators, CLIP weights, ArcFace and "
    "facenet, W+ codes, and this project's own safetensors"
)
OPENAI_MEAN, OPENAI_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Provenance:
    """Where products came from."""

    path: Path
    bytes: int
    sha256: str

    def described(self, product: ConvertedModel) -> dict[str, Any]:
        return {"layout": product.layout, "file_name": self.path.name, "bytes": self.bytes, "sha256": self.sha256}


def is_native(path: PathLike) -> bool:
    """Whether this is a file of this project, by its header."""
    try:
        read_metadata(path)
    except CheckpointError:
        return False
    return True


def open_foreign(path: PathLike) -> list[ConvertedModel]:
    """Everything of use in a file of another project. Nothing in it is run.

    Raises CheckpointError that says what the file is, where that can be told, for anything that is of no use.
    """
    path = Path(path)
    if is_native(path):
        raise CheckpointError(f"{path} is a file of this project already. It opens as it is.")
    value, where = read_foreign(path).value, str(path)
    try:
        return _recognised(value, where)
    except CheckpointError as err:
        raise CheckpointError(_fit_for_a_screen(str(err), where)) from err
    except _PARSE_ERRORS as err:
        raise CheckpointError(
            f"{where} is laid out otherwise than files of its kind are ({shown(f'{type(err).__name__}: {err}', 200)}). "
            "It is damaged, or comes from a variant that is not supported: fetch it again, or use another."
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
            return [_checked(product, where) for product in read(value, where)]
    if tensors := _clip_tensors(value):
        return [_checked(_clip(tensors, where), where)]
    if strange := others.describe_unsupported(value):
        raise CheckpointError(f"{where} {strange}")
    raise CheckpointError(f"{where} holds {_summary(value)}, which is nothing known here. What opens: {WHAT_OPENS}.")


def _clip_tensors(value: Any) -> dict[str, Tensor] | None:
    inner = value.get("state_dict", value) if isinstance(value, Mapping) else None
    if not isinstance(inner, Mapping):
        return None
    tensors = rosinality.without_prefix(inner)
    return {k: t for k, t in tensors.items() if isinstance(t, Tensor)} if official.is_clip(tensors) else None


def _clip(tensors: dict[str, Tensor], where: str) -> ConvertedModel:
    """OpenAI's weights carry three numbers that open_clip's do not; they were trained with QuickGELU."""
    openai = "input_resolution" in tensors or "openai" in Path(where).name.lower()
    product = official.clip_product(tensors, where, quick_gelu=openai, layout="CLIP")
    if not openai:
        product = dataclasses.replace(
            product, notes=("Taken for weights trained with standard GELU; OpenAI's need QuickGELU.",)
        )
    return product


def _checked(product: ConvertedModel, where: str) -> ConvertedModel:
    """All numbers floating and finite, in float32."""
    tensors = {}
    for name, tensor in product.tensors.items():
        if not tensor.is_floating_point():
            raise CheckpointError(
                f"{where}: the tensor {name} is of type {tensor.dtype}; numbers with a point are needed."
            )
        if not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise CheckpointError(
                f"{where}: the tensor {name} holds {bad} values that are not finite numbers, of {tensor.numel()}. Its "
                "training went wrong or the file is damaged: use an earlier checkpoint, or fetch it again."
            )
        tensors[name] = tensor.float()
    return dataclasses.replace(product, tensors=tensors)


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


def save_product(path: PathLike, product: ConvertedModel, source: Provenance) -> None:
    """Write a product as a file of ours, with where it came from. The same file gives the same bytes."""
    metadata = {
        "source": source.described(product),
        "licence": dict(product.licence),
        "notes": list(product.notes),
        **product.metadata,
    }
    if writer := state_writer(product.kind):
        writer(path, product.config, product.tensors, metadata)
    elif product.kind == "clip":
        vocabulary = torch.arange(product.config["text_cfg"]["vocab_size"])
        metadata |= {"name": source.path.stem, "mean": OPENAI_MEAN, "std": OPENAI_STD}
        save_checkpoint(path, "clip", {**product.tensors, "token_ids": vocabulary}, product.config, **metadata)
    else:
        save_checkpoint(path, product.kind, product.tensors, product.config, **metadata)


def convert(path: PathLike, out: PathLike | None = None, kind: str | None = None) -> list[Path]:
    """Turn a file of another project into files of ours: one for each model in it, or the one of this `kind`.

    `out` is a folder, or a file's name where there is one product; None puts them beside the source. Names of several
    end in their kind. Raises CheckpointError for a file of no use, OutputError where nothing can be written.
    """
    path = Path(path)
    products = [product for product in open_foreign(path) if kind in (None, product.kind)]
    if not products:
        raise CheckpointError(f"{path} holds no {kind}. `lga inspect` shows what it holds.")
    targets = _targets(path, None if out is None else Path(out), products)
    source = source_of(path)
    for product, target in zip(products, targets, strict=True):
        save_product(target, product, source)
    return targets


def _targets(path: Path, out: Path | None, products: list[ConvertedModel]) -> list[Path]:
    if out is not None and out.suffix == ".safetensors":
        if len(products) > 1:
            kinds = ", ".join(product.kind for product in products)
            raise OutputError(f"{path} holds several models ({kinds}): give a folder instead of {out}, or one kind.")
        return [out]
    folder = path.parent if out is None else out
    if not folder.is_dir():
        raise OutputError(f"There is no folder {folder}. Make it first, or give a name that ends in .safetensors.")
    several = len(products) > 1
    return [folder / f"{path.stem}{'_' + product.kind if several else ''}.safetensors" for product in products]


def as_native(path: PathLike, kind: str, cache: PathLike, on_convert: Callable[[], None] = lambda: None) -> Path:
    """The file itself if it is ours, else its product of this `kind`, converted once into the folder `cache`.

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


_GUESSES = ("ffhq", "metfaces", "afhq", "celeba", "anime", "cat", "dog", "wild", "church", "horse", "car", "doodle")


def inspect(path: PathLike) -> dict[str, Any]:
    """What a file is, as JSON: its layout, and of each model in it kind, sizes, licence and what is missing.

    Raises CheckpointError.
    """
    path = Path(path)
    described: dict[str, Any] = {"file": str(path), "bytes": path.stat().st_size if path.is_file() else 0}
    if is_native(path):
        said = {key: value for key, value in read_metadata(path).items() if key != "mean_picture"}
        return {**described, "layout": "this project's", "models": [_native_summary(said)]}
    products = open_foreign(path)
    name = path.name.lower()
    guess = next((word for word in _GUESSES if word in name), None)
    models = [_product_summary(product) for product in products]
    return {**described, "layout": products[0].layout, "domain_guess": guess, "models": models}


def _native_summary(said: Mapping[str, Any]) -> dict[str, Any]:
    architecture = said["architecture"]
    rest = {key: value for key, value in said.items() if key not in ("architecture", "format", "format_version")}
    sizes = ("resolution", "num_ws", "w_dim", "code_dim", "embed_dim")
    return {**{key: architecture[key] for key in sizes if key in architecture}, **rest}


def _product_summary(product: ConvertedModel) -> dict[str, Any]:
    config = product.config
    sizes = {}
    for name in ("resolution", "num_ws", "w_dim", "c_dim", "code_dim", "embed_dim", "conv_clamp", "architecture"):
        value = config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)
        if value is not None:
            sizes[name] = value
    summary: dict[str, Any] = {"kind": product.kind, **sizes}
    summary["parameters"] = sum(tensor.numel() for tensor in product.tensors.values())
    if product.kind == "generator":
        halves = {name: tensor.half() for name, tensor in product.tensors.items()}
        summary["fingerprint"] = tensors_sha256(halves)[:16]
    return {**summary, "licence": dict(product.licence), "notes": list(product.notes)}
