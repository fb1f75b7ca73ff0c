"""What a model file is, for a person to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lga_core import inspect

KINDS = {
    "generator": "StyleGAN2 generator",
    "encoder": "encoder (pictures to faces)",
    "animator": "motion model (words to motion)",
    "latent_mapper": "StyleCLIP latent mapper (one sentence to an edit)",
    "mocogan": "MoCoGAN-HD motion generator (random motion)",
    "clip": "CLIP model (reads words and pictures)",
    "identity": "identity network (tells people apart)",
    "faces": "faces (W+ codes)",
    "movement": "a saved motion",
}
WORDS = {
    "resolution": "resolution",
    "num_ws": "style vectors (num_ws)",
    "w_dim": "width of w",
    "c_dim": "class labels",
    "code_dim": "CLIP embedding it takes",
    "embed_dim": "embedding",
    "architecture": "architecture",
    "conv_clamp": "clamp",
    "parameters": "numbers",
    "fingerprint": "fingerprint",
    "generator_fingerprint": "made for generator",
    "clip": "made with CLIP",
}


def shown(path: Path, as_json: bool = False) -> str:
    """The report on one file. Raises CheckpointError."""
    found = inspect(path)
    if as_json:
        return json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False)
    lines = [f"{found['file']}  ({found['bytes'] / 1e6:,.1f} MB)", f"  layout: {found['layout']}"]
    if found.get("domain_guess"):
        lines.append(f"  domain, by its name: {found['domain_guess']}")
    for model in found["models"]:
        lines += ["", f"  {KINDS.get(model['kind'], model['kind'])}"]
        lines += [f"    {word}: {_value(key, model[key])}" for key, word in WORDS.items() if model.get(key)]
        licence = model.get("licence")
        if isinstance(licence, dict):
            lines.append(f"    licence: {licence['id']}{' (non-commercial)' if licence.get('non_commercial') else ''}")
        lines += [f"    note: {note}" for note in model.get("notes", [])]
        prompts = model.get("prompts")
        if isinstance(prompts, list):
            lines.append(f"    trained on: {', '.join(str(entry.get('prompt')) for entry in prompts)}")
    if found["layout"] != "this project's":
        lines += ["", f"  `lga convert {path}` turns it into files that open at once."]
    return "\n".join(lines)


def _value(key: str, value: Any) -> str:
    if key == "resolution":
        return f"{value} x {value}"
    return f"{value:,}" if key == "parameters" else str(value)
