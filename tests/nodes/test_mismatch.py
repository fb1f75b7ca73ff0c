"""Parts that do not belong together: the message names both sides."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable

import pytest
import torch
from pack import core, run


def drawn(at, faces, motion) -> None:
    for id_ in ("LGA_PreviewMotion", "LGA_SynthesizeFrames"):
        try:
            run(id_, generator=at.generator, faces=faces, motion=motion)
        except core.MismatchError as err:
            said = str(err)
        else:
            raise AssertionError(f"{id_} drew them")
    raise core.MismatchError(said)


def still(frames: int = 3, n: int = 1, rows: int = 6, width: int = 16, owner=None):
    return core.Movement(torch.zeros(n, frames, rows, width), owner)


def inverted(tiny, encoder) -> None:
    run("LGA_InvertE4E", generator=tiny.generator, encoder=encoder, image=torch.rand(1, 20, 20, 3))


def encoder_of(rows: int, tiny):
    """An encoder that does not say which generator it was made for."""
    config = {"input_size": 32, "widths": (4,) * 4, "units": (1,) * 4, "heads": "dense", "dense_pool": 2}
    model = core.Encoder(core.inversion.EncoderConfig(num_ws=rows, w_dim=16, **config)).eval()
    return type(tiny.encoder)(type(tiny.encoder.model)(model), "nameless", None)


CASES: dict[str, tuple[Callable, list[str]]] = {
    "faces of another generator": (
        lambda a, b: drawn(a, b.faces(), a.motion()),
        ["faces were made for", "'other'", "{b.generator}", "'tiny'", "{a.generator}"],
    ),
    "a motion of another generator": (
        lambda a, b: drawn(a, a.faces(), b.motion()),
        ["motion was made for", "'other'", "{b.generator}", "'tiny'", "{a.generator}"],
    ),
    "a motion for more rows": (
        lambda a, b: drawn(a, a.faces(), still(rows=18)),
        ["motion has 18 style vectors", "1024 px", "but 6 (16 px)"],
    ),
    "a motion for wider rows": (lambda a, b: drawn(a, a.faces(), still(width=32)), ["32 numbers wide", "are 16"]),
    "faces with more rows": (
        lambda a, b: drawn(a, core.Faces(torch.zeros(1, 18, 16), a.generator.identity), still(rows=18)),
        ["faces have 18 style vectors", "but 6 (16 px)"],
    ),
    "two faces and a motion for three": (
        lambda a, b: drawn(a, a.faces(2), still(n=3)),
        ["offsets for each of 3 faces", "but there are 2 faces"],
    ),
    "faces of two generators, blended": (
        lambda a, b: run("LGA_BlendFaces", faces_a=a.faces(), faces_b=b.faces()),
        ["'tiny'", "{a.generator}", "'other'", "{b.generator}"],
    ),
    "two faces and three, blended": (
        lambda a, b: run("LGA_BlendFaces", faces_a=a.faces(2), faces_b=a.faces(3)),
        ["2 faces", "3"],
    ),
    "motions of two generators, blended": (
        lambda a, b: run("LGA_BlendMotions", motion_a=a.motion(), motion_b=b.motion()),
        ["'tiny'", "{a.generator}", "'other'", "{b.generator}"],
    ),
    "motions with other rows, blended": (
        lambda a, b: run("LGA_BlendMotions", motion_a=a.motion(), motion_b=still(rows=18)),
        ["6 style vectors", "18"],
    ),
    "motions for two faces and three, blended": (
        lambda a, b: run("LGA_BlendMotions", motion_a=still(n=2), motion_b=still(n=3)),
        ["2 faces", "3"],
    ),
    "an expression after one of another generator": (
        lambda a, b: run("LGA_ChainExpressions", motion_model=a.motion_model, text=a.text(), previous=b.motion()),
        ["'tiny'", "{a.generator}", "'other'", "{b.generator}"],
    ),
    "the neutral face after a motion of another generator": (
        lambda a, b: run("LGA_ChainExpressions", motion_model=a.motion_model, previous=b.motion()),
        ["'tiny'", "{a.generator}", "'other'", "{b.generator}"],
    ),
    "a CLIP that the motion model was not trained with": (
        lambda a, b: run("LGA_EncodeText", clip=b.clip, motion_model=a.motion_model),
        ["motion model 'tiny' was trained with", "{a.clip}", "'other'", "{b.clip}"],
    ),
    "a text from another CLIP": (
        lambda a, b: run("LGA_MotionRollout", motion_model=a.motion_model, text=b.text()),
        ["motion model 'tiny' was trained with", "{a.clip}", "'other'", "{b.clip}"],
    ),
    "a text from another CLIP in a chain": (
        lambda a, b: run("LGA_ChainExpressions", motion_model=a.motion_model, text=b.text()),
        ["motion model 'tiny' was trained with", "{a.clip}", "'other'", "{b.clip}"],
    ),
    "an encoder of another generator": (
        lambda a, b: inverted(a, b.encoder),
        ["encoder 'other' was made for", "{b.generator}", "'tiny'", "{a.generator}"],
    ),
    "an encoder for more rows": (
        lambda a, b: inverted(a, encoder_of(12, a)),
        ["encoder 'nameless' gives 12 style vectors", "'tiny' needs 6"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_both_sides_are_named_of(case, tiny, other):
    make, words = CASES[case]
    with pytest.raises(core.MismatchError) as caught:
        make(tiny, other)
    marks = {
        f"{{{side}.{part}}}": getattr(of, part).identity.fingerprint
        for side, of in (("a", tiny), ("b", other))
        for part in ("generator", "clip")
    }
    said = str(caught.value)
    assert not [word for word in words if marks.get(word, word) not in said], said


def test_a_motion_that_says_no_generator_goes_with_faces_of_its_size(tiny):
    frames, _ = run("LGA_SynthesizeFrames", generator=tiny.generator, faces=tiny.faces(2), motion=still())
    assert frames.shape == (3, 16, 32, 3)


@pytest.mark.parametrize("parts", [["encoder"], ["clip"], ["generator"], ["generator", "encoder"]])
def test_a_domain_of_parts_that_do_not_belong_together_is_refused(parts, models, here):
    shutil.copytree(models, here / "models")
    file = here / "models/lga/domains/tiny/domain.json"
    card = json.loads(file.read_text())
    card["files"] |= {part: card["files"][part].replace("tiny", "other") for part in parts}
    file.write_text(json.dumps(card))
    with pytest.raises(core.MismatchError) as caught:
        run("LGA_LoadDomain", domain="tiny/domain.json")
    assert len(re.findall(r"\([0-9a-f]{16}\)", str(caught.value))) == 2
