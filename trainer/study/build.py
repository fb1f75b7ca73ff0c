"""Make the study: a page of pairs for raters, and for the tally a key that says which method made which clip.

The page knows the clips of a pair as x and y, and randomises their sides for each rater. Which method is x is drawn
here for each pair, and is written to key.json alone.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from lga_core import InputError, OutputError, load_image
from lga_core.imaging import to_uint8

from ..training.atomic_files import made, write
from .page import study_page
from .pairs import Pair, as_mp4, find_pairs
from .questions import QUESTIONS

KEY_FORMAT = "lga-study-key"
INLINE_LIMIT = 32_000_000
"""Size in bytes up to which the clips are embedded in the page."""
STILL_SIZE = 384
"""Longest side of the still images in pixels."""


def make(
    first: Path,
    second: Path,
    out: Path,
    names: Sequence[str] | None = None,
    images: Path | None = None,
    num_pairs: int | None = None,
    each: int | None = None,
    seed: int | None = None,
    inline: bool = False,
) -> dict[str, Any]:
    """Write index.html, key.json and, where they are too large for the page, clips/ to `out`; returns the key.

    first, second: folders of two methods' clips (`find_pairs`); names: theirs, by default the folders'. num_pairs: how
    many pairs to take, spread evenly over the prompts (all). each: how many of them one rater sees (all). seed: the
    same makes the same files; without one, a seed is drawn that nobody can guess. inline: clips into the page however
    large. Raises InputError, OutputError.
    """
    named = tuple(names or (first.resolve().name, second.resolve().name))
    if named[0] == named[1]:
        raise InputError(f"Both methods are called {named[0]!r}. Give them different names with --names A B.")
    if (out / "key.json").exists():
        raise OutputError(
            f"{out} already holds a study, whose answers cannot be read without its key.json. Choose another --out, or "
            "remove the study first."
        )
    seed = secrets.randbits(63) if seed is None else seed
    rng = random.Random(seed)
    pairs = spread(find_pairs(first, second, images), num_pairs, rng)
    sides = _sides(len(pairs), rng)
    clips, shown = _clips(pairs, sides, seed)
    embedded = inline or sum(map(len, clips.values())) <= INLINE_LIMIT
    study = _study(pairs, shown, clips, each or len(pairs), embedded)
    key = _key(study, named, seed, pairs, sides)

    made(out)
    for name, content in clips.items() if not embedded else ():
        write(made(out / "clips") / f"{name}.mp4", content)
    write(out / "index.html", study_page(study))
    write(out / "key.json", json.dumps(key, indent=1, ensure_ascii=False) + "\n")
    return key


def spread(pairs: Sequence[Pair], count: int | None, rng: random.Random) -> list[Pair]:
    """At most `count` pairs in random order, spread evenly over the prompts."""
    prompts: dict[str, list[Pair]] = {}
    for pair in pairs:
        prompts.setdefault(pair.prompt, []).append(pair)
    queues = list(prompts.values())
    for queue in queues:
        rng.shuffle(queue)
    order: list[Pair] = []
    while queues := [queue for queue in queues if queue]:
        rng.shuffle(queues)
        order += [queue.pop() for queue in queues]
    return order[:count]


def _sides(count: int, rng: random.Random) -> list[int]:
    """Which method is x in each of `count` pairs: each method in half of them."""
    sides = [index % 2 for index in range(count)]
    rng.shuffle(sides)
    return sides


def _clips(pairs: Sequence[Pair], sides: Sequence[int], seed: int) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """The clips by names that reveal neither method nor seed, and the pairs as the page knows them."""
    clips: dict[str, bytes] = {}
    shown = []
    for number, (pair, x) in enumerate(zip(tqdm(pairs, desc="clips", disable=None), sides, strict=True), start=1):
        names = {slot: hashlib.sha256(f"{seed}/{number}/{slot}".encode()).hexdigest()[:10] for slot in "xy"}
        clips |= {names["x"]: as_mp4(pair.clips[x]), names["y"]: as_mp4(pair.clips[1 - x])}
        shown.append({"id": f"p{number:03}", "words": pair.words} | names)
    return clips, shown


def _study(
    pairs: Sequence[Pair], shown: Sequence[dict[str, Any]], clips: dict[str, bytes], each: int, embedded: bool
) -> dict[str, Any]:
    """All that the page knows: questions, pairs, still images, and clips or their files."""
    stills, pictures = _stills(pairs)
    study = {
        "questions": [{"id": question.id, "text": question.text} for question in QUESTIONS],
        "each": min(each, len(pairs)),
        "pairs": [pair | {"still": still} for pair, still in zip(shown, stills, strict=True)],
        "stills": pictures,
        "clips": {
            name: base64.b64encode(content).decode() if embedded else f"clips/{name}.mp4"
            for name, content in clips.items()
        },
        "embedded": embedded,
    }
    return study | {"id": _fingerprint(study, clips)}


def _stills(pairs: Sequence[Pair]) -> tuple[list[str | None], dict[str, str]]:
    """The name of each pair's still picture, and the pictures by name as data: a face is held once."""
    names: dict[Path, str] = {}
    for pair in pairs:
        if pair.still is not None:
            names.setdefault(pair.still, f"s{len(names) + 1:03}")
    pictures = {name: _picture(path) for path, name in names.items()}
    return [names[pair.still] if pair.still is not None else None for pair in pairs], pictures


def _picture(path: Path) -> str:
    picture = Image.fromarray(to_uint8(load_image(path))[0].numpy())
    picture.thumbnail((STILL_SIZE, STILL_SIZE), Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    picture.save(packed, "JPEG", quality=88, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(packed.getvalue()).decode()}"


def _fingerprint(study: dict[str, Any], clips: dict[str, bytes]) -> str:
    """12 hex digits of all that raters see; they identify the study that answers belong to."""
    digest = hashlib.sha256(json.dumps(study, sort_keys=True).encode())
    for content in clips.values():
        digest.update(content)
    return digest.hexdigest()[:12]


def _key(
    study: dict[str, Any], names: tuple[str, ...], seed: int, pairs: Sequence[Pair], sides: Sequence[int]
) -> dict[str, Any]:
    return {
        "format": KEY_FORMAT,
        "version": 1,
        "study": study["id"],
        "seed": seed,
        "methods": list(names),
        "each": study["each"],
        "pairs": {
            shown["id"]: {
                "x": names[x],
                "y": names[1 - x],
                "clip": pair.name,
                "prompt": pair.prompt,
                "words": pair.words,
            }
            for shown, pair, x in zip(study["pairs"], pairs, sides, strict=True)
        },
    }
