"""The doodle generator: a real StyleGAN2 whose W is a fixed linear image of the renderer's attributes.

w = standardised attributes times a fixed matrix with orthogonal rows (rms 1). Synthesis is distilled from the
renderer, coarse to fine, and finished against a discriminator; the mapping network is distilled afterwards on vectors
alone, from a prior of calm faces.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from lga_core import Generator, GeneratorConfig

from ....training.loop import cosine, follow
from ..rendering.attributes import NUM_ATTRIBUTES, columns, sample
from ..rendering.render_dataset import Renders
from .training_synthesis import compiled_epilogues, final_image, synthesis_images

CONFIG = GeneratorConfig(resolution=128, channel_base=4096, channel_max=160, mapping_layers=4)


@dataclass(frozen=True)
class AttributeMap:
    """Attributes [n k] <-> W [n w_dim]: `mean`, `deviation` [k] and `basis` [k w_dim] with orthogonal rows."""

    mean: Tensor
    deviation: Tensor
    basis: Tensor

    def to_w(self, attributes: Float[Tensor, "n k"]) -> Float[Tensor, "n d"]:
        return ((attributes - self.mean) / self.deviation).clamp(-4, 4) @ self.basis

    def outside(self, w: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """The part of w that no attribute explains."""
        k, d = self.basis.shape
        return w - w @ (self.basis.T @ self.basis) * (k / d)

    def without(self, w: Float[Tensor, "*n d"], names: Sequence[str]) -> Float[Tensor, "*n d"]:
        """w less its part along the attributes `names`."""
        rows = self.basis[columns(tuple(names))]
        return w - w @ (rows.T @ rows) * (len(self.basis) / self.basis.shape[1])

    def save(self, path: Path) -> None:
        save_file({"mean": self.mean, "deviation": self.deviation, "basis": self.basis.contiguous()}, path)

    @classmethod
    def load(cls, path: Path) -> "AttributeMap":
        return cls(**load_file(path))

    @classmethod
    def create(cls, seed: int = 5, w_dim: int = 512) -> "AttributeMap":
        rng = torch.Generator().manual_seed(seed)
        attributes, _ = sample(8192, rng)
        basis = torch.linalg.qr(torch.randn(w_dim, NUM_ATTRIBUTES, generator=rng))[0].T
        basis = basis * math.sqrt(w_dim / NUM_ATTRIBUTES)
        return cls(attributes.mean(dim=0), attributes.std(dim=0), basis.contiguous())


@dataclass(frozen=True)
class Stage:
    """`images` training images at `resolution`, the learning rate falling from `lr` to `lr_end` by a cosine."""

    resolution: int
    batch: int
    images: int
    lr: float
    lr_end: float


STAGES = (Stage(32, 32, 20_000, 1e-2, 6e-3), Stage(64, 16, 26_000, 9e-3, 6e-3), Stage(128, 12, 90_000, 8e-3, 3e-4))
EMA_DECAY = 0.998


def train_synthesis(renders: Renders, attribute_map: AttributeMap, folder: Path, stages=STAGES, seed: int = 0) -> None:
    """Distil the renderer into synthesis. Writes folder/synthesis.safetensors; resumes from the stage it was in."""
    rng = torch.Generator().manual_seed(seed)
    generator, average = fresh_generator(seed), fresh_generator(seed)
    epilogues = compiled_epilogues()
    targets = attribute_map.to_w(renders.attributes)
    weights, maps = trained_tensors(generator)
    optimizer = torch.optim.Adam(
        [{"params": weights, "scale": 1.0}, {"params": maps, "scale": 0.5}], lr=1e-2, betas=(0.8, 0.99), fused=True
    )
    step = 0
    for stage in stages:
        done = folder / f"synthesis_{stage.resolution}.safetensors"
        if done.exists():
            average.load_state_dict(load_file(done))
            generator.load_state_dict(load_file(done))
            continue
        steps = stage.images // stage.batch
        progress = tqdm(range(steps), desc=f"synthesis {stage.resolution} px", mininterval=5)
        for i in progress:
            warm = min(1.0, (i + 1) / 30)
            lr = warm * (stage.lr_end + (stage.lr - stage.lr_end) * cosine(i / steps))
            for group in optimizer.param_groups:
                group["lr"] = lr * group["scale"]
            indices = torch.randint(renders.num_train, (stage.batch,), generator=rng)
            ws = noisy(targets[indices], attribute_map, generator.num_ws, rng)
            images = list(synthesis_images(generator, ws, stage.resolution, epilogues=epilogues))
            loss = pyramid_loss(images, renders.batch(indices))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            step += 1
            follow(average, generator, min(EMA_DECAY, (step + 1) / (step + 30)))
            if i % 200 == 199:
                score = psnr(average, renders, targets, stage.resolution, 64).mean()
                progress.set_postfix(loss=f"{loss.item():.4f}", psnr=f"{score:.2f}")
            if i % 2000 == 1999:
                save_file(average.state_dict(), folder / "synthesis_running.safetensors")
        score = psnr(average, renders, targets, stage.resolution)
        print(f"{stage.resolution} px: PSNR {score.mean():.2f} dB, worst 5 % {score.quantile(0.05):.2f}", flush=True)
        save_file(average.state_dict(), done)
    save_file(average.state_dict(), folder / "synthesis.safetensors")


def fresh_generator(seed: int) -> Generator:
    generator = Generator(CONFIG, seed)
    with torch.no_grad():
        for name, parameter in generator.synthesis.named_parameters():
            if name.endswith("affine.weight"):
                parameter.mul_(0.3)
            if name.endswith("noise_strength"):
                parameter.fill_(1.0)
        for name, buffer in generator.synthesis.named_buffers():
            if name.endswith("noise_const"):
                buffer.zero_()
    return generator


def trained_tensors(generator: Generator) -> tuple[list[nn.Parameter], list[Tensor]]:
    """Weights, and the constant noise maps, which are learned here (rain and clouds stand in them)."""
    weights = [p for name, p in generator.synthesis.named_parameters() if not name.endswith("noise_strength")]
    maps = [buffer.requires_grad_() for name, buffer in generator.synthesis.named_buffers() if "noise_const" in name]
    return weights, maps


def noisy(w: Float[Tensor, "n d"], attribute_map: AttributeMap, num_ws: int, rng: torch.Generator, size: float = 0.1):
    """W+ rows around w, disturbed per row in the directions that no attribute explains: they should draw nothing."""
    noise = size * torch.randn(len(w), num_ws, w.shape[1], generator=rng)
    return w[:, None] + attribute_map.outside(noise)


def face_weight(resolution: int) -> Float[Tensor, "1 1 h w"]:
    """1 everywhere plus 5 where the features are: thin strokes are a minority of pixels, and mouths vanish without."""
    axis = (torch.arange(resolution) + 0.5) / resolution * 2 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return (1 + 5 * torch.exp(-(((x / 0.45) ** 2 + ((y - 0.18) / 0.48) ** 2) ** 2)))[None, None]


def pyramid_loss(images: list[Tensor], target: Float[Tensor, "n 3 h w"], edges: float = 6.0) -> Tensor:
    """L1 + 0.7 MSE + 0.5 gradient L1, weighted toward the face and toward edges; a quarter on lower resolutions."""
    size = images[-1].shape[-1]
    target = F.avg_pool2d(target, target.shape[-1] // size) if size < target.shape[-1] else target
    total = torch.zeros(())
    for image in reversed(images):
        if image.shape[-1] < 16:
            break
        if image.shape[-1] != target.shape[-1]:
            target = F.avg_pool2d(target, 2)
        smooth = F.avg_pool2d(F.pad(target, (4, 4, 4, 4), mode="replicate"), 9, 1)
        edge = ((target - smooth).abs().mean(dim=1, keepdim=True) * 5).clamp(max=1)
        weight = 0.6 * face_weight(image.shape[-1]) + (edges * edge if size >= 64 else 0.6)
        error = image - target
        weighted = error * weight
        gradient = weighted.diff(dim=3).abs().mean() + weighted.diff(dim=2).abs().mean()
        scale = 1.0 if image.shape[-1] == size else 0.25
        total = total + scale * (weighted.abs().mean() + 0.7 * (error * weighted).mean() + 0.5 * gradient)
    return total


@torch.no_grad()
def psnr(generator: Generator, renders: Renders, targets: Tensor, resolution: int, n: int = 512) -> Float[Tensor, "n"]:
    """Held-out PSNR in dB (of images in 0..1), one figure a face."""
    scores = []
    for indices in renders.held_out[:n].split(32):
        image = final_image(generator, generator.broadcast(targets[indices]), resolution)
        target = F.avg_pool2d(renders.batch(indices), 128 // resolution)
        error = ((image.clamp(-1, 1) - target) / 2).square().mean(dim=(1, 2, 3))
        scores.append(-10 * torch.log10(error))
    return torch.cat(scores)
