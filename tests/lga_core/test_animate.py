"""Frames: each is synthesis(ws + motion), drawn when it is asked for."""

import pytest
import torch
from torch.testing import assert_close

from lga_core import Generator, GeneratorConfig, MismatchError, frames


@pytest.fixture(scope="module")
def generator():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Generator(GeneratorConfig(16, z_dim=8, w_dim=8, channel_base=128, channel_max=8)).double().eval()


@pytest.fixture
def face(generator):
    return torch.randn(1, generator.num_ws, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def motion(generator):
    motion = torch.randn(1, 7, generator.num_ws, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    motion[:, 0] = 0
    return motion


def test_a_clip_is_the_synthesis_of_face_plus_motion(generator, face, motion):
    with torch.no_grad():
        expected = torch.cat([generator.synthesis(face + motion[:, t]) for t in range(7)])
    for chunk in (1, 3, 8):
        clip = list(frames(generator, face, motion, chunk))
        assert [len(images) for images in clip] == [min(chunk, 7 - start) for start in range(0, 7, chunk)]
        assert_close(torch.cat(clip), expected)


def test_where_the_motion_is_zero_the_frame_is_the_face(generator, face, motion):
    first = next(frames(generator, face, motion, chunk=1))
    with torch.no_grad():
        assert torch.equal(first, generator.synthesis(face))


def test_a_chunk_is_drawn_when_it_is_asked_for(generator, face, motion, monkeypatch):
    drawn, synthesis = [], generator.synthesis.forward
    monkeypatch.setattr(generator.synthesis, "forward", lambda ws: drawn.append(len(ws)) or synthesis(ws))
    clip = frames(generator, face, motion, chunk=3)
    assert drawn == []
    next(clip)
    assert drawn == [3]


def test_no_graph_is_kept_and_the_callers_mode_is_not_touched(generator, face, motion):
    for images in frames(generator, face, motion.requires_grad_(), chunk=3):
        assert not images.requires_grad and torch.is_grad_enabled()


@pytest.mark.parametrize("wrong", ["rows", "width", "two faces", "two motions", "no batch"])
def test_parts_of_two_domains_are_refused_at_the_call(generator, face, motion, wrong):
    ws, motion = {
        "rows": (face[:, :-1], motion),
        "width": (face, motion[..., :4]),
        "two faces": (face.repeat(2, 1, 1), motion),
        "two motions": (face, motion.repeat(2, 1, 1, 1)),
        "no batch": (face, motion[0]),
    }[wrong]
    with pytest.raises(MismatchError, match="6 style vectors of width 8"):
        frames(generator, ws, motion)
