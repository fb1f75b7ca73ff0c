"""Video files: frames -> mp4, animated WebP or GIF, encoded as they come, with constant memory."""

from __future__ import annotations

import io
import math
import os
import struct
import tempfile
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import chain
from os import PathLike
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from ..atomic_files import written_aside
from ..errors import InputError, MismatchError, OutputError
from ..shapes import FramesUInt8, Images
from .images import to_uint8

if TYPE_CHECKING:
    import av  # Imported where it is used: only clips need it.

MAX_FPS = 240
MAX_GIF_FPS = 50
"""A gif counts in hundredths of a second, and players slow down whatever stays for less than two."""


def write_clip(path: str | PathLike[str], frames: Iterable[Images], fps: float | Fraction) -> Path:
    """Write `frames`, chunks [k 3 h w] in -1..1, at `fps` frames a second; the suffix of `path` chooses the format.

    .mp4 is H.264 in yuv420p, and an odd height or width grows by one repeated row or column, with a warning; .webp and
    .gif play in a loop. Frames are taken one chunk at a time and memory does not grow with their number; a chunk is
    encoded in a thread while the next is made. The file appears at `path` when it is whole, and not at all if anything
    fails.

    Raises OutputError when the file cannot be written there, InputError for no frames or an impossible `fps`.
    """
    path = Path(path)
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise OutputError(f"{path} should end in one of {', '.join(_WRITERS)}: the ending chooses the kind of clip.")
    rate = _frame_rate(fps, MAX_GIF_FPS if path.suffix.lower() == ".gif" else MAX_FPS)
    with writing_aside(path) as aside:
        _beside(frames, lambda chunks: write(aside, _one_size(chunks), rate))
    return path


def _beside(chunks: Iterable[Images], work: Callable[[Iterator[Images]], None]) -> None:
    """`work(chunks)` in a thread of its own, while this one makes the next chunk. What either raises is raised here."""
    waiting: Queue[Images | None] = Queue(maxsize=1)
    failed: list[BaseException] = []

    def taken() -> Iterator[Images]:
        while (chunk := waiting.get()) is not None:
            yield chunk

    def run() -> None:
        left = taken()
        try:
            work(left)
        except BaseException as err:
            failed.append(err)
            deque(left, maxlen=0)  # so that nobody waits for room in the queue

    thread = Thread(target=run, name="encoding")
    thread.start()
    try:
        for chunk in chunks:
            waiting.put(chunk)
            if failed:
                break
    finally:
        waiting.put(None)
        thread.join()
    if failed:
        raise failed[0]


@contextmanager
def writing_aside(path: Path) -> Iterator[Path]:
    """As `written_aside`, once it is known that `path` can be written."""
    check_writable(path)
    with written_aside(path) as part:
        yield part


def check_writable(path: Path) -> None:
    """Raise OutputError unless a file can be written at `path`; worth asking before a long piece of work."""
    folder = path.parent
    if path.is_dir():
        raise OutputError(f"{path} is a folder. Give the name of a file in it.")
    if not folder.is_dir():
        raise OutputError(f"There is no folder {folder}. Make it first, or write elsewhere.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"The folder {folder} may not be written to. Change its permissions, or write elsewhere.")


def _frame_rate(fps: float | Fraction, most: int) -> Fraction:
    if not (math.isfinite(fps) and 0 < fps <= most):
        raise InputError(f"The clip cannot have {fps} frames a second here: choose more than 0 and at most {most}.")
    return Fraction(fps).limit_denominator(1001)


def _one_size(chunks: Iterable[Images]) -> Iterator[FramesUInt8]:
    """Chunks as bytes [k h w 3], refusing a change of size and a clip without frames."""
    size = None
    for images in chunks:
        size = size or tuple(images.shape[1:])
        if images.shape[1:] != size or size[0] != 3:
            raise MismatchError(f"Frames of one clip need one size and 3 channels: {list(images.shape)} after {size}.")
        # One by one: as floats they take four times as much.
        yield torch.cat([to_uint8(image).cpu() for image in images.split(1)])
    if size is None:
        raise InputError("There are no frames to write. A clip needs one at least.")


def _write_mp4(path: Path, chunks: Iterator[FramesUInt8], rate: Fraction) -> None:
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

    def prepare(stream: av.VideoStream) -> None:
        # The matrix the frames are converted by, written down, so that players undo the same one.
        stream.codec_context.colorspace = Colorspace.ITU709
        stream.codec_context.color_range = ColorRange.MPEG
        stream.codec_context.color_primaries = ColorPrimaries.BT709
        stream.codec_context.color_trc = ColorTrc.BT709
        stream.codec_context.thread_count = 4  # x264's decisions depend on it.

    pictures = (
        picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
        for picture in _pictures(map(_to_even, chunks))
    )
    # The same frames give the same file: with mbtree, x264 reads memory it never set when frames are small (AVX-512).
    options = {"crf": "18", "mbtree": "0"}
    _encode(path, "mp4", "libx264", pictures, rate, options, {"movflags": "+faststart"}, prepare)


def _write_webp(path: Path, chunks: Iterator[FramesUInt8], rate: Fraction) -> None:
    """Still pictures in the animation container of the WebP specification, each written as soon as it is encoded.

    FFmpeg's and Pillow's own animation writers hold every frame until the end.
    """
    with path.open("wb") as file:
        for index, frame in enumerate(_each(chunks)):
            h, w = frame.shape[:2]
            if index == 0:
                canvas = struct.pack("<I", 2) + _uint24(w - 1) + _uint24(h - 1)  # flag 2: animated
                file.write(b"RIFF----WEBP" + _chunk(b"VP8X", canvas) + _chunk(b"ANIM", struct.pack("<IH", 0, 0)))
            still = io.BytesIO()
            Image.fromarray(frame.numpy()).save(still, "WEBP", quality=90)
            milliseconds = round((index + 1) * 1000 / rate) - round(index * 1000 / rate)
            header = (0, 0, w - 1, h - 1, milliseconds)  # left, top, size, duration
            file.write(_chunk(b"ANMF", b"".join(map(_uint24, header)) + b"\2" + still.getvalue()[12:]))  # 2: opaque
        size = file.tell()
        file.seek(4)
        file.write(struct.pack("<I", size - 8))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _uint24(value: int) -> bytes:
    return value.to_bytes(3, "little")


def _write_gif(path: Path, chunks: Iterator[FramesUInt8], rate: Fraction) -> None:
    """One palette for the whole clip, or still parts would flicker; between its two passes the frames wait on disk."""
    with tempfile.TemporaryFile(dir=path.parent) as spool:
        size: list[int] = []
        for frames in chunks:
            size = list(frames.shape[1:])
            spool.write(frames.numpy().tobytes())

        def spooled() -> Iterator[av.VideoFrame]:
            spool.seek(0)
            while frame := spool.read(math.prod(size)):
                yield from _pictures([torch.frombuffer(bytearray(frame), dtype=torch.uint8).reshape(1, *size)])

        (palette,) = _filter(spooled(), "palettegen")
        _encode(path, "gif", "gif", _filter(spooled(), "paletteuse", palette), rate, {}, {"loop": "0"})


_WRITERS = {".mp4": _write_mp4, ".webp": _write_webp, ".gif": _write_gif}


def _each(chunks: Iterable[FramesUInt8]) -> Iterator[UInt8[Tensor, "h w 3"]]:
    for frames in chunks:
        yield from frames


def _pictures(chunks: Iterable[FramesUInt8]) -> Iterator[av.VideoFrame]:
    import av

    for frame in _each(chunks):
        yield av.VideoFrame.from_ndarray(frame.numpy(), format="rgb24")


def _encode(
    path: Path,
    container_format: str,
    codec: str,
    pictures: Iterable[av.VideoFrame],
    rate: Fraction,
    codec_options: dict[str, str],
    container_options: dict[str, str],
    prepare: Callable[[av.VideoStream], None] = lambda stream: None,
) -> None:
    import av

    with av.open(str(path), "w", format=container_format, container_options=container_options) as container:
        stream = None
        for index, picture in enumerate(pictures):
            if stream is None:
                stream = container.add_stream(codec, rate, options=codec_options)
                stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, picture.format.name
                prepare(stream)
            picture.pts, picture.time_base = index, 1 / rate
            container.mux(stream.encode(picture))
        if stream is not None:
            container.mux(stream.encode(None))


def _filter(
    pictures: Iterator[av.VideoFrame], name: str, second: av.VideoFrame | None = None
) -> Iterator[av.VideoFrame]:
    """What FFmpeg's filter `name` makes of `pictures` as they come, with one still picture as its `second` input."""
    from av.error import BlockingIOError, EOFError
    from av.filter import Graph

    graph = Graph()
    node, sink = graph.add(name), graph.add("buffersink")
    node.link_to(sink)
    first = next(pictures)
    sources = []
    for pad, like in enumerate([first] if second is None else [first, second]):
        # Picture i is at time i here; the frame rate is the container's.
        source = graph.add_buffer(width=like.width, height=like.height, format=like.format, time_base=Fraction(1))
        source.link_to(node, 0, pad)
        sources.append(source)
    graph.configure()

    def push(source: int, picture: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        sources[source].push(picture)
        with suppress(BlockingIOError, EOFError):  # No more for now, or for ever.
            while True:  # Only asking makes the graph work: until then it would hoard what was pushed.
                yield graph.vpull()

    if second is not None:
        yield from push(1, second)
        yield from push(1, None)
    for index, picture in enumerate(chain([first], pictures)):
        picture.pts, picture.time_base = index, Fraction(1)
        yield from push(0, picture)
    yield from push(0, None)


def _to_even(frames: FramesUInt8) -> FramesUInt8:
    """Odd sides grown by repeating their last row or column: yuv420p halves its colour planes."""
    h, w = frames.shape[1:3]
    if h % 2 == 0 and w % 2 == 0:
        return frames
    warnings.warn(f"mp4 needs even sides: frames of {w} x {h} grow to {w + w % 2} x {h + h % 2}.", stacklevel=2)
    rows, columns = torch.arange(h + h % 2).clamp(max=h - 1), torch.arange(w + w % 2).clamp(max=w - 1)
    return frames[:, rows][:, :, columns].contiguous()
