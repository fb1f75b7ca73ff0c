"""Contact sheets of an embedded domain's motions."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import ClipModel, Domain, Generator, MotionModel

from ..reports.contact_sheets import SHOWN_FRAMES, sheet
from .attribute_map import AttributeMap
from .embedded_domain import EmbeddedDomain


@torch.no_grad()
def motion_sheets(
    described: EmbeddedDomain, domain: Domain, attribute_map: AttributeMap, out: Path, seed: int = 77
) -> None:
    """The trained sentences and the held-out ones, two sheets each."""
    lexicon = described.lexicon
    faces = described.attributes.sample_neutral(24, torch.Generator().manual_seed(seed))
    ws = domain.generator.broadcast(attribute_map.to_w(faces))
    for name, sentences in (
        ("sheet", list(lexicon.sentences.values())),
        ("sheet_held_out", list(lexicon.held_out_sentences())),
    ):
        rows = motion_rows(domain.generator, domain.clip, domain.motion, ws, sentences)
        captions = [sentence.removeprefix(f"{lexicon.subject} ") for sentence in sentences]
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
