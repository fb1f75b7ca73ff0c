"""Videos that a motion generator learns from: those of a folder, or rendered ones.

A source draws what is random about a step from the generator it is given, and shows the positions of the batch that it
is asked for: which process shows which positions changes nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import av.error
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from lga_core import InputError
from lga_core.imaging import fit_square, to_uint8

Positions = Int[Tensor, "m"]
Clips = Float[Tensor, "m t 3 h w"]
Stored = UInt8[Tensor, "t 3 size size"]

SUFFIXES = (".mp4", ".mov", ".webm", ".mkv", ".avi", ".gif", ".m4v")
MOST_FRAMES = 1000
"""Of a video, that are read."""
CACHE_BYTES = 4 * 2**30


class Videos(Protocol):
    """A source of clips in -1..1. `label`: what they are. `notes`: sentences for the report, once training is over."""

    label: str

    def show(self, rng: torch.Generator, batch: int, positions: Positions) -> Clips:
        """These positions of a step's batch of `batch` clips, drawn from `rng` alone."""
        ...

    @property
    def notes(self) -> list[str]: ...


class Rendered:
    """`count` clips that `render` draws from a seed, [t 3 h w] in -1..1, each when it is first shown, then kept."""

    def __init__(
        self, render: Callable[[int], Float[Tensor, "t 3 h w"]], count: int, label: str, seed: int = 0
    ) -> None:
        self.render, self.count, self.first = render, count, seed * 1_000_003
        self.label, self.notes = label, []
        self._kept: dict[int, Stored] = {}

    def show(self, rng: torch.Generator, batch: int, positions: Positions) -> Clips:
        chosen = torch.randint(self.count, (batch,), generator=rng)[positions]
        return as_pictures([self._clip(int(index)) for index in chosen])

    def _clip(self, index: int) -> Stored:
        if index not in self._kept:
            self._kept[index] = stored(self.render(self.first + index))
        return self._kept[index]


class Folder:
    """Clips of a folder's videos, `num_frames` frames `time_step` apart, from a random one on; central squares.

    A video that cannot be read, or is too short, is named in `notes`, and the next one is shown in its place. Raises
    InputError if there is none, or none that can be shown.
    """

    def __init__(self, folder: Path, num_frames: int, time_step: int, size: int) -> None:
        self.paths, self.num_frames, self.time_step, self.size = find_videos(folder), num_frames, time_step, size
        self.span = (num_frames - 1) * time_step + 1
        self.label = f"{len(self.paths)} videos of {folder.name}"
        self.skipped: dict[Path, str] = {}
        self._kept: dict[int, Stored] = {}
        self._kept_bytes = 0
        self._video(0)

    def show(self, rng: torch.Generator, batch: int, positions: Positions) -> Clips:
        chosen = torch.randint(len(self.paths), (batch,), generator=rng)[positions]
        begins = torch.rand(batch, generator=rng)[positions]
        return as_pictures([self._clip(int(index), float(u)) for index, u in zip(chosen, begins, strict=True)])

    @property
    def notes(self) -> list[str]:
        return [f"{path.name} was skipped: {why}" for path, why in self.skipped.items()]

    def _clip(self, index: int, begin: float) -> Stored:
        video = self._video(index)
        first = min(int(begin * (len(video) - self.span + 1)), len(video) - self.span)
        return video[first : first + self.span : self.time_step]

    def _video(self, index: int) -> Stored:
        """Video `index`, or the next one that can be shown."""
        for step in range(len(self.paths)):
            if (found := self._read((index + step) % len(self.paths))) is not None:
                return found
        path, why = next(iter(self.skipped.items()))
        raise InputError(
            f"None of the {len(self.paths)} videos in {path.parent} can be learned from; one of them, {path.name}: "
            f"{why} Give --videos a folder of others."
        )

    def _read(self, index: int) -> Stored | None:
        """A video's frames, from memory where there is room for all that were read."""
        path = self.paths[index]
        if index in self._kept or path in self.skipped:
            return self._kept.get(index)
        try:
            video = read_video(path, self.size)
        except (av.error.FFmpegError, OSError, ValueError) as err:
            return self._skip(path, f"It cannot be read ({' '.join(str(err).split())[:120]}).")
        if len(video) < self.span:
            return self._skip(path, f"It has {len(video)} frames; a clip needs {self.span}.")
        if self._kept_bytes + video.numel() <= CACHE_BYTES:
            self._kept[index] = video
            self._kept_bytes += video.numel()
        return video

    def _skip(self, path: Path, why: str) -> None:
        self.skipped[path] = why
        warnings.warn(f"{path} was skipped: {why}", stacklevel=3)


def find_videos(folder: Path) -> list[Path]:
    """Files in `folder` and below that are named as videos, in order. Raises InputError if there are none."""
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. Give --videos a folder of videos.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise InputError(f"{folder} holds no video ({', '.join(SUFFIXES)}). Give --videos a folder of videos.")
    return found


def read_video(path: Path, size: int) -> Stored:
    """The first `MOST_FRAMES` frames of a video, their central squares at `size` pixels.

    Raises OSError, ValueError or av.error.FFmpegError for what is no video.
    """
    frames = []
    with av.open(str(path)) as container:
        if not container.streams.video:
            raise ValueError("it has no pictures")
        for frame in container.decode(video=0):
            pixels = torch.from_numpy(frame.to_ndarray(format="rgb24"))[None].movedim(3, 1)
            frames.append(stored(fit_square(pixels.float() / 127.5 - 1, size)))
            if len(frames) == MOST_FRAMES:
                break
    return torch.cat(frames) if frames else torch.zeros(0, 3, size, size, dtype=torch.uint8)


def stored(pictures: Float[Tensor, "t 3 size size"]) -> Stored:
    return to_uint8(pictures).movedim(3, 1).contiguous()


def as_pictures(videos: Sequence[Stored]) -> Clips:
    return torch.stack(list(videos)).float() / 127.5 - 1
