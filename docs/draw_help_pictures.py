"""Draws the pictures of the help pages in web/docs, by running the nodes on the embedded domain.

    python docs/draw_help_pictures.py                        all of them, but for photographs
    python docs/draw_help_pictures.py LGA_ShapeMotion ...    some

draw_photo_pictures.py draws those of the nodes for photographs.

The panel that shows a page is 220 to 400 pixels wide, so that a picture appears at half its size: hence the large type.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "web" / "docs" / "images"
WIDTH, MARGIN, GAP = 600, 10, 6
INNER = WIDTH - 2 * MARGIN
TEXT, HEADING = 20, 22
INK, GRAY, PAPER, ACCENT = "#1d1d1f", "#6a6a6e", "#ffffff", "#3b4cc0"
CARD, CARD_TITLE, CARD_FIELD, CARD_INK = "#353535", "#262626", "#1c1c1c", "#eeeeee"
COLOURS = 256
"""In a stored picture, dithered, which keeps the files small."""
PLAIN = "everything"


# The nodes


@cache
def nodes() -> dict[str, type]:
    """The pack's node classes, without ComfyUI."""
    spec = importlib.util.spec_from_file_location(
        "lga_pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None and spec.loader is not None
    sys.modules["lga_pack"] = importlib.util.module_from_spec(spec)
    return importlib.import_module("lga_pack.nodes").NODE_CLASS_MAPPINGS


def run(node: str, **inputs: Any) -> tuple:
    """What LGA_`node` gives for these inputs; widgets that are left out have their defaults."""
    made = nodes()[f"LGA_{node}"]
    widgets = {}
    for name, (_, options) in made.INPUT_TYPES()["required"].items():
        if "options" in options:
            widgets[name] = options.get("default", options["options"][0])
        elif "default" in options:
            widgets[name] = options["default"]
    return getattr(made(), made.FUNCTION)(**{**widgets, **inputs})


@cache
def domain() -> tuple:
    return run("LoadDomain")


@cache
def sampled(seed: int, batch_size: int = 1, psi: float = 0.7) -> tuple:
    """Faces and their pictures."""
    return run("SampleFace", generator=domain()[0], seed=seed, batch_size=batch_size, psi=psi)


@cache
def text(words: str, negative: str = "", seen: int | None = None) -> Any:
    """An encoded text; with the picture of the face `seen`, where it is given."""
    _, _, clip, motion_model = domain()
    optional = {} if seen is None else {"image": sampled(seen)[1]}
    return run("EncodeText", clip=clip, motion_model=motion_model, text=words, negative=negative, **optional)[0]


def roll_out(words: str, seen: int | None = None, negative: str = "", **inputs: Any) -> Any:
    return run("MotionRollout", motion_model=domain()[3], text=text(words, negative, seen), **inputs)[0]


def frames(faces: Any, motion: Any, at: Sequence[int] | None = None, **inputs: Any) -> list[Image.Image]:
    """Frames that Synthesize Frames draws, all or those at these numbers."""
    drawn = run("SynthesizeFrames", generator=domain()[0], faces=faces, motion=motion, **inputs)[0]
    return pictures(drawn if at is None else drawn[list(at)])


def pictures(images: torch.Tensor) -> list[Image.Image]:
    """ComfyUI's IMAGE, [n h w c] in 0..1, as pictures."""
    return [Image.fromarray((image.clamp(0, 1) * 255).round().byte().numpy()) for image in images]


# Drawing


@cache
def font(size: int = TEXT, bold: bool = False, mono: bool = False) -> ImageFont.FreeTypeFont:
    family = font_manager.FontProperties(
        family="DejaVu Sans Mono" if mono else "DejaVu Sans", weight=700 if bold else 400
    )
    return ImageFont.truetype(font_manager.findfont(family), size)


def wrapped(words: str, width: float, type_: ImageFont.FreeTypeFont) -> list[str]:
    """`words` in lines no wider than `width`; line breaks in it stay."""
    lines = []
    for part in words.split("\n"):
        line = ""
        for word in part.split(" "):
            longer = f"{line} {word}" if line else word
            if line and type_.getlength(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


def lettering(
    words: str, width: int = WIDTH, align: str = "left", size: int = TEXT, bold=False, ink=INK
) -> Image.Image:
    """A block of text, `width` wide."""
    type_ = font(size, bold)
    lines, height = wrapped(words, width, type_), round(size * 1.3)
    block = Image.new("RGB", (width, height * len(lines)), PAPER)
    draw = ImageDraw.Draw(block)
    for number, line in enumerate(lines):
        left = (width - type_.getlength(line)) / 2 if align == "centre" else 0
        draw.text((left, number * height), line, ink, type_)
    return block


def beside(parts: Sequence[Image.Image], gap: int = GAP, middle: bool = False) -> Image.Image:
    height = max(part.height for part in parts)
    row = Image.new("RGB", (sum(part.width for part in parts) + gap * (len(parts) - 1), height), PAPER)
    left = 0
    for part in parts:
        row.paste(part, (left, (height - part.height) // 2 if middle else 0))
        left += part.width + gap
    return row


def below(parts: Sequence[Image.Image], gap: int = GAP) -> Image.Image:
    height = sum(part.height for part in parts) + gap * (len(parts) - 1)
    column = Image.new("RGB", (max(part.width for part in parts), height), PAPER)
    top = 0
    for part in parts:
        column.paste(part, (0, top))
        top += part.height + gap
    return column


def page(*parts: Image.Image, gap: int = GAP) -> Image.Image:
    """Parts, one below the other, with a margin around: a help page's picture."""
    content = below(parts, gap)
    whole = Image.new("RGB", (WIDTH, content.height + 2 * MARGIN), PAPER)
    whole.paste(content, (MARGIN, MARGIN))
    return whole


def heading(words: str) -> Image.Image:
    return lettering(words, INNER, size=HEADING, bold=True)


def note(words: str) -> Image.Image:
    return lettering(words, INNER, ink=GRAY)


def fitted(picture: Image.Image, width: int) -> Image.Image:
    return picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)


def strip(images: Sequence[Image.Image], captions: Sequence[str], columns: int = 4, width: int = INNER) -> Image.Image:
    """Pictures in rows of `columns`, each with its caption below."""
    cell = (width - GAP * (columns - 1)) // columns
    cells = [
        below([fitted(image, cell), lettering(caption, cell, "centre")] if caption else [fitted(image, cell)], 2)
        for image, caption in zip(images, captions, strict=True)
    ]
    return below([beside(cells[start : start + columns]) for start in range(0, len(cells), columns)])


def arrow(length: int = 40, height: int = 30, down: bool = False) -> Image.Image:
    picture = Image.new("RGB", (length, height), PAPER)
    draw, middle = ImageDraw.Draw(picture), height / 2
    draw.line((2, middle, length - 10, middle), GRAY, 4)
    draw.polygon([(length - 16, middle - 10), (length - 1, middle), (length - 16, middle + 10)], GRAY)
    return picture.rotate(-90, expand=True) if down else picture


def folder(lines: Sequence[str], width: int = INNER) -> Image.Image:
    """A folder and its files, as a listing."""
    height = 27
    box = Image.new("RGB", (width, height * len(lines) + 16), PAPER)
    draw = ImageDraw.Draw(box)
    draw.rounded_rectangle((0, 0, width - 1, box.height - 1), 8, "#f6f1e0", "#c9b87a", 2)
    for number, line in enumerate(lines):
        draw.text((12, 8 + number * height), line, INK, font(18, mono=True))
    return box


def card(title: str, widgets: Sequence[tuple[str, str]], outputs: Sequence[str], width: int = 250) -> Image.Image:
    """A node as ComfyUI draws it, more or less."""
    line = 34
    box = Image.new("RGB", (width, 40 + line * (len(widgets) + len(outputs)) + 8), PAPER)
    draw = ImageDraw.Draw(box)
    draw.rounded_rectangle((0, 0, width - 1, box.height - 1), 10, CARD)
    draw.rounded_rectangle((0, 0, width - 1, 36), 10, CARD_TITLE)
    draw.text((14, 6), title, CARD_INK, font(TEXT, bold=True))
    top = 42
    for output in outputs:
        draw.ellipse((width - 22, top + 10, width - 10, top + 22), "#8fb7ff")
        draw.text((width - 30 - font().getlength(output), top + 3), output, CARD_INK, font())
        top += line
    for name, value in widgets:
        draw.rounded_rectangle((10, top, width - 11, top + 29), 14, CARD_FIELD)
        draw.text((20, top + 4), name, "#aaaaaa", font(16))
        draw.text((width - 22 - font(16).getlength(value), top + 4), value, CARD_INK, font(16))
        top += line
    return box


def plot(draw: Callable[[Any], None], height: int, width: int = INNER) -> Image.Image:
    """A matplotlib plot with type as large as the captions'. `draw` gets the axes."""
    with_type = {"font.size": TEXT * 0.66, "font.family": "DejaVu Sans"}
    import matplotlib

    with matplotlib.rc_context(with_type):
        figure = Figure(figsize=(width / 100, height / 100), dpi=100, layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    return Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert("RGB")


# The pictures

FACE = 21
"""Seed of the face that most pictures show."""
OTHERS = (4, 15, 20)


def load_domain() -> Image.Image:
    targets = ["Sample, Invert, Synthesize", "Invert with e4e", "Encode Text", "Encode Text, Rollout, Chain"]
    right = below([lettering(f"→ {target}", 300, size=19) for target in targets], 9)
    gap = Image.new("RGB", (300, 44), PAPER)
    node = card("Load Domain", [("domain", "doodle (embedded)")], ["generator", "encoder", "clip", "motion_model"], 272)
    listing = ["models/lga/domains/myfaces/", "  domain.json", "  generator.safetensors", "  encoder.safetensors"]
    return page(
        folder([*listing, "  clip.safetensors", "  motion.safetensors"]),
        arrow(34, 30, down=True),
        beside([node, below([gap, right], 0)], 8),
    )


def load_stylegan() -> Image.Image:
    faces = strip(pictures(sampled(FACE)[1]) + [pictures(sampled(seed)[1])[0] for seed in OTHERS], [""] * 4, 2, 226)
    node = card("Load StyleGAN", [("generator", "doodle (embedded)")], ["generator"], 302)
    return page(
        folder(["models/lga/generators/", "  myfaces.safetensors", "models/stylegan/  (searched too)"]),
        beside([below([arrow(34, 30, down=True), node], 6), arrow(), faces], 5, middle=True),
        note("The generator draws every frame, so a clip only shows what it can draw."),
    )


def load_encoder() -> Image.Image:
    generator, encoder, *_ = domain()
    shown = []
    for number in (4, 5):
        picture = run("DemoFace", number=number)[0]
        found = run("InvertE4E", generator=generator, encoder=encoder, image=picture, refine_steps=0)[1]
        shown += [*pictures(picture), *pictures(found)]
    node = card("Load e4e Encoder", [("encoder", "doodle (embedded)")], ["encoder"], 290)
    return page(
        folder(["models/lga/encoders/", "  myfaces_e4e.safetensors"]),
        arrow(34, 30, down=True),
        beside([node, lettering("→ Invert with e4e", 270)], 8, middle=True),
        heading("What the encoder alone finds"),
        strip(shown, ["image", "inverted"] * 2),
    )


def load_clip() -> Image.Image:
    _, _, clip, motion_model = domain()
    word = "grinning"
    nearest = motion_model.card.wording.nearest(clip.model.ready(), word)
    shown = nearest[:5][::-1]

    def bars(axes) -> None:
        axes.barh([name for name, _ in shown], [cosine for _, cosine in shown], color=ACCENT, height=0.65)
        axes.set_xlim(0, 1)
        axes.set_xlabel("likeness (1 = the same)")

    return page(
        folder(["models/lga/clip/", "  myfaces_clip.safetensors", "  open_clip weights (name the architecture)"]),
        heading(f"What the doodle CLIP makes of “{word}”"),
        plot(bars, 250),
        note("The five nearest of the 18 prompts that the motion model was trained on."),
    )


def load_motion_model() -> Image.Image:
    words = list(domain()[3].card.wording.sentences)
    ends = [frames(sampled(FACE)[0], roll_out(word, FACE, frames=8), [-1])[0] for word in words]
    return page(
        folder(["models/lga/motion/", "  myfaces_motion.safetensors"]),
        heading("What the doodle motion model was trained on"),
        strip(ends, words, 5),
    )


def sample_face() -> Image.Image:
    psis = (0.0, 0.4, 0.7, 1.0)
    rows = [
        strip([pictures(sampled(seed, psi=psi)[1])[0] for psi in psis], [f"psi {psi:g}" for psi in psis])
        for seed in (FACE, 10, 22)
    ]
    named = [part for seed, row in zip((FACE, 10, 22), rows, strict=True) for part in (heading(f"seed {seed}"), row)]
    return page(*named)


def demo_face() -> Image.Image:
    faces = [pictures(run("DemoFace", number=number)[0])[0] for number in range(1, 7)]
    return page(strip(faces, [f"number {number}" for number in range(1, 7)], 3))


def a_cat() -> Image.Image:
    """A picture that the doodle domain cannot draw."""
    big = Image.new("RGB", (512, 512), "#3f7f5f")
    draw = ImageDraw.Draw(big)
    for x in (110, 402):
        draw.polygon([(x - 70, 250), (x, 60), (x + 70, 250)], "#e09030", "#402000", 6)
    draw.ellipse((80, 130, 432, 470), "#f0a040", "#402000", 6)
    for x in (180, 332):
        draw.ellipse((x - 34, 240, x + 34, 310), "#d8f070", "#402000", 5)
        draw.ellipse((x - 9, 245, x + 9, 305), "#101010")
    draw.polygon([(230, 345), (282, 345), (256, 375)], "#d06070")
    for side in (-1, 1):
        draw.arc((256 - 30 + 30 * side, 355, 256 + 30 + 30 * side, 410), 0, 180, "#402000", 6)
        for rise in (-25, 0, 25):
            draw.line((256 + 70 * side, 375, 256 + 230 * side, 365 + rise), "#402000", 4)
    return big.resize((256, 256), Image.Resampling.LANCZOS)


def invert_e4e() -> Image.Image:
    generator, encoder, *_ = domain()
    cat = torch.frombuffer(bytearray(a_cat().tobytes()), dtype=torch.uint8).reshape(1, 256, 256, 3) / 255
    rows = []
    for title, image in (("A doodle", run("DemoFace", number=6)[0]), ("Not a doodle", cat)):
        found = [run("InvertE4E", generator=generator, encoder=encoder, image=image, refine_steps=n) for n in (0, 20)]
        shown = [image[0], found[0][1][0], found[1][1][0]]
        row = strip([pictures(one[None])[0] for one in shown], ["your image", "refine_steps 0", "refine_steps 20"], 3)
        report = found[1][2].partition(" Use one upright face")[0]
        rows += [heading(title), row, note(report)]
    return page(*rows)


def blend_faces() -> Image.Image:
    (a, seen_a), (b, _) = sampled(FACE), sampled(3)

    def mixed(amount: float, layers: str = PLAIN) -> Image.Image:
        blended = run("BlendFaces", faces_a=a, faces_b=b, amount=amount, layers=layers)[0]
        return frames(blended, roll_out("smiling", frames=1))[0]

    amounts, rows = (0.0, 0.33, 0.67, 1.0), ("coarse", "middle", "fine")
    return page(
        heading("everything: amount from a to b"),
        strip([mixed(amount) for amount in amounts], ["0 (a)", "0.33", "0.67", "1 (b)"]),
        heading("amount 1: these layers of b, the others of a"),
        strip([pictures(seen_a)[0], *(mixed(1, row) for row in rows)], ["a", *rows]),
    )


def saved(prefix: str) -> Image.Image:
    return folder([f"output/lga/{prefix}_00001_.safetensors"])


def save_faces() -> Image.Image:
    faces, images = sampled(20, 4)
    return page(
        strip(pictures(images), [""] * 4),
        arrow(34, 30, down=True),
        saved("faces/face"),
        note("One file contains all the faces: their latent codes, not their images."),
    )


def load_faces() -> Image.Image:
    faces = sampled(FACE)[0]
    rows = [frames(faces, roll_out(word, FACE, frames=12), (0, 4, 7, 11)) for word in ("smiling", "winking")]
    return page(
        saved("faces/face"),
        arrow(34, 30, down=True),
        heading("The same face with two motions"),
        *(strip(row, ["", "", "", ""]) for row in rows),
    )


def encode_text() -> Image.Image:
    asked = [
        ("happy", ""),
        ("happy: 0.5", ""),
        ("happy\nclosing eyes", ""),
        ("happy\nhas blonde hair: 0.7", ""),
        ("happy", "opening mouth: 0.6"),
        ("sad: 0.8\nstormy", ""),
    ]
    faces = sampled(FACE)[0]
    ends = [frames(faces, roll_out(words, FACE, negative, frames=8), [-1])[0] for words, negative in asked]
    captions = [f"{words}\nnot {negative}" if negative else words for words, negative in asked]
    return page(heading("One prompt per line; “not”: the negative field"), strip(ends, captions, 3))


def motion_rollout() -> Image.Image:
    faces = sampled(FACE)[0]
    by_time = frames(faces, roll_out("smiling", FACE, frames=24), (0, 8, 15, 23))
    strengths = (-1.0, 0.5, 1.0, 1.5)
    by_strength = [frames(faces, roll_out("smiling", FACE, frames=8, strength=s), [-1])[0] for s in strengths]

    def lines(axes) -> None:
        for schedule in ("linear", "exp", "sqrt", "const"):
            offsets = roll_out("smiling", FACE, frames=24, schedule=schedule).offsets
            far = offsets.square().mean(dim=(0, 2, 3)).sqrt()
            axes.plot(range(24), far / far[-1], linewidth=3, label=schedule)
        axes.set(xlabel="frame", ylabel="of the way", xlim=(0, 23), ylim=(0, 1.02))
        axes.legend(frameon=False, loc="lower right")

    return page(
        heading("smiling, 24 frames"),
        strip(by_time, [f"frame {frame}" for frame in (0, 8, 15, 23)]),
        heading("The last frame at each strength"),
        strip(by_strength, [f"{strength:g}" for strength in strengths]),
        heading("schedule"),
        plot(lines, 280),
    )


def told(mode: str, story: Sequence[str | None], seen: int | None = None, **inputs: Any) -> Any:
    """A chain of expressions, None for neutral."""
    motion = None
    for words in story:
        optional = {} if words is None else {"text": text(words, seen=seen)}
        if motion is not None:
            optional["previous"] = motion
        motion = run("ChainExpressions", motion_model=domain()[3], mode=mode, **optional, **inputs)[0]
    return motion


def chain_expressions() -> Image.Image:
    faces, story = sampled(FACE)[0], ("smiling", "surprised", "angry", None, "winking")
    at = (20, 40, 60, 80, 100)
    captions = ["smiling", "surprised", "angry", "no text", "winking"]
    return page(
        heading("cross-fade: each expression by itself"),
        strip(frames(faces, told("cross-fade", story, FACE), at), captions, 5),
        heading("accumulate: added to what came before"),
        strip(frames(faces, told("accumulate", story, FACE), at), captions, 5),
    )


def shape_motion() -> Image.Image:
    faces, keys = sampled(FACE)[0], "0:0, 12:1 overshoot, 24:0"
    held = told("cross-fade", ("smiling",), FACE, transition=1, hold=23)  # so that the curve alone moves the face
    shaped = run("ShapeMotion", motion=held, keyframes=keys, ease="ease in and out")[0]
    far = shaped.offsets.flatten(2).norm(dim=2)[0] / held.offsets[:, -1].norm()
    shown = (0, 4, 8, 12, 18, 24)

    def curve(axes) -> None:
        axes.plot(range(25), far, color=ACCENT, linewidth=3)
        axes.plot(shown, far[list(shown)], "o", color=ACCENT, markersize=9)
        axes.set(xlim=(-2, 26), ylim=(0, 1.25), xticks=shown, ylabel="strength")

    both = roll_out("smiling\nstormy", FACE, frames=8)
    masks = ("everything", "expression only", "custom", "colour only")
    masked = [run("ShapeMotion", motion=both, layers=layers, custom_layers="4-7")[0] for layers in masks]
    ends = [frames(faces, motion, [-1])[0] for motion in masked]
    return page(
        heading(f"keyframes: {keys}"),
        plot(curve, 200),
        strip(frames(faces, shaped, shown), [str(frame) for frame in shown], 6),
        heading("layers, for “smiling” and “stormy”"),
        strip(ends, ["everything", "expression only", "custom\n4-7", "colour only"]),
    )


def blend_motions() -> Image.Image:
    faces = sampled(FACE)[0]
    happy, sad, asleep = (roll_out(word, FACE, frames=8) for word in ("happy", "sad", "closing eyes"))

    def mixed(a: Any, b: Any, mode: str, amount: float) -> Image.Image:
        return frames(faces, run("BlendMotions", motion_a=a, motion_b=b, mode=mode, amount=amount)[0], [-1])[0]

    return page(
        heading("mix: amount from a (happy) to b (sad)"),
        strip([mixed(happy, sad, "mix", amount) for amount in (0, 0.33, 0.67, 1)], ["0", "0.33", "0.67", "1"]),
        heading("add: a, and so much of b (closing eyes)"),
        strip([mixed(happy, asleep, "add", amount) for amount in (0, 0.5, 1, -0.5)], ["0", "0.5", "1", "-0.5"]),
    )


def save_motion() -> Image.Image:
    motion = roll_out("crying", FACE, frames=12)
    return page(
        strip(frames(sampled(FACE)[0], motion, (0, 4, 7, 11)), [""] * 4),
        arrow(34, 30, down=True),
        saved("motions/motion"),
        note("The file contains only the motion. It plays on every face of the same generator."),
    )


def load_motion() -> Image.Image:
    motion = roll_out("crying", frames=12)
    rows = [strip(frames(sampled(seed)[0], motion, (0, 4, 7, 11)), [""] * 4) for seed in OTHERS]
    return page(saved("motions/motion"), arrow(34, 30, down=True), heading("One motion, three faces"), *rows)


def synthesize_frames() -> Image.Image:
    ws = torch.cat([sampled(seed)[0].ws for seed in (FACE, *OTHERS)])
    faces = sampled(FACE)[0].with_ws(ws)
    motion = roll_out("smiling", frames=24)
    grids = frames(faces, motion, (0, 11, 23), layout="grid")
    turns = frames(faces, motion, (0, 23, 24, 47, 48, 71), layout="one after another")
    return page(
        heading("grid: four faces, 24 frames"),
        strip(grids, ["frame 0", "11", "23"], 3),
        heading("one after another: 96 frames"),
        strip(turns, ["0", "23", "24", "47", "48", "71 ..."], 6),
    )


def preview_motion() -> Image.Image:
    story = told("cross-fade", ("smiling", "winking"), FACE)
    motion = run("ShapeMotion", motion=story, layers="custom", custom_layers="2-7, 8-:0.3", repeat="loop")[0]
    (sheet,) = pictures(run("PreviewMotion", generator=domain()[0], faces=sampled(FACE)[0], motion=motion)["result"][0])
    gutter = 40
    scale = (INNER - gutter) / sheet.width
    whole = Image.new("RGB", (INNER, round(sheet.height * scale)), PAPER)
    whole.paste(fitted(sheet, INNER - gutter), (gutter, 0))
    draw = ImageDraw.Draw(whole)
    for number, middle in enumerate((65, 310, 460, 615), start=1):
        y = middle * scale
        draw.ellipse((2, y - 16, 34, y + 16), ACCENT)
        draw.text((18, y), str(number), "white", font(TEXT, bold=True), anchor="mm")
    return page(
        whole,
        lettering("1  eight frames of the clip", INNER),
        lettering("2  how far each frame is from the face", INNER),
        lettering("3  how far it steps to the next frame", INNER),
        lettering("4  which layers do it (dark: much)", INNER),
    )


DRAWN: dict[str, Callable[[], Image.Image]] = {
    "LGA_LoadDomain": load_domain,
    "LGA_LoadStyleGAN": load_stylegan,
    "LGA_LoadEncoder": load_encoder,
    "LGA_LoadCLIP": load_clip,
    "LGA_LoadMotionModel": load_motion_model,
    "LGA_SampleFace": sample_face,
    "LGA_DemoFace": demo_face,
    "LGA_InvertE4E": invert_e4e,
    "LGA_BlendFaces": blend_faces,
    "LGA_SaveFaces": save_faces,
    "LGA_LoadFaces": load_faces,
    "LGA_EncodeText": encode_text,
    "LGA_MotionRollout": motion_rollout,
    "LGA_ChainExpressions": chain_expressions,
    "LGA_ShapeMotion": shape_motion,
    "LGA_BlendMotions": blend_motions,
    "LGA_SaveMotion": save_motion,
    "LGA_LoadMotion": load_motion,
    "LGA_SynthesizeFrames": synthesize_frames,
    "LGA_PreviewMotion": preview_motion,
}


def main(ids: Sequence[str], drawn: Mapping[str, Callable[[], Image.Image]] = DRAWN) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    # Nodes that save would otherwise do so below the current folder.
    with tempfile.TemporaryDirectory() as aside, torch.inference_mode():
        before = Path.cwd()
        os.chdir(aside)
        try:
            for name in ids or drawn:
                picture = drawn[name]().quantize(COLOURS, Image.Quantize.MEDIANCUT, kmeans=3)
                file = PICTURES / f"{name}.png"
                picture.save(file, optimize=True)
                print(f"{file.name} {picture.width} x {picture.height}, {file.stat().st_size:,} bytes")
        finally:
            os.chdir(before)


if __name__ == "__main__":
    main(sys.argv[1:])
