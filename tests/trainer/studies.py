"""A tiny study: two methods that anyone can tell apart, and raters who answer as they are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from lga_core import write_clip

RED, BLUE = "red-method", "blue-method"
COLOURS = {RED: (0.9, -0.8, -0.8), BLUE: (-0.8, -0.8, 0.9)}
PROMPTS = ("closing_eyes", "smiling")
ASKED = ("words", "person", "real")
NUM_FRAMES = 5


def draw_clip(path: Path, colour: Iterable[float], face: int) -> Path:
    """A square that crosses a plane of the method's colour; `face` is the row that it crosses."""
    frames = torch.tensor(list(colour)).view(1, 3, 1, 1).expand(NUM_FRAMES, 3, 32, 32).clone()
    for index in range(NUM_FRAMES):
        frames[index, :, 4 + 8 * face : 10 + 8 * face, 5 * index : 5 * index + 6] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_clip(path, [frames], 10)


def draw_methods(clips: Path, faces: int = 2) -> tuple[Path, Path]:
    """Both methods' folders, as an evaluation leaves them: METHOD/PROMPT/FACE.mp4."""
    for method, colour in COLOURS.items():
        for prompt in PROMPTS:
            for face in range(faces):
                draw_clip(clips / method / prompt / f"{face:03}.mp4", colour, face)
    return clips / RED, clips / BLUE


def read_page(study: Path) -> dict[str, Any]:
    """What the page's script is given."""
    page = (study / "index.html").read_text()
    return json.loads(page.split('<script type="application/json" id="study">')[1].split("</script>")[0])


def read_key(study: Path) -> dict[str, Any]:
    return json.loads((study / "key.json").read_text())


def answer(
    study: Path,
    rater: str,
    choose: Callable[[dict[str, str], str], str],
    finished: str = "2026-01-02T00:00:00.000Z",
    pairs: Iterable[str] | None = None,
) -> dict[str, Any]:
    """The file of a rater who takes the method that `choose(pair of the key, question)` names; x stands left of every
    other pair."""
    key = read_key(study)
    rows = []
    for number, name in enumerate(key["pairs"] if pairs is None else pairs):
        pair, left = key["pairs"][name], "xy"[number % 2]
        sides = {question: "left" if pair[left] == choose(pair, question) else "right" for question in ASKED}
        rows.append({"pair": name, "left": left, **sides, "seconds": 10.0 + number})
    head = {"format": "lga-study-answers", "version": 1, "study": key["study"], "rater": rater}
    return head | {"started": "2026-01-01T00:00:00.000Z", "finished": finished, "answers": rows}


def hand_in(folder: Path, told: dict[str, Any], name: str | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / (name or f"answers-{told['rater']}.json")
    path.write_text(json.dumps(told))
    return path
