"""Draws the pictures of the help pages of the nodes that ours are compared with: see draw_help_pictures.py.

python docs/draw_baseline_pictures.py [LGA_RandomMotion ...]

What Global Direction finds out about the generator takes minutes, and is kept in out/help for the next time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from draw_help_pictures import (
    FACE,
    INNER,
    ROOT,
    domain,
    fitted,
    frames,
    heading,
    main,
    note,
    page,
    pictures,
    roll_out,
    run,
    sampled,
    strip,
)
from PIL import Image

SMILING = "The cartoon face is smiling."


@cache
def edited(weights: str, steps: int, words: str = SMILING) -> tuple:
    """motion, image and report of StyleCLIP Edit."""
    generator, _, clip, _ = domain()
    given = {"generator": generator, "faces": sampled(FACE)[0], "clip": clip, "text": words}
    return run("StyleClipEdit", **given, weights=weights, steps=steps)


def styleclip_edit() -> Image.Image:
    way = frames(sampled(FACE)[0], edited("styleclip", 100)[0], (0, 5, 10, 15))
    ends = {"25 steps": ("styleclip", 25), "100 steps": ("styleclip", 100), "paper, 100": ("paper", 100)}
    last = [pictures(edited(*given)[1])[0] for given in ends.values()]
    return page(
        heading("“smiling”: the straight way, 16 frames"),
        strip(way, [f"frame {number}" for number in (0, 5, 10, 15)]),
        heading("The last frame"),
        strip([*last, pictures(sampled(FACE)[1])[0]], [*ends, "the face"]),
        note(edited("styleclip", 100)[2]),
    )


def directed(words: str, **more: Any) -> tuple:
    """motion and report of Global Direction."""
    here = Path("models")
    if not here.exists():
        kept = ROOT / "out" / "help" / "models"
        kept.mkdir(parents=True, exist_ok=True)
        here.symlink_to(kept, target_is_directory=True)
    generator, _, clip, _ = domain()
    return run("GlobalDirection", generator=generator, clip=clip, target=f"The cartoon face {words}.", **more)


def turned(words: str, **more: Any) -> Image.Image:
    return frames(sampled(FACE)[0], directed(words, **more)[0], [-1])[0]


def global_direction() -> Image.Image:
    alphas, betas = (-3.0, 1.5, 3.0, 6.0), (0.1, 0.2, 0.3, 0.4)
    others = ("is surprised", "is angry", "has blonde hair", "is closing eyes")
    return page(
        heading("alpha, for “smiling”"),
        strip([turned("is smiling", alpha=alpha) for alpha in alphas], [f"{alpha:g}" for alpha in alphas]),
        note(directed("is smiling")[1]),
        heading("beta, for “smiling” at alpha 3"),
        strip([turned("is smiling", beta=beta) for beta in betas], [f"{beta:g}" for beta in betas]),
        heading("Other texts, at alpha 10"),
        strip([turned(words, alpha=10.0) for words in others], [words.removeprefix("is ") for words in others]),
    )


def random_walk(**more: Any) -> Image.Image:
    given = {"generator": domain()[0], "faces": sampled(FACE)[0], "seed": 1}
    at = (0, 6, 12, 17, 23)
    return strip(frames(sampled(FACE)[0], run("RandomMotion", **given, **more)[0], at), list(map(str, at)), 5)


def random_motion() -> Image.Image:
    return page(
        heading("strength 0.3"),
        random_walk(strength=0.3),
        heading("strength 1"),
        random_walk(strength=1.0),
        heading("smoothness 0, strength 1"),
        random_walk(strength=1.0, smoothness=0.0),
        note("Without a model: untrained, not MoCoGAN-HD."),
    )


def measure_animation() -> Image.Image:
    motion = roll_out("smiling", FACE, frames=24)
    given = {"generator": domain()[0], "faces": sampled(FACE)[0], "motion": motion}
    clip = run("SynthesizeFrames", **given)[0]
    plot, report = run("MeasureAnimation", frames=clip, words=SMILING, clip=domain()[2])["result"]
    return page(fitted(pictures(plot)[0], INNER), note("\n".join(report.splitlines()[:6])))


DRAWN: dict[str, Callable[[], Image.Image]] = {
    "LGA_StyleClipEdit": styleclip_edit,
    "LGA_GlobalDirection": global_direction,
    "LGA_RandomMotion": random_motion,
    "LGA_MeasureAnimation": measure_animation,
}


if __name__ == "__main__":
    main(sys.argv[1:], DRAWN)
