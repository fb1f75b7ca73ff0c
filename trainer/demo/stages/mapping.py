"""Distil the mapping network: random seeds give calm faces."""

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

from lga_core.checkpoints import save_generator

from ...reports.contact_sheets import grid
from ...training.loop import cosine
from ..embedded_domain import BuildFolder
from .generator import fresh_generator

PICTURE_SEED = 7


def distil_mapping(build: BuildFolder, steps: int, seed: int = 2) -> float:
    """Teach the mapping network the prior of calm faces; writes the whole generator to generator.safetensors.

    The first numbers of z, one per attribute, say who it is. Returns the relative mean square error.
    """
    rng = torch.Generator().manual_seed(seed)
    space, attribute_map, steps = build.domain.attributes, build.attribute_map(), build.scaled(steps)
    generator = fresh_generator(build.domain.generator)
    generator.load_state_dict(load_file(build.file("finished")))
    mapping, dim = generator.mapping, generator.config.z_dim
    # Raw weights are 1/lr_mul times larger than usual: Adam's steps have to be too.
    scale = generator.config.mapping_lr_mul
    optimizer = torch.optim.Adam(mapping.parameters(), lr=1e-2 / scale, betas=(0.9, 0.99), fused=True)
    with torch.no_grad():
        mapping.get_parameter("fc0.weight")[:, len(space) :] *= 0.02

    def goal(z: Float[Tensor, "n z_dim"]) -> Float[Tensor, "n w_dim"]:
        return attribute_map.to_w(space.from_normal(z[:, : len(space)]))

    variance = goal(torch.randn(4096, dim, generator=rng)).var(dim=0).mean()
    error = torch.zeros(())
    progress = tqdm(range(steps), desc="mapping", mininterval=5)
    for step in progress:
        optimizer.param_groups[0]["lr"] = (
            1e-2 / scale * min(1, (step + 1) / 50) * (0.003 + 0.997 * cosine(step / steps))
        )
        z = torch.randn(512, dim, generator=rng)
        error = (mapping(z) - goal(z)).square().mean() / variance
        optimizer.zero_grad(set_to_none=True)
        error.backward()
        optimizer.step()
        if step % 50 == 49:
            progress.set_postfix(error=f"{error.item():.4f}")
    with torch.no_grad():
        mapping.w_avg.copy_(mapping(torch.randn(16_384, dim, generator=rng)).mean(dim=0))
        z = torch.randn(4096, dim, generator=rng)
        relative = ((mapping(z) - goal(z)).square().mean() / variance).item()
    said = {"domain": build.domain.name, "mapping_error": relative}
    save_generator(build.file("generator"), generator.requires_grad_(False), half=True, **said)
    print(f"relative error of the mapping network: {relative:.3f}")
    return relative


def show_seeds(build: BuildFolder) -> None:
    generator = build.generator()
    z = torch.randn(64, generator.config.z_dim, generator=torch.Generator().manual_seed(PICTURE_SEED))
    with torch.no_grad():
        grid(torch.cat([generator(chunk) for chunk in z.split(16)]), 8, build.path / "generator_seeds.png")
