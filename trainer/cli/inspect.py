"""`lga inspect`: what a model file contains, for a person to read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

KINDS = {
    "generator": "StyleGAN2 generator",
    "encoder": "encoder (image to W+ code)",
    "animator": "motion model (text to motion)",
    "latent_mapper": "StyleCLIP latent mapper (one prompt to an edit)",
    "mocogan": "MoCoGAN-HD motion generator (random motion)",
    "clip": "CLIP model (text and image embeddings)",
    "identity": "identity network (face to embedding)",
    "finder": "face detector",
    "faces": "faces (W+ codes)",
    "movement": "motion of a face (W+ offsets)",
}
LABELS = {
    "resolution": "resolution",
    "num_ws": "style vectors (num_ws)",
    "w_dim": "size of w (w_dim)",
    "c_dim": "class labels",
    "code_dim": "size of CLIP embedding",
    "embed_dim": "size of embedding",
    "architecture": "architecture",
    "conv_clamp": "activations clamped to",
    "parameters": "parameters",
    "fingerprint": "fingerprint",
    "generator_fingerprint": "trained for generator",
    "clip": "trained with CLIP",
}


def inspect(
    file: Annotated[Path, Parameter("FILE", help="Model file, of this project or of another one.")],
    /,
    *,
    json: Annotated[bool, Parameter(help="Print JSON, for programs.", negative=())] = False,
) -> None:
    """Report what a model file contains, whoever wrote it: layout, size, licence, fingerprint, and what is missing.

    Pickle files are read by a restricted reader: no code in them is executed.
    """
    from lga_core import inspect

    found = inspect(file)
    print(_as_json(found) if json else report(found, file))


def _as_json(found: Mapping[str, Any]) -> str:
    return json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False)


def report(found: Mapping[str, Any], path: Path) -> str:
    """What `lga_core.inspect` found in a file, as lines of text."""
    lines = [f"{found['file']}  ({found['bytes'] / 1e6:,.1f} MB)", f"  layout: {found['layout']}"]
    if found.get("domain_guess"):
        lines.append(f"  domain, guessed from the file's name: {found['domain_guess']}")
    for model in found["models"]:
        lines += ["", f"  {KINDS.get(model['kind'], model['kind'])}", *(f"    {line}" for line in _lines_on(model))]
    if found["layout"] != "this project's":
        lines += ["", f"  `lga convert {path}` converts it once, so that it loads faster."]
    return "\n".join(lines)


def _lines_on(model: Mapping[str, Any]) -> list[str]:
    lines = [f"{label}: {_value(key, model[key])}" for key, label in LABELS.items() if model.get(key)]
    lines.append(f"licence: {_licence(model.get('licence'))}")
    lines += [f"note: {note}" for note in model.get("notes", [])]
    prompts = model.get("prompts")
    if isinstance(prompts, list):
        lines.append(f"trained on prompts: {', '.join(str(entry.get('prompt')) for entry in prompts)}")
    return lines


def _licence(licence: Mapping[str, Any] | str | None) -> str:
    if isinstance(licence, Mapping):
        return f"{licence['id']}{' (non-commercial)' if licence.get('non_commercial') else ''}"
    return licence or "not stated in the file"


def _value(key: str, value: Any) -> str:
    if key == "resolution":
        return f"{value} x {value} px"
    return f"{value:,}" if key == "parameters" else str(value)
