"""Draws faces/scene.jpg, the picture of the node Demo Photo: a room with three framed doodles on its wall.

    python docs/draw_demo_scene.py

No network has seen these doodles. They hang at different sizes and angles, in the light of a lamp.
"""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from lga_trainer.demo.doodle.rendering.attributes import sample_neutral
from lga_trainer.demo.doodle.rendering.renderer import render

OUT = Path(__file__).resolve().parent.parent / "faces" / "scene.jpg"
WIDTH, HEIGHT, FINER = 960, 640, 2
FIRST_SEED = 20_260_000
"""Of faces that are in no training set, nor among the examples."""
HUNG = ((1, 182, 200, 172, -6.0), (2, 486, 192, 232, 3.5), (5, 800, 172, 148, 9.0))
"""Which doodle, where its middle is, its side and its turn in degrees, all in pixels of the picture."""
WALL, FLOOR, WOOD, DARK_WOOD, LEAF, POT = "#b9c4bd", "#8a6a4f", "#96653f", "#5f3d26", "#4f7a52", "#c9744f"


def main() -> None:
    picture = room()
    for which, x, y, side, turn in HUNG:
        hang(picture, framed(which, side * FINER), x * FINER, y * FINER, turn)
    picture = lit(picture).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    grainy(picture).save(OUT, quality=92)


def room() -> Image.Image:
    """A wall with faint stripes, a floor, a sideboard, a plant and a lamp."""
    picture = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), WALL)
    draw = ImageDraw.Draw(picture)

    def box(left: float, top: float, right: float, bottom: float, colour: str, radius: float = 0) -> None:
        draw.rounded_rectangle([FINER * edge for edge in (left, top, right, bottom)], FINER * radius, colour)

    for left in range(0, WIDTH, 48):
        box(left, 0, left + 22, HEIGHT, "#b4bfb8")
    box(0, 570, WIDTH, HEIGHT, FLOOR)
    box(0, 560, WIDTH, 572, "#e8e4da")
    box(230, 455, 740, 590, WOOD, 8)
    for left in (245, 410, 575):
        box(left, 470, left + 150, 560, DARK_WOOD, 5)
        box(left + 4, 474, left + 146, 556, "#8b5c38", 4)
        box(left + 66, 508, left + 84, 520, "#d8b06a", 4)
    box(290, 420, 350, 455, POT, 6)
    for lean, height in ((-38, 95), (-18, 120), (4, 130), (24, 112), (44, 86)):
        stem = [(320, 424), (320 + lean * 0.4, 424 - height * 0.6), (320 + lean, 424 - height)]
        draw.line([(FINER * x, FINER * y) for x, y in stem], LEAF, FINER * 7, joint="curve")
        leaf = [320 + lean - 15, 424 - height - 16, 320 + lean + 15, 424 - height + 22]
        draw.ellipse([FINER * edge for edge in leaf], LEAF)
    box(682, 330, 690, 452, "#403a34")
    box(660, 446, 712, 457, "#403a34", 4)
    shade = [(654, 345), (718, 345), (700, 288), (672, 288)]
    draw.polygon([(FINER * x, FINER * y) for x, y in shade], "#fff0c9")
    return picture


def framed(which: int, side: int) -> Image.Image:
    """A doodle in a mount and a wooden frame, transparent around it."""
    attributes = sample_neutral(1, torch.Generator().manual_seed(FIRST_SEED + which))
    pixels = ((render(attributes, side)[0] * 0.5 + 0.5).clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()
    mount, frame = side // 14, side // 16
    whole = Image.new("RGBA", [side + 2 * (mount + frame)] * 2, DARK_WOOD)
    ImageDraw.Draw(whole).rectangle([frame, frame, whole.width - frame, whole.height - frame], "#f4f0e6")
    whole.paste(Image.fromarray(pixels), (mount + frame, mount + frame))
    return whole


def hang(picture: Image.Image, card: Image.Image, x: int, y: int, turn: float) -> None:
    card = card.rotate(turn, Image.Resampling.BICUBIC, expand=True)
    left, top = x - card.width // 2, y - card.height // 2
    shadow = Image.new("RGBA", picture.size)
    shadow.paste("#2a2f2c", (left + 10, top + 14), card.getchannel("A"))
    shadow = shadow.filter(ImageFilter.GaussianBlur(14))
    picture.paste(shadow, (0, 0), shadow.getchannel("A").point(lambda share: share * 6 // 10))
    picture.paste(card, (left, top), card)


def lit(picture: Image.Image) -> Image.Image:
    """Warm light around the lamp, and darker corners."""
    w, h = picture.size
    glow = Image.new("RGB", (w, h), "#8f8a86")
    bright = Image.new("L", (w, h))
    ImageDraw.Draw(bright).ellipse([w * 0.1, -h * 0.45, w * 1.1, h * 1.1], 255)
    glow.paste("#fff6e2", (0, 0), bright.filter(ImageFilter.GaussianBlur(h / 4)))
    return ImageChops.multiply(picture, glow)


def grainy(picture: Image.Image) -> Image.Image:
    """A camera's noise, and its softness."""
    rng = torch.Generator().manual_seed(0)
    noise = (128 + 5 * torch.randn(HEIGHT, WIDTH, 3, generator=rng)).clamp(0, 255).byte().numpy()
    soft = picture.filter(ImageFilter.GaussianBlur(0.5))
    return ImageChops.add(soft, Image.fromarray(noise), scale=1, offset=-128)


if __name__ == "__main__":
    main()
