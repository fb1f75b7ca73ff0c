"""Contact sheets: pictures in rows under words, for a person to look at."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lga_core import ClipModel, Domain, Generator, MotionModel

from .attributes import PROMPTS, sample_neutral
from .concepts import SENTENCES, held_out_sentences
from .generator import AttributeMap

MARGIN = 150
SHOWN_FRAMES = (0, 5, 10, 15)


def sheet(rows: Sequence[Float[Tensor, "n 3 h w"]], captions: Sequence[str], path: Path, zoom: float = 1.0) -> None:
    """One row of pictures (in -1..1) for each caption, written as PNG."""
    size = int(rows[0].shape[-1] * zoom)
    margin = MARGIN if any(captions) else 0
    page = Image.new("RGB", (margin + size * max(len(row) for row in rows), size * len(rows)), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    for y, (row, caption) in enumerate(zip(rows, captions, strict=True)):
        pen.text((6, y * size + size // 2 - 8), caption, fill="black", font=font)
        pixels = ((row.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
        for x, picture in enumerate(pixels):
            page.paste(
                Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC), (margin + x * size, y * size)
            )
    page.save(path)


def grid(pictures: Float[Tensor, "n 3 h w"], columns: int, path: Path, zoom: float = 1.0) -> None:
    rows = list(pictures.split(columns))
    sheet(rows, [""] * len(rows), path, zoom)


@torch.no_grad()
def motion_sheets(domain: Domain, attribute_map: AttributeMap, out: Path, seed: int = 77) -> None:
    """The trained sentences and the held-out ones, two sheets each."""
    faces = sample_neutral(24, torch.Generator().manual_seed(seed))
    ws = domain.generator.broadcast(attribute_map.to_w(faces))
    sentences = [SENTENCES[prompt] for prompt in PROMPTS]
    for name, chosen in (("sheet", sentences), ("sheet_held_out", list(held_out_sentences()))):
        rows = motion_rows(domain.generator, domain.clip, domain.motion, ws, chosen)
        captions = [sentence.removeprefix("The cartoon face ") for sentence in chosen]
        half = (len(rows) + 1) // 2
        sheet(rows[:half], captions[:half], out / f"{name}_1.png")
        sheet(rows[half:], captions[half:], out / f"{name}_2.png")


@torch.no_grad()
def motion_rows(
    generator: Generator, clip: ClipModel, model: MotionModel, ws: Float[Tensor, "n l d"], sentences: Sequence[str]
) -> list[Float[Tensor, "8 3 h w"]]:
    """For each sentence four frames of one face, then the last frames of four others; each row has other faces."""
    rows = []
    for i, sentence in enumerate(sentences):
        faces = ws.roll(-5 * i, dims=0)[:5]
        features = clip.encode_images(generator.synthesis(faces))
        motion = model(clip.encode_text([sentence]), features, max(SHOWN_FRAMES) + 1)
        frames = generator.synthesis(faces[:1] + motion[0, list(SHOWN_FRAMES)])
        rows.append(torch.cat([frames, generator.synthesis(faces[1:] + motion[1:, -1])]))
    return rows
