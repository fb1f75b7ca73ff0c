"""Principal directions of W: along which a generator's faces vary, and how much. MoCoGAN-HD moves along them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from ..errors import CheckpointError, InputError
from ..formats.fingerprints import fingerprint
from ..formats.header import PathLike
from ..formats.native import load_checkpoint, save_checkpoint
from ..shapes import W
from .generator import Generator

CHUNK = 4000
NUM_SAMPLES = 100_000
"""Published: a million. From a hundred thousand the deviations come out within a few thousandths."""
KIND = "principal"


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """Orthonormal directions of W, those of the greatest variance first, and the standard deviation along each."""

    components: Float[Tensor, "p w_dim"]
    deviations: Float[Tensor, "p"]

    @property
    def directions(self) -> Float[Tensor, "p w_dim"]:
        """Each as long as faces vary along it."""
        return self.components * self.deviations[:, None]

    def to(self, device: torch.device) -> PrincipalComponents:
        """The same on another device."""
        return PrincipalComponents(self.components.to(device), self.deviations.to(device))


def principal_components(
    generator: Generator,
    num_samples: int = NUM_SAMPLES,
    folder: PathLike | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> PrincipalComponents:
    """All w_dim principal directions of W, float32, from random faces, of random labels where the generator has them.

    `folder` keeps what was found, for each generator and number of faces, so that it is found once. `on_step` is called
    with the faces done and all there are; what it raises stops.

    Raises InputError for fewer than two faces, CheckpointError for a kept file that is damaged.
    """
    if num_samples < 2:
        raise InputError(f"{num_samples} faces were asked for; their directions need at least 2.")
    if folder is None:
        return pca_from_covariance(covariance(generator, num_samples, on_step))
    made_for = fingerprint(generator)
    path = Path(folder) / f"{KIND}_{made_for}_{num_samples}.safetensors"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        found = pca_from_covariance(covariance(generator, num_samples, on_step))
        tensors = {"components": found.components, "deviations": found.deviations}
        about = {"w_dim": generator.config.w_dim, "num_samples": num_samples}
        save_checkpoint(path, KIND, tensors, about, generator_fingerprint=made_for)
    return load_components(path, generator.config.w_dim).to(generator.w_avg.device)


def load_components(path: PathLike, w_dim: int) -> PrincipalComponents:
    """Principal directions of a W of this width, from a file. Raises CheckpointError."""
    tensors = load_checkpoint(path, KIND).tensors
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    need = {"components": [w_dim, w_dim], "deviations": [w_dim]}
    if shapes != need:
        raise CheckpointError(f"{path} holds {shapes}, but {need} are needed. Delete it: it is made again.")
    return PrincipalComponents(tensors["components"], tensors["deviations"])


@torch.no_grad()
def covariance(
    generator: Generator, num_samples: int, on_step: Callable[[int, int], None] | None = None
) -> Float[Tensor, "w_dim w_dim"]:
    """Covariance of w, float64, over random faces. They are never held at once: sums are all that is kept."""
    average = generator.w_avg.double()  # near the mean, so that little is lost by subtracting it
    total, products = torch.zeros_like(average), average.new_zeros(len(average), len(average))
    rng = torch.Generator().manual_seed(0)
    for done in range(0, num_samples, CHUNK):
        w = random_w(generator, min(CHUNK, num_samples - done), rng).double() - average
        total, products = total + w.sum(dim=0), products + w.T @ w
        if on_step is not None:
            on_step(done + len(w), num_samples)
    mean = total / num_samples
    return (products - num_samples * mean.outer(mean)) / (num_samples - 1)


def random_w(generator: Generator, n: int, rng: torch.Generator, positions: Int64[Tensor, "m"] | None = None) -> W:
    """Codes [n w_dim] of random faces, of random labels where the generator has them.

    `positions`: map only these of the n, as one process of several does.
    """
    config = generator.config
    chosen = slice(None) if positions is None else positions
    z = torch.randn(n, config.z_dim, generator=rng)[chosen].to(generator.w_avg)
    if not config.c_dim:
        return generator.mapping(z)
    labels = torch.randint(config.c_dim, (n,), generator=rng)[chosen]
    return generator.mapping(z, F.one_hot(labels, config.c_dim).to(z))


def pca_from_covariance(matrix: Float[Tensor, "w_dim w_dim"]) -> PrincipalComponents:
    """Directions of a covariance matrix; of each the number that is largest in size is positive, on any machine."""
    variances, directions = torch.linalg.eigh(matrix)
    components = directions.T.flip(0)
    largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
    return PrincipalComponents((components * largest.sign()).float(), variances.flip(0).clamp_min(0).sqrt().float())


LEAST_VARIANCE = 0.01
"""Of a direction of W, in units of the mean one; directions that faces hardly vary in count as varying so much."""


@torch.no_grad()
def whitening(w: W) -> Float[Tensor, "d d"]:
    """The linear map that gives faces `w` unit variance in each direction that they vary in."""
    variances, directions = torch.linalg.eigh(torch.cov(w.T))
    used = variances[variances > 1e-4 * variances.max()].mean()
    return directions * (variances.clamp_min(0) + LEAST_VARIANCE * used).rsqrt() @ directions.T
