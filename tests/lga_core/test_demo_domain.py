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


def test_amount_of_motion_does_not_depend_on_the_number_of_frames(domain, faces):
    for prompt in domain.prompts:
        length = {t: domain.motion_for(prompt, faces, num_frames=t)[:, -1].norm() for t in (4, 8, 16, 32, 64, 128)}
        for t, found in length.items():
            assert found == pytest.approx(length[4].item(), rel=0.12), (prompt, t)


def test_no_first_step_jump(domain, faces):
    shares = []
    for prompt in domain.prompts:
        steps = domain.motion_for(prompt, faces, num_frames=16).diff(dim=1).flatten(2).norm(dim=2)
        shares.append((steps[:, 0] / steps.sum(dim=1)).mean().item())
    assert sum(shares) / len(shares) <= 1.3 / 15


def test_random_seeds_draw_whole_faces(domain):
    """A broken face is far from every other: each picture lies near the average one."""
    z = torch.randn(64, domain.generator.config.z_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        pictures = torch.cat([domain.generator(chunk) for chunk in z.split(16)])
    assert pictures.isfinite().all()
    assert pictures.abs().amax() < 2
    distance = (pictures - pictures.mean(dim=0)).square().mean(dim=(1, 2, 3)).sqrt()
    assert distance.max() < 2 * distance.median()
