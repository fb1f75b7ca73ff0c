"""The weights that ship: they load, they are small, and the motion keeps its promises at any length and seed."""

from pathlib import Path

import pytest
import torch

import lga_core
from lga_core import Domain, load_domain

DEMO = Path(lga_core.__file__).parent / "demo"


@pytest.fixture(scope="module")
def domain() -> Domain:
    return load_domain("doodle")


@pytest.fixture(scope="module")
def faces(domain) -> torch.Tensor:
    z = torch.randn(4, domain.generator.config.z_dim, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return domain.generator.broadcast(domain.generator.mapping(z))


def test_all_weights_together_are_below_20_megabytes():
    assert sum(path.stat().st_size for path in DEMO.iterdir()) < 20e6


@pytest.mark.parametrize("num_frames", [1, 2, 4, 16, 61])
@pytest.mark.parametrize("seed", [0, 123])
def test_the_first_frame_is_the_source_bit_for_bit(domain, faces, num_frames, seed):
    motion = domain.motion_for("smiling", faces, num_frames=num_frames, seed=seed)
    assert torch.equal(faces + motion[:, 0], faces)
    if num_frames > 1:
        assert not torch.equal(faces + motion[:, -1], faces)


@pytest.fixture(scope="module")
def pairs(domain, faces):
    """Every prompt's sentence with every face: embeddings [prompts * faces c]."""
    text = domain.clip.encode_text(list(domain.wording.sentences.values()))
    with torch.no_grad():
        pictures = domain.clip.encode_images(domain.generator.synthesis(faces))
    return text.repeat_interleave(len(faces), dim=0), pictures.repeat(len(text), 1)


def test_amount_of_motion_does_not_depend_on_the_number_of_frames(domain, pairs):
    length = {t: domain.motion(*pairs, t)[:, -1].flatten(1).norm(dim=1) for t in (4, 8, 16, 32, 64, 128)}
    by_prompt = {t: lengths.unflatten(0, (len(domain.prompts), -1)).mean(dim=1) for t, lengths in length.items()}
    for t, found in by_prompt.items():
        assert (found / by_prompt[4] - 1).abs().max() < 0.12, t


def test_no_first_step_jump(domain, pairs):
    steps = domain.motion(*pairs, 16).diff(dim=1).flatten(2).norm(dim=2)
    assert (steps[:, 0] / steps.sum(dim=1)).mean() <= 1.3 / 15


def test_random_seeds_draw_whole_faces(domain):
    """A broken face is far from every other: each picture lies near the average one."""
    z = torch.randn(64, domain.generator.config.z_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        pictures = torch.cat([domain.generator(chunk) for chunk in z.split(16)])
    assert pictures.isfinite().all()
    assert pictures.abs().amax() < 2
    distance = (pictures - pictures.mean(dim=0)).square().mean(dim=(1, 2, 3)).sqrt()
    assert distance.max() < 2 * distance.median()


def test_an_inversion_is_refined_unless_told_not_to(domain, faces):
    with torch.no_grad():
        pictures = domain.generator.synthesis(faces).clamp(-1, 1)
        encoded, refined = (
            (domain.generator.synthesis(ws) - pictures).square().mean(dim=(1, 2, 3))
            for ws in (domain.invert(pictures, refine_steps=0), domain.invert(pictures))
        )
        assert torch.equal(domain.invert(pictures, refine_steps=0), domain.encoder(pictures))
    assert (refined < 0.8 * encoded).all()
