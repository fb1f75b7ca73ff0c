"""What a model file is, for `lga inspect`: of ours by its header, without torch; of others by what they convert to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..formats.header import PathLike, is_native, read_metadata

_GUESSES = ("ffhq", "metfaces", "afhq", "celeba", "anime", "cat", "dog", "wild", "church", "horse", "car", "doodle")


def inspect(path: PathLike) -> dict[str, Any]:
    """What a file is, as JSON: its layout, and for each model in it the kind, sizes, licence and what is missing.

    A file of ours is told by its header alone. Raises CheckpointError for a file that cannot be opened.
    """
    path = Path(path)
    described: dict[str, Any] = {"file": str(path), "bytes": path.stat().st_size if path.is_file() else 0}
    if is_native(path):
        metadata = {key: value for key, value in read_metadata(path).items() if key != "mean_picture"}
        return {**described, "layout": "this project's", "models": [_native_summary(metadata)]}
    from .conversion import open_foreign  # brings torch, which takes longer than all of the above

    converted = open_foreign(path)
    name = path.name.lower()
    guess = next((word for word in _GUESSES if word in name), None)
    models = [_foreign_summary(model) for model in converted]
    return {**described, "layout": converted[0].layout, "domain_guess": guess, "models": models}


def _native_summary(metadata: Mapping[str, Any]) -> dict[str, Any]:
    architecture = metadata["architecture"]
    rest = {key: value for key, value in metadata.items() if key not in ("architecture", "format", "format_version")}
    sizes = ("resolution", "num_ws", "w_dim", "code_dim", "embed_dim")
    return {**{key: architecture[key] for key in sizes if key in architecture}, **rest}


def _foreign_summary(model: Any) -> dict[str, Any]:
    config = model.config
    sizes = {}
    for name in ("resolution", "num_ws", "w_dim", "c_dim", "code_dim", "embed_dim", "conv_clamp", "architecture"):
        value = config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)
        if value is not None:
            sizes[name] = value
    summary: dict[str, Any] = {"kind": model.kind, **sizes}
    summary["parameters"] = sum(tensor.numel() for tensor in model.tensors.values())
    if model.kind == "generator":
        summary["fingerprint"] = model.fingerprint
    return {**summary, "licence": dict(model.licence), "notes": list(model.notes)}
