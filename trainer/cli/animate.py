"""`lga animate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from lga_core import InputError
from lga_core.demo import DEFAULT_DOMAIN

from .arguments import DIR, Domain, Metavar, Seed, between

PSI = 0.7
IN_PHOTO = "Photographs"
USAGE = """\
usage: lga animate IMAGE "smiling" [options]
       lga animate --face SEED "smiling" [options]"""
WORDS = """Image file that shows the face, and text that says what the face should do. With --face, the text alone."""

animate = App("animate", usage=USAGE, help_flags=(), version_flags=())


@animate.default
def run(
    *words: Annotated[str, Parameter("IMAGE PROMPT", help=WORDS)],
    out: Annotated[
        Path, Parameter(help="Video to write: .mp4, .webp or .gif. Its contact sheet is written beside it.")
    ] = Path("clip.mp4"),
    frames: Annotated[int, Parameter(help="Number of frames in the video."), between(2, 100_000)] = 16,
    fps: Annotated[float, Parameter(help="Frames per second."), between(0.01, 240)] = 10.0,
    strength: Annotated[
        float,
        Parameter(help="Strength of the motion: 0 is still, 1 is as trained."),
        between(-10, 10),
    ] = 1.0,
    seed: Annotated[Seed, Parameter(help="Random seed of the motion's initial hidden state.")] = 0,
    domain: Domain = DEFAULT_DOMAIN,
    face: Annotated[
        Seed | None,
        Metavar("SEED"),
        Parameter(help="Generate the face from this random seed instead of reading an image."),
    ] = None,
    psi: Annotated[
        float | None,
        Parameter(
            help="Truncation of the face that --face generates: 0 is the average face, 1 has the full variety.",
            show_default=str(PSI),
        ),
        between(-2, 2),
    ] = None,
    full_precision: Annotated[
        bool, Parameter(help="Synthesize in 32-bit precision even where 16 bits are faster.", negative=())
    ] = False,
    photo: Annotated[
        bool,
        Parameter(help="Detect the face in a photograph, animate it and paste it back.", negative=(), group=IN_PHOTO),
    ] = False,
    pick: Annotated[
        int | None,
        Parameter(
            help="Which detected face to animate, counted from left to right from 0.",
            group=IN_PHOTO,
            show_default="the largest",
        ),
        between(0, 999),
    ] = None,
    points: Annotated[
        str | None,
        Metavar("POINTS"),
        Parameter(
            help='Landmarks to use where no face is detected: "x,y x,y ..." of eyes, nose and mouth corners.',
            group=IN_PHOTO,
        ),
    ] = None,
    tune: Annotated[
        int | None,
        Parameter(
            help="Steps of pivotal tuning (PTI), which fine-tunes the generator on this face.",
            group=IN_PHOTO,
            show_default="0",
        ),
        between(0, 2000),
    ] = None,
    face_models: Annotated[
        Path | None,
        DIR,
        Parameter(
            help="Folder of the face detectors' model files.",
            group=IN_PHOTO,
            show_default="models/lga/face",
        ),
    ] = None,
) -> None:
    """Animate the face in an image, or one generated from a seed, with a text prompt.

    Writes the video and, beside it, a contact sheet of its frames.
    """
    _check_photo_options(photo, face, pick=pick, points=points, tune=tune, face_models=face_models)
    image, prompt = _image_and_prompt(words, face, psi)

    from ..animation.clip import animate
    from ..animation.photo import PhotoFace
    from ..data.alignment import FACE_MODELS

    video, sheet = animate(
        prompt,
        image=image,
        face=face or 0,
        psi=PSI if psi is None else psi,
        out=out,
        num_frames=frames,
        fps=fps,
        strength=strength,
        seed=seed,
        domain=domain,
        full_precision=full_precision,
        in_photo=PhotoFace(pick, points, face_models or FACE_MODELS, tune or 0) if photo else None,
    )
    print(f"video:         {video.resolve()}")
    print(f"contact sheet: {sheet.resolve()}")


def _check_photo_options(photo: bool, face: int | None, **options: object) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given and not photo:
        raise InputError(f"--{given[0].replace('_', '-')} is for photographs: add --photo.")
    if photo and face is not None:
        raise InputError("--photo reads an image, and --face generates one. Give one of them.")
    if {"pick", "points"} <= {*given}:
        raise InputError("--pick and --points both say which face to animate. Give one of them.")


def _image_and_prompt(words: tuple[str, ...], face: int | None, psi: float | None) -> tuple[Path | None, str]:
    if face is not None:
        if len(words) != 1:
            raise InputError(f'--face needs one text and no image, as in: lga animate --face {face} "smiling".')
        return None, words[0]
    if len(words) != 2:
        found = " and ".join(map(repr, words)) or "neither"
        raise InputError(f'An image and one text are needed, as in: lga animate face.png "smiling". Found {found}.')
    if psi is not None:
        raise InputError("--psi is for faces that --face generates. An image is animated as it is.")
    return Path(words[0]), words[1]
