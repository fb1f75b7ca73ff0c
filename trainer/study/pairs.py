"""Pair the clips of two methods, and convert them to H.264, which browsers play in step."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from PIL import Image, ImageSequence

from lga_core import Images, InputError, write_clip
from lga_core.imaging import to_nchw

from .questions import spoken

SUFFIXES = (".mp4", ".webp", ".gif")
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
WORDS_FILE = "prompts.json"
"""Beside the methods' folders: the sentence of each prompt's folder, as {"smiling": "The person is smiling."}."""
NEUTRAL = {"major_brand", "minor_version", "compatible_brands", "encoder", "language", "handler_name", "vendor_id"}
"""Metadata that an mp4 in a study may have; a title or a comment could name the method."""


@dataclass(frozen=True)
class Pair:
    """Two methods' clips of one face and prompt. name: PROMPT/FACE."""

    name: str
    prompt: str
    words: str
    clips: tuple[Path, Path]
    still: Path | None = None


def find_pairs(first: Path, second: Path, images: Path | None = None) -> list[Pair]:
    """The clips at the same PROMPT/FACE in both folders, in order of name; clips in one folder only are skipped.

    images: folder of the still faces, as FACE.png or PROMPT/FACE.png. Raises InputError.
    """
    ours, theirs = _clips(first), _clips(second)
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        raise InputError(
            f"{first} and {second} have no clip at the same place. Both need clips of the same faces and prompts at "
            "PROMPT/FACE.mp4, such as smiling/003.mp4."
        )
    if alone := sorted(ours.keys() ^ theirs.keys()):
        warnings.warn(f"{len(alone)} clips are in one folder only and skipped ({alone[0]} is the first).", stacklevel=2)
    words = _words(first.parent / WORDS_FILE)
    pairs = [
        Pair(name, prompt, words.get(prompt) or spoken(prompt), (ours[name], theirs[name]), still)
        for name in both
        for prompt in [Path(name).parent.name]
        for still in [_still(images, name)]
    ]
    if images is not None and (bare := [pair.name for pair in pairs if pair.still is None]):
        warnings.warn(f"{len(bare)} pairs have no image in {images} ({bare[0]} is the first).", stacklevel=2)
    return pairs


def _clips(folder: Path) -> dict[str, Path]:
    """PROMPT/FACE -> its clip; of several formats, the first in `SUFFIXES`."""
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. Give the folder of one method's clips.")
    found: dict[str, Path] = {}
    for suffix in SUFFIXES:
        for path in sorted(folder.glob(f"*/**/*{suffix}")):
            found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), path)
    if not found:
        raise InputError(
            f"{folder} has no clips at PROMPT/FACE.mp4 (or .webp, .gif). Give the folder of one method's clips."
        )
    return found


def _words(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        sentences = json.loads(path.read_text(encoding="utf-8"))
        return {str(folder): str(sentence) for folder, sentence in sentences.items()}
    except (ValueError, AttributeError) as err:
        raise InputError(f'{path} should be JSON like {{"smiling": "The person is smiling."}} ({err}).') from err


def _still(images: Path | None, name: str) -> Path | None:
    if images is None:
        return None
    if not images.is_dir():
        raise InputError(f"There is no folder {images}. Give the folder of the faces' images, or leave --images out.")
    places = [images / name, images / Path(name).name]
    files = [place.with_name(place.name + suffix) for place in places for suffix in PICTURES]
    return next((file for file in files if file.is_file()), None)


def as_mp4(path: Path) -> bytes:
    """The clip as an H.264 file without sound or titles; it is encoded again only if it is not one already.

    Raises InputError for a file that is not a clip.
    """
    try:
        if path.suffix.lower() == ".mp4" and _plays(path):
            return path.read_bytes()
        frames, fps = (_mp4_frames if path.suffix.lower() == ".mp4" else _picture_frames)(path)
        with tempfile.TemporaryDirectory(prefix="lga-study-") as folder:
            return write_clip(Path(folder) / "clip.mp4", frames, fps).read_bytes()
    except (OSError, ValueError, SyntaxError, LookupError, EOFError) as err:
        raise InputError(
            f"{path} is not a clip that can be read ({' '.join(str(err).split())}). Make it again, or remove it from "
            "both folders."
        ) from err


def _plays(path: Path) -> bool:
    """Whether browsers play this mp4 and it has no sound or titles. Raises PyAV's errors for a damaged file."""
    import av

    with av.open(str(path)) as container:
        (stream,) = container.streams.video
        next(container.decode(stream))
        said = container.metadata.keys() | stream.metadata.keys()
        alone = len(container.streams) == 1
        return alone and stream.codec.name == "h264" and stream.format.name == "yuv420p" and said <= NEUTRAL


def _mp4_frames(path: Path) -> tuple[Iterator[Images], Fraction]:
    import av

    with av.open(str(path)) as container:
        fps = container.streams.video[0].average_rate or Fraction(10)

    def read() -> Iterator[Images]:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield to_nchw(torch.from_numpy(frame.to_ndarray(format="rgb24"))[None] / 255)

    return read(), fps


def _picture_frames(path: Path) -> tuple[Iterator[Images], Fraction]:
    """Frames of an animated image, at its mean frame rate."""
    with Image.open(path) as clip:
        times = [max(frame.info.get("duration", 100), 1) for frame in ImageSequence.Iterator(clip)]

    def read() -> Iterator[Images]:
        with Image.open(path) as clip:
            for frame in ImageSequence.Iterator(clip):
                rgb = frame.convert("RGB")
                flat = torch.frombuffer(bytearray(rgb.tobytes()), dtype=torch.uint8)
                yield to_nchw(flat.reshape(1, rgb.height, rgb.width, 3) / 255)

    return read(), Fraction(1000 * len(times), round(sum(times)))
