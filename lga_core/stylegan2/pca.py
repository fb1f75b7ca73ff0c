"""PCA of W (GANSpace, MoCoGAN-HD): principal components of a generator's codes w; covariance and samples of W."""

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
    """PCA of W: orthonormal components [p w_dim] by decreasing variance, and standard deviations [p] along them."""

    components: Float[Tensor, "p w_dim"]
    deviations: Float[Tensor, "p"]

    @property
    def directions(self) -> Float[Tensor, "p w_dim"]:
        """Components scaled by their standard deviations."""
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
    """PCA of W: all w_dim principal components, float32, of random codes w (random labels in a conditional generator).

    Args:
        generator: whose mapping network is sampled.
        num_samples: number of codes, at least 2.
        folder: cache, one file per generator and number of samples; None: no cache.
        on_step: called with the codes done and `num_samples`; an exception it raises stops the computation.

    Raises InputError for fewer than two samples, CheckpointError for a damaged cache file.
    """
    if num_samples < 2:
        raise InputError(f"num_samples is {num_samples}; a PCA needs at least 2 samples.")
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
    """Principal components of a W of width `w_dim`, from a cache file. Raises CheckpointError."""
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
    """Covariance of random codes w, float64, from running sums: the codes are never in memory at once."""
    average = generator.w_avg.double()  # near the mean, so that subtracting it loses little precision
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
    """Random codes w = mapping(z), z ~ N(0, I), [n w_dim], with random labels in a conditional generator.

    `positions` [m]: map only these of the n draws, as each of several processes does; returns [m w_dim].
    """
    config = generator.config
    chosen = slice(None) if positions is None else positions
    z = torch.randn(n, config.z_dim, generator=rng)[chosen].to(generator.w_avg)
    if not config.c_dim:
        return generator.mapping(z)
    labels = torch.randint(config.c_dim, (n,), generator=rng)[chosen]
    return generator.mapping(z, F.one_hot(labels, config.c_dim).to(z))


def pca_from_covariance(matrix: Float[Tensor, "w_dim w_dim"]) -> PrincipalComponents:
    """Eigenvectors and standard deviations of a covariance matrix; the largest entry of each component is positive."""
    variances, directions = torch.linalg.eigh(matrix)
    components = directions.T.flip(0)
    largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
    return PrincipalComponents((components * largest.sign()).float(), variances.flip(0).clamp_min(0).sqrt().float())


VARIANCE_FLOOR = 0.01
"""Added to the variance of each direction of W, in units of the mean variance: hardly used directions count so much."""


def covariance_power(w: W, floor: float = VARIANCE_FLOOR, power: float = 0.5) -> Float[Tensor, "w_dim w_dim"]:
    """Covariance of codes `w` [n w_dim] to a power, in units of the mean variance of the directions in use.

    Power -1/2 whitens: codes get unit variance in every direction in use. Power 1/2 colours: white noise becomes
    differences between faces. `floor` is added to each direction's variance.
    """
    variances, directions, mean = _spectrum(w)
    return directions * (variances / mean + floor) ** power @ directions.T


@torch.no_grad()
def whitening(w: W) -> Float[Tensor, "w_dim w_dim"]:
    """The linear map that gives codes `w` [n w_dim] unit variance in each direction in use, in units of W itself."""
    variances, directions, mean = _spectrum(w)
    return directions * (variances + VARIANCE_FLOOR * mean).rsqrt() @ directions.T


def _spectrum(w: W) -> tuple[Float[Tensor, "w_dim"], Float[Tensor, "w_dim w_dim"], Float[Tensor, ""]]:
    """Variances and directions of codes `w`, and the mean variance of the directions in use."""
    variances, directions = torch.linalg.eigh(torch.cov(w.T))
    return variances.clamp_min(0), directions, variances[variances > 1e-4 * variances.max()].mean()
