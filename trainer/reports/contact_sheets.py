"""Contact sheets: pictures in rows under words, for a person to look at.

A sheet's PNG also tells where its rows and columns are and what they show, so that a report can take it apart.
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
"""Width of the captions, in pixels."""
GAP = 12
"""Between two groups of columns, in pixels."""
LINE, LETTER = 18, 7.2
"""Height of a line of text and mean width of a letter, in pixels."""
SHOWN_FRAMES = evenly(NUM_FRAMES, 4)
LAYOUT = "lga:sheet"  # key of the layout in the PNG's text

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Layout:
    """Where everything is on a sheet, in pixels: rows from `tops`, columns from `lefts`, squares of `size`.

    `groups` names runs of columns: what they show and how many they are.
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
    """One row of pictures (in -1..1) for each caption, written as PNG. A long caption is wrapped beside its row.

    `groups` are runs of columns that stand apart, each with a heading: [(heading, number of columns), ...].
    """
    layout = _layout(rows, captions, zoom, groups)
    size, width = layout.size, max(layout.lefts) + layout.size
    page = Image.new("RGB", (width, layout.tops[-1] + size), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    _write_headings(pen, font, layout)
    for top, row, caption in zip(layout.tops, rows, captions, strict=True):
        _write_caption(pen, font, caption, top, size)
        for left, picture in zip(layout.lefts, to_uint8(row.cpu()).numpy(), strict=False):
            page.paste(Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC), (left, top))
    text = PngImagePlugin.PngInfo()
    text.add_itxt(LAYOUT, json.dumps(asdict(layout)))
    page.save(path, pnginfo=text)


def grid(pictures: Float[Tensor, "n 3 h w"], columns: int, path: Path, zoom: float = 1.0) -> None:
    rows = list(pictures.split(columns))
    sheet(rows, [""] * len(rows), path, zoom)


@torch.no_grad()
def motion_sheet(
    draw: Callable[[WPlus], Images],
    model: MotionModel,
    ws: WPlus,
    text: Float[Tensor, "k c"],
    pictures: Float[Tensor, "n c"] | None,
    captions: Sequence[str],
    path: Path,
    size: int = 192,
) -> None:
    """What each sentence does: four of 16 frames of the first face, then the last frames of the next three.

    ws: faces, of which at most four are shown. text: a unit embedding for each caption. pictures: the faces' own
    embeddings, for a model that was trained with them. The first row shows the faces as they are.
    """
    faces, seen = ws[:4], None if pictures is None else pictures[:4]
    still = [0] * len(SHOWN_FRAMES) + list(range(1, len(faces)))
    rows = [drawn(draw, faces, size)[still]]
    for embedding in text:
        motion = model(embedding.expand(len(faces), -1), seen, NUM_FRAMES)
        film, others = faces[:1] + motion[0, SHOWN_FRAMES], faces[1:] + motion[1:, -1]
        rows.append(drawn(draw, torch.cat([film, others]), size))
    groups = [(f"one face: {_listed([f + 1 for f in SHOWN_FRAMES])} of {NUM_FRAMES} frames", len(SHOWN_FRAMES))]
    if len(faces) > 1:
        groups.append(("other faces: the last frame", len(faces) - 1))
    sheet(rows, ["before", *captions], path, groups=groups)


@torch.no_grad()
def reconstruction_sheet(pictures: Images, redrawn: Images, path: Path, columns: int = 6, size: int = 192) -> None:
    """Pictures [n 3 h w] over what the generator made of their codes, `columns` pairs side by side."""
    rows, captions = [], []
    for given, bootstrap_counts in zip(pictures.split(columns), redrawn.split(columns), strict=True):
        rows += [fit_square(given, size).cpu(), fit_square(bootstrap_counts, size).cpu()]
        captions += ["given", "drawn again from its code"]
    sheet(rows, captions, path)


@torch.no_grad()
def drawn(draw: Callable[[WPlus], Images], ws: WPlus, size: int, chunk: int = 4) -> Images:
    """Faces at `size` pixels on the CPU, drawn a few at a time: at full size they may not fit in memory together."""
    return torch.cat([fit_square(draw(few).float(), size).cpu() for few in ws.split(chunk)])


def read_layout(path: Path) -> Layout | None:
    """Where things are on the sheet at `path`; None for any other picture."""
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
