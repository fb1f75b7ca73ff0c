"""The main job: one face and a few words in, a clip and a contact sheet of it out."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from lga_core import (
    Domain,
    Generator,
    check_writable,
    evenly,
    fit_square,
    frames,
    load_domain,
    load_image,
    write_clip,
    write_contact_sheet,
)

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
    domain: str = "doodle",
) -> tuple[Path, Path]:
    """Animates the face in `image`, or else the one that the seed `face` draws at truncation `psi`; the files written.

    `seed` is of the motion's first state. Raises an LgaError for whatever a person can put right.
    """
    sheet = out.with_name(f"{out.stem}_sheet.png")
    check_writable(sheet)
    picture = None if image is None else load_image(image)

    def drawn() -> Iterator[Float[Tensor, "k c h w"]]:
        # Nothing of this begins before write_clip has found that it can write.
        model = load_domain(domain)
        ws = draw_face(model.generator, face, psi) if picture is None else model.invert(picture)
        warn_if_far(model, prompt)
        yield from frames(model.generator, ws, model.motion_for(prompt, ws, num_frames, strength, seed))

    shown: list[Float[Tensor, "c h w"]] = []
    write_clip(out, _watched(drawn(), num_frames, shown), fps)
    source = None if picture is None else fit_square(picture, shown[0].shape[-1])
    write_contact_sheet(sheet, torch.stack(shown), prompt, source)
    return out, sheet


def draw_face(generator: Generator, seed: int, psi: float) -> Float[Tensor, "1 num_ws w_dim"]:
    """The face that `seed` stands for, drawn toward the average one where `psi` is below 1."""
    z = torch.randn(1, generator.config.z_dim, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return generator.truncate(generator.broadcast(generator.mapping(z)), psi)


def _watched(
    chunks: Iterable[Float[Tensor, "k c h w"]], num_frames: int, shown: list[Float[Tensor, "c h w"]]
) -> Iterator[Float[Tensor, "k c h w"]]:
    """Passes `chunks` on, with a progress bar, and puts those frames that a contact sheet shows into `shown`."""
    wanted = set(evenly(num_frames, NUM_ON_SHEET))
    index = itertools.count()
    with tqdm(total=num_frames, desc="frames", unit="frame", disable=None) as bar:
        for chunk in chunks:
            shown += [image for image in chunk if next(index) in wanted]
            yield chunk
            bar.update(len(chunk))


@torch.no_grad()
def warn_if_far(domain: Domain, prompt: str) -> None:
    """Warns where `prompt` resembles no trained prompt.

    Far is less than halfway from how much two trained prompts resemble each other, in the mean, to identity: unlike
    sentences have cosines of 0.9 in one CLIP and 0.2 in another, so that no fixed bound serves.
    """
    sentences = list(domain.sentences.values())
    if domain.sentence(prompt) in sentences:
        return
    nearest = domain.nearest(prompt)
    embeddings = domain.clip.encode_text(sentences)  # [n c]
    n = len(embeddings)
    unlike = ((embeddings @ embeddings.T).sum() - n) / max(n * n - n, 1)
    if nearest[0][1] < (1 + unlike) / 2:
        names = ", ".join(repr(known) for known, _ in nearest[:3])
        warnings.warn(
            f"{prompt!r} is far from every prompt that this domain was trained on, and may do little or anything. "
            f"The nearest are {names}.",
            stacklevel=2,
        )
