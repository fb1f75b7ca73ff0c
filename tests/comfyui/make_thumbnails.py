"""Runs the workflows and writes the picture of each one's card in the Templates dialog, beside it.

    COMFYUI_DIR=... python tests/comfyui/make_thumbnails.py [part of a name ...]

The cards are square. A clip of one face is shown as the frames that differ most, in their order; a clip of several,
side by side already, as the frame that is farthest from its first.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from client import Client
from comfyui import Server, checkout, interpreter, workflow_files
from PIL import Image
from prompts import decoded
from ui_format import api_format, widgets

SIZE = 480
FACE = 128  # width of one face of the embedded domain
MANY = 60  # from so many frames on, nine are shown, else four


def main(words: list[str]) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="lga-thumbnails-") as base,
        Server(checkout(), interpreter(checkout()), Path(base)) as server,
    ):
        client = Client(server)
        info = client.object_info()
        for file in workflow_files():
            if words and not any(word in file.stem for word in words):
                continue
            run = client.run(with_what_is_there(api_format(json.loads(file.read_text()), info), info))
            assert run.ok, f"{file.stem}: {run.error}"
            frames, _ = decoded(client.view(run.files(".mp4")[-1]))
            thumbnail(frames).save(file.with_suffix(".jpg"), quality=88, optimize=True)
            print(f"{file.stem}: {len(frames)} frames, {file.with_suffix('.jpg').stat().st_size / 1024:.0f} kB")


def with_what_is_there(prompt: dict, info: dict) -> dict:
    """The prompt with the embedded models, and a face that suits them, for files that a person would bring."""
    for node in prompt.values():
        menus = {name: options.get("options") for name, options in widgets(info[node["class_type"]]).items()}
        if node["class_type"].startswith("LGA_Load") and any(node["inputs"][name] not in menus[name] for name in menus):
            node["inputs"] = {name: options[0] for name, options in menus.items()}
        if node["class_type"] == "LoadImage":
            node |= {"class_type": "LGA_DemoFace", "inputs": {"number": 3}}
    return prompt


def thumbnail(frames: np.ndarray) -> Image.Image:
    """One square picture of a clip [t h w 3]."""
    if max(frames.shape[1:3]) > FACE:
        far = np.abs(frames.astype(int) - frames[0]).mean(axis=(1, 2, 3)).argmax()
        picture = Image.fromarray(frames[far])
    else:
        side = 3 if len(frames) >= MANY else 2
        picked = frames[most_different(frames, side * side)]
        rows = [np.concatenate(picked[i : i + side], axis=1) for i in range(0, side * side, side)]
        picture = Image.fromarray(np.concatenate(rows))
    picture.thumbnail((SIZE, SIZE), Image.Resampling.LANCZOS)
    scale = SIZE / max(picture.size)
    picture = picture.resize([round(scale * edge) for edge in picture.size], Image.Resampling.LANCZOS)
    square = Image.new("RGB", (SIZE, SIZE), picture.getpixel((0, 0)))
    square.paste(picture, ((SIZE - picture.width) // 2, (SIZE - picture.height) // 2))
    return square


def most_different(frames: np.ndarray, count: int) -> list[int]:
    """Numbers of `count` frames, ascending: the first, then always the one farthest from all that are chosen."""
    flat = frames[:, ::4, ::4].reshape(len(frames), -1).astype(float)
    chosen = [0]
    nearest = np.abs(flat - flat[0]).mean(axis=1)
    while len(chosen) < min(count, len(frames)):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.abs(flat - flat[chosen[-1]]).mean(axis=1))
    return sorted(chosen + [len(frames) - 1] * (count - len(chosen)))


if __name__ == "__main__":
    main(sys.argv[1:])
