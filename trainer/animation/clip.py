"""`lga animate`: one face and a few words -> a video and its contact sheet."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from lga_core import frames, load_domain, load_image, write_clip
from lga_core.demo import DEFAULT_DOMAIN
from lga_core.imaging import check_writable, evenly, fit_square, write_contact_sheet
from lga_core.stylegan2.inference import fastest_dtype

from .photo import PhotoFace, find_scene

NUM_ON_SHEET = 8


def animate(
    prompt: str,
    *,
    image: Path | None = None,
    face: int = 0,
    psi: float = 0.7,
    out: Path = Path("clip.mp4"),
    num_frames: int = 16,
    fps: float = 10.0,
    strength: float = 1.0,
    seed: int = 0,
    domain: str = DEFAULT_DOMAIN,
    full_precision: bool = False,
    in_photo: PhotoFace | None = None,
) -> tuple[Path, Path]:
    """Animate a face and write the video `out` and a contact sheet beside it; returns both paths.

    Args:
        prompt: what the face should do, such as "smiling".
        image: a picture of the face; None samples one from the seed `face` at truncation `psi`.
        fps: frames a second. strength: scale of the motion; 0 is still, 1 as trained.
        seed: random seed of the recurrent generator's first hidden state.
        domain: name of an embedded domain, or the folder of one.
        full_precision: draw in 32 bits; otherwise in the fastest precision of the hardware.
        in_photo: detect the face in the image, animate it and blend it back; None: the image is an aligned face.

    Raises InputError, CheckpointError, MismatchError, DrawingError or OutputError, each with a remedy in its message.
    """
    sheet = out.with_name(f"{out.stem}_sheet.png")
    check_writable(sheet)
    picture = None if image is None else load_image(image)

    def drawn() -> Iterator[Float[Tensor, "k c h w"]]:
        # Runs only once write_clip has checked that it can write.
        model = load_domain(domain)
        model.wording.warn_if_far(model.clip, prompt)
        scene = None
        if picture is None:
            ws = model.generator.sample([face], psi)
        elif in_photo is None:
            ws = model.invert(picture)
        else:
            scene = find_scene(picture, model, in_photo)
            model, ws = scene.domain, scene.ws
        motion = model.motion_for(prompt, ws, num_frames, strength, seed)
        dtype = None if full_precision else fastest_dtype(ws.device)
        faces = frames(model.generator, ws, motion, dtype=dtype)
        yield from faces if scene is None else scene.with_faces(faces)

    shown: list[Float[Tensor, "c h w"]] = []
    write_clip(out, _watched(drawn(), num_frames, shown), fps)
    source = None if picture is None or in_photo is not None else fit_square(picture, shown[0].shape[-1])
    write_contact_sheet(sheet, torch.stack(shown), prompt, source)
    return out, sheet


def _watched(
    chunks: Iterable[Float[Tensor, "k c h w"]], num_frames: int, shown: list[Float[Tensor, "c h w"]]
) -> Iterator[Float[Tensor, "k c h w"]]:
    """Yield `chunks` under a progress bar, and append the frames of the contact sheet to `shown`."""
    wanted = set(evenly(num_frames, NUM_ON_SHEET))
    index = itertools.count()
    with tqdm(total=num_frames, desc="frames", unit="frame", disable=None) as bar:
        for chunk in chunks:
            shown += [image.clone() for image in chunk if next(index) in wanted]  # not the whole chunk
            yield chunk
            bar.update(len(chunk))
