"""A contact sheet cut into its rows again, for a page: rows can wrap, have captions and be printed one by one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from PIL import Image

from .contact_sheets import Layout, read_layout
from .html import EmbeddedImage, embedded


class Row(NamedTuple):
    """An image beside its label, `width` percent of the page's row wide."""

    label: str
    image: EmbeddedImage
    width: float = 100.0


class ShownSheet(NamedTuple):
    """A contact sheet on a page: its rows, or the whole image where its layout is not known."""

    caption: str
    rows: list[Row]
    image: EmbeddedImage | None = None


class Sheet:
    """The image at `path` with its caption. `layout` is None for an image that is not one of our contact sheets."""

    def __init__(self, caption: str, path: Path) -> None:
        self.caption = caption
        self.layout = read_layout(path)
        with Image.open(path) as page:
            self.page = page.convert("RGB")

    def cells(self, row: int, first: int, count: int) -> Image.Image:
        """`count` neighbouring images of a row, from column `first` on, side by side without gaps."""
        layout = self._known_layout()
        strip = Image.new("RGB", (count * layout.size, layout.size))
        for place, left in enumerate(layout.lefts[first : first + count]):
            top = layout.tops[row]
            cell = self.page.crop((left, top, left + layout.size, top + layout.size))
            strip.paste(cell, (place * layout.size, 0))
        return strip

    def strips(self, row: int, quality: int) -> list[EmbeddedImage]:
        """A row's groups of columns, each as one image."""
        layout = self._known_layout()
        caption, first, images = layout.captions[row], 0, []
        for heading, count in layout.groups:
            images.append(embedded(self.cells(row, first, count), f"{caption}; {heading}", quality))
            first += count
        return images

    def shown(self, quality: int) -> ShownSheet:
        """The whole sheet, row by row where its layout is known."""
        if self.layout is None:
            return ShownSheet(self.caption, [], embedded(self.page, self.caption, quality))
        columns, rows = len(self.layout.lefts), []
        for row, caption in enumerate(self.layout.captions):
            strip = _without_empty_end(self.cells(row, 0, columns), self.layout.size)
            image = embedded(strip, f"{caption}, row {row + 1}", quality)
            rows.append(Row(caption, image, 100 * strip.width / (columns * self.layout.size)))
        return ShownSheet(self.caption, rows)

    def _known_layout(self) -> Layout:
        if self.layout is None:
            raise ValueError(f"The image {self.caption!r} has no layout: it is not a contact sheet.")
        return self.layout


def _without_empty_end(strip: Image.Image, size: int) -> Image.Image:
    """The strip without the white squares of missing images at its end."""
    count = strip.width // size
    while count > 1 and strip.crop(((count - 1) * size, 0, count * size, size)).getextrema() == ((255, 255),) * 3:
        count -= 1
    return strip.crop((0, 0, count * size, size))


def grid_style(layout: Layout) -> str:
    """CSS of a grid whose columns are as wide as the sheet's groups have images."""
    counts = [count for _, count in layout.groups]
    widths = " ".join(f"{count}fr" for count in counts)
    share = 100 * counts[-1] / counts[0]
    return f"--share:{min(share, 100):.4g}%;grid-template-columns:{widths}"
