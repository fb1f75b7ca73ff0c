"""Contact sheets: rows of images with captions, as PNG.

The PNG's metadata holds the layout (rows, columns, captions), so that a report can cut the sheet into its rows again.
"""

import json
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin
from torch import Tensor

from lga_core import Images, MotionModel, WPlus
from lga_core.imaging import evenly, fit_square, to_uint8

from ..metrics.bootstrap import NUM_FRAMES

MARGIN = 150
"""Width of the caption column, in pixels."""
GAP = 12
"""Width of the gap between two groups of columns, in pixels."""
LINE, LETTER = 18, 7.2
"""Height of a line of text and mean width of a letter, in pixels."""
SHOWN_FRAMES = evenly(NUM_FRAMES, 4)
LAYOUT = "lga:sheet"
"""Key of the layout in the PNG's metadata."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Layout:
    """Positions on a sheet in pixels: the images are squares of `size`, rows start at `tops`, columns at `lefts`.

    captions: one for each row. groups: heading and number of neighbouring columns.
    """

    size: int
    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    captions: tuple[str, ...]
    groups: tuple[tuple[str, int], ...]


def sheet(
    rows: Sequence[Float[Tensor, "n 3 h w"]],
    captions: Sequence[str],
    path: Path,
    zoom: float = 1.0,
    groups: Sequence[tuple[str, int]] = (),
) -> None:
    """Write a row of images (values in [-1, 1]) for each caption as PNG. Long captions are wrapped.

    groups: columns that stand apart under a heading: [(heading, number of columns), ...].
    """
    layout = _layout(rows, captions, zoom, groups)
    size, width = layout.size, max(layout.lefts) + layout.size
    page = Image.new("RGB", (width, layout.tops[-1] + size), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    _write_headings(pen, font, layout)
    for top, row, caption in zip(layout.tops, rows, captions, strict=True):
        _write_caption(pen, font, caption, top, size)
        for left, pixels in zip(layout.lefts, to_uint8(row.cpu()).numpy(), strict=False):
            page.paste(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC), (left, top))
    text = PngImagePlugin.PngInfo()
    text.add_itxt(LAYOUT, json.dumps(asdict(layout)))
    page.save(path, pnginfo=text)


def grid(images: Float[Tensor, "n 3 h w"], columns: int, path: Path, zoom: float = 1.0) -> None:
    """A sheet without captions."""
    rows = list(images.split(columns))
    sheet(rows, [""] * len(rows), path, zoom)


@torch.no_grad()
def motion_sheet(
    synthesize: Callable[[WPlus], Images],
    model: MotionModel,
    ws: WPlus,
    text: Float[Tensor, "k c"],
    image_embeddings: Float[Tensor, "n c"] | None,
    captions: Sequence[str],
    path: Path,
    size: int = 192,
) -> None:
    """For each prompt a row: four of 16 frames of the first face, then the last frames of the next three faces.

    ws: faces, of which at most four are shown. text: a unit embedding for each caption. image_embeddings: unit
    embeddings of the faces, for a model that takes them. The first row shows the unedited faces.
    """
    faces = ws[:4]
    embeddings = None if image_embeddings is None else image_embeddings[:4]
    still = [0] * len(SHOWN_FRAMES) + list(range(1, len(faces)))
    rows = [synthesized(synthesize, faces, size)[still]]
    for embedding in text:
        motion = model(embedding.expand(len(faces), -1), embeddings, NUM_FRAMES)
        video, others = faces[:1] + motion[0, SHOWN_FRAMES], faces[1:] + motion[1:, -1]
        rows.append(synthesized(synthesize, torch.cat([video, others]), size))
    groups = [(f"one face: {_listed([f + 1 for f in SHOWN_FRAMES])} of {NUM_FRAMES} frames", len(SHOWN_FRAMES))]
    if len(faces) > 1:
        groups.append(("other faces: the last frame", len(faces) - 1))
    sheet(rows, ["before", *captions], path, groups=groups)


@torch.no_grad()
def reconstruction_sheet(
    images: Images, reconstructions: Images, path: Path, columns: int = 6, size: int = 192
) -> None:
    """Images [n 3 h w] above their reconstructions by encoder and generator, `columns` pairs side by side."""
    rows, captions = [], []
    for inputs, outputs in zip(images.split(columns), reconstructions.split(columns), strict=True):
        rows += [fit_square(inputs, size).cpu(), fit_square(outputs, size).cpu()]
        captions += ["input", "reconstruction"]
    sheet(rows, captions, path)


@torch.no_grad()
def synthesized(synthesize: Callable[[WPlus], Images], ws: WPlus, size: int, chunk: int = 4) -> Images:
    """Faces at `size` pixels on the CPU, synthesised `chunk` at a time to bound the memory at full resolution."""
    return torch.cat([fit_square(synthesize(few).float(), size).cpu() for few in ws.split(chunk)])


def read_layout(path: Path) -> Layout | None:
    """The layout of the contact sheet at `path`; None for any other image."""
    with Image.open(path) as page:
        described = getattr(page, "text", {}).get(LAYOUT)
    if described is None:
        return None
    fields = json.loads(described)
    groups = tuple((heading, count) for heading, count in fields.pop("groups"))
    return Layout(fields.pop("size"), **{name: tuple(values) for name, values in fields.items()}, groups=groups)


def _layout(rows: Sequence[Tensor], captions: Sequence[str], zoom: float, groups: Sequence[tuple[str, int]]) -> Layout:
    size, columns = max(1, int(rows[0].shape[-1] * zoom)), max(len(row) for row in rows)
    margin, head = MARGIN if any(captions) else 0, LINE + 8 if groups else 0
    starts = {sum(count for _, count in groups[:i]) for i in range(1, len(groups))}
    gaps = [sum(start <= column for start in starts) for column in range(columns)]
    return Layout(
        size=size,
        tops=tuple(head + row * size for row in range(len(rows))),
        lefts=tuple(margin + column * size + gap * GAP for column, gap in enumerate(gaps)),
        captions=tuple(captions),
        groups=tuple((heading, count) for heading, count in groups),
    )


def _write_headings(pen: ImageDraw.ImageDraw, font: Font, layout: Layout) -> None:
    column = 0
    for heading, count in layout.groups:
        lines = wrapped(heading, count * layout.size, most=1)
        pen.text((layout.lefts[column], 4), "".join(lines), fill="#555555", font=font)
        column += count


def _write_caption(pen: ImageDraw.ImageDraw, font: Font, caption: str, top: int, size: int) -> None:
    lines = wrapped(caption, MARGIN - 14, most=max(1, size // LINE))
    first = top + (size - LINE * len(lines)) // 2
    for index, line in enumerate(lines):
        pen.text((6, first + index * LINE), line, fill="black", font=font)


def wrapped(text: str, width: int, most: int) -> list[str]:
    """`text` in at most `most` lines of about `width` pixels, cut with an ellipsis."""
    return textwrap.wrap(text, int(width / LETTER), max_lines=most, placeholder="…")


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"
