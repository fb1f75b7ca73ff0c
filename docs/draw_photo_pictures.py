"""Draws the pictures of the help pages of nodes for photographs: see draw_help_pictures.py.

python docs/draw_photo_pictures.py [LGA_FindFaces ...]
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from draw_help_pictures import (
    ACCENT,
    INNER,
    arrow,
    beside,
    card,
    domain,
    fitted,
    folder,
    frames,
    heading,
    lettering,
    main,
    note,
    page,
    pictures,
    plot,
    roll_out,
    run,
    sampled,
    saved,
    strip,
)
from PIL import Image, ImageDraw

WORD = "opening mouth"


@cache
def scene() -> torch.Tensor:
    return run("DemoPhoto", frames=1)[0]


@cache
def aligned(index: int = 1, size: int = 512) -> tuple:
    """The picture and the alignment of a face of the scene, from left to right."""
    generator = domain()[0]
    places = run("FindFaces", image=scene(), generator=generator, which="left to right", index=index)[0]
    return run("AlignFace", generator=generator, image=scene(), places=places, size=size)


@cache
def refined(index: int = 1, tuning_steps: int = 60) -> tuple:
    """generator, faces, still, report of a face of the scene."""
    generator, encoder, clip, _ = domain()
    picture = aligned(index)[0]
    faces = run("InvertE4E", generator=generator, encoder=encoder, image=picture, refine_steps=20)[0]
    given = {"generator": generator, "faces": faces, "image": picture, "clip": clip}
    return run("RefineInversion", **given, code_steps=0, tuning_steps=tuning_steps)


@cache
def moving(index: int = 1, word: str = WORD) -> torch.Tensor:
    _, _, clip, motion_model = domain()
    generator, faces, still, _ = refined(index)
    text = run("EncodeText", clip=clip, motion_model=motion_model, text=word, negative="", image=still)[0]
    motion = run("MotionRollout", motion_model=motion_model, text=text, frames=8)[0]
    return run("SynthesizeFrames", generator=generator, faces=faces, motion=motion)[0]


@cache
def detailed(index: int = 1, word: str = WORD) -> torch.Tensor:
    return run("DetailTransfer", image=aligned(index)[0], still=refined(index)[2], frames=moving(index, word))[0]


def pasted(index: int = 1, word: str = WORD) -> torch.Tensor:
    return run("PasteBack", image=scene(), frames=detailed(index, word), alignment=aligned(index)[1])[0]


def one(image: torch.Tensor, number: int = 0) -> Image.Image:
    return pictures(image[[number]])[0]


def demo_photo() -> Image.Image:
    video = pictures(run("DemoPhoto", frames=8)[0][::2])
    return page(fitted(one(scene()), INNER), heading("frames 8: a moving camera"), strip(video, [""] * 4))


def find_faces() -> Image.Image:
    found = run("FindFaces", image=scene(), generator=domain()[0])
    return page(fitted(one(found[1]), INNER), note(found[2]))


def align_face() -> Image.Image:
    picture = one(scene())
    corners = aligned(2)[1].corners[0].tolist()
    ImageDraw.Draw(picture).polygon([tuple(corner) for corner in corners], outline=ACCENT, width=4)
    cut = fitted(one(aligned(2)[0]), 200)
    return page(beside([fitted(picture, INNER - 250), arrow(), cut], 5, middle=True))


def refine_inversion() -> Image.Image:
    generator, encoder, *_ = domain()
    picture = aligned()[0]
    guess = run("InvertE4E", generator=generator, encoder=encoder, image=picture, refine_steps=0)[1]
    shown = [one(each) for each in (picture, guess, refined()[2])]
    return page(strip(shown, ["the image", "by the encoder", "after tuning"], 3), note(refined()[3]))


def save_tuning() -> Image.Image:
    changed = refined()[0].tuned
    total = sum(weight.numel() for weight in domain()[0].model.module.parameters()) * 4 / 1e6
    size = sum(part.numel() for part in changed.tensors.values()) * 2 / 1e6
    return page(
        strip([one(refined()[2])], [""], 3),
        arrow(34, 30, down=True),
        saved("tunings/tuning"),
        note(f"{size:.1f} MB of weight changes for a generator of {total:.0f} MB, and the face's code."),
    )


def load_tuning() -> Image.Image:
    run("SaveTuning", generator=refined()[0], filename_prefix="tuning")
    (file,) = [name for name in _saved_tunings() if "tuning" in name]
    shown = []
    for strength in (0.0, 0.5, 1.0):
        generator, faces = run("LoadTuning", generator=domain()[0], file=file, strength=strength)
        motion = roll_out("smiling", frames=2)
        shown.append(one(run("SynthesizeFrames", generator=generator, faces=faces, motion=motion)[0]))
    words = [f"strength {strength}" for strength in ("0", "0.5", "1")]
    return page(saved("tunings/tuning"), arrow(34, 30, down=True), strip(shown, words, 3))


def _saved_tunings() -> list[str]:
    from draw_help_pictures import nodes

    return nodes()["LGA_LoadTuning"].INPUT_TYPES()["required"]["file"][1]["options"]


def detail_transfer() -> Image.Image:
    last = [one(each, -1) for each in (moving(), detailed())]
    shown = [one(aligned()[0]), *last]
    return page(strip(shown, ["the photo's square", "the generator's frame", "with details"], 3))


def paste_back() -> Image.Image:
    clip = pasted()
    shown = [fitted(one(clip, number), INNER) for number in (0, -1)]
    return page(heading("Without motion: the photo itself"), shown[0], heading(f"“{WORD}”"), shown[1])


def load_identity() -> Image.Image:
    node = card("Load Identity Network", [("identity", "model_ir_se50.pth")], ["identity"], 330)
    return page(
        folder(["models/lga/identity/", "  model_ir_se50.pth"]),
        arrow(34, 30, down=True),
        beside([node, lettering("→ Identity Lock, Refine Inversion, Measure Animation", 240)], 8, middle=True),
    )


def identity_lock() -> Image.Image:
    generator, _, clip, _ = domain()
    faces, motion = sampled(21)[0], roll_out("has blonde hair", 21, frames=8)
    drawn = {1: frames(faces, motion, [-1])[0]}
    for threshold in (0.8, 0.95):
        given = {"generator": generator, "faces": faces, "motion": motion, "clip": clip}
        locked, strength, _ = run("IdentityLock", **given, threshold=threshold)
        drawn[strength] = frames(faces, locked, [-1])[0]
    words = ["without lock", "threshold 0.8", "threshold 0.95"]
    captions = [f"{word}: strength {strength:.2f}" for word, strength in zip(words, drawn, strict=False)]
    return page(heading("“has blonde hair”"), strip(list(drawn.values()), captions, 3))


def read_expressions() -> Image.Image:
    ends = {"mouthSmileLeft": 0.9, "mouthSmileRight": 0.86, "eyeSquintLeft": 0.35, "jawOpen": 0.12}

    def curves(axes: Any) -> None:
        for name, end in ends.items():
            axes.plot([end * (1 - math.cos(math.pi * t / 23)) / 2 for t in range(24)], label=name, linewidth=3)
        axes.set_ylim(0, 1)
        axes.set_xlabel("frame")
        axes.legend(frameon=False)

    return page(heading("A smile, as the plot shows it"), plot(curves, 300), note("Drawn as an example."))


DRAWN: dict[str, Callable[[], Image.Image]] = {
    "LGA_DemoPhoto": demo_photo,
    "LGA_FindFaces": find_faces,
    "LGA_AlignFace": align_face,
    "LGA_RefineInversion": refine_inversion,
    "LGA_SaveTuning": save_tuning,
    "LGA_LoadTuning": load_tuning,
    "LGA_DetailTransfer": detail_transfer,
    "LGA_PasteBack": paste_back,
    "LGA_LoadIdentity": load_identity,
    "LGA_IdentityLock": identity_lock,
    "LGA_ReadExpressions": read_expressions,
}


if __name__ == "__main__":
    main(sys.argv[1:], DRAWN)
