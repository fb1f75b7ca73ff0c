"""A sheet of pictures, taken apart again for a page: rows that can wrap, be captioned and be printed one by one."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from .contact_sheets import Layout, read_layout
from .html import escape, figure, inline


class Sheet:
    """The picture at `path`, with its caption. `layout`: None for a picture that is no sheet of ours."""

    def __init__(self, caption: str, path: Path) -> None:
        self.caption = caption
        self.layout = read_layout(path)
        with Image.open(path) as page:
            self.page = page.convert("RGB")

    def cells(self, layout: Layout, row: int, first: int, count: int) -> Image.Image:
        """`count` neighbouring pictures of a row, side by side without gaps."""
        strip = Image.new("RGB", (count * layout.size, layout.size))
        for place, left in enumerate(layout.lefts[first : first + count]):
            top = layout.tops[row]
            cell = self.page.crop((left, top, left + layout.size, top + layout.size))
            strip.paste(cell, (place * layout.size, 0))
        return strip

    def strips(self, layout: Layout, row: int, quality: int) -> str:
        """A row's groups of columns, each one <img>."""
        caption, first, images = layout.captions[row], 0, []
        for heading, count in layout.groups:
            images.append(inline(self.cells(layout, row, first, count), f"{caption}; {heading}", quality))
            first += count
        return f'<div class="strips" style="{columns(layout)}">{"".join(images)}</div>'

    def whole(self, quality: int) -> str:
        """All of it, row by row where rows are known."""
        if self.layout is None:
            return figure(inline(self.page, self.caption, quality), escape(self.caption))
        layout, rows = self.layout, ""
        for row, caption in enumerate(layout.captions):
            strip = self._used(self.cells(layout, row, 0, len(layout.lefts)), layout.size)
            share = 100 * strip.width / (len(layout.lefts) * layout.size)
            image = inline(strip, f"{caption}, row {row + 1}", quality)
            rows += f'<div><span>{escape(caption)}</span><div style="width:{share:.4g}%">{image}</div></div>'
        return (
            f'<figure><div class="sheet"><div class="rows">{rows}</div></div>'
            f"<figcaption>{escape(self.caption)}</figcaption></figure>"
        )

    @staticmethod
    def _used(strip: Image.Image, size: int) -> Image.Image:
        """The strip without the white of pictures that are not there, at its end."""
        count = strip.width // size
        while count > 1 and strip.crop(((count - 1) * size, 0, count * size, size)).getextrema() == ((255, 255),) * 3:
            count -= 1
        return strip.crop((0, 0, count * size, size))


def columns(layout: Layout) -> str:
    """The style of a grid whose columns are as wide as the groups have pictures."""
    counts = [count for _, count in layout.groups]
    widths = " ".join(f"{count}fr" for count in counts)
    share = 100 * counts[-1] / counts[0]
    return f"--share:{min(share, 100):.4g}%;grid-template-columns:{widths}"
