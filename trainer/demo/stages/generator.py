"""The generator of an embedded domain: a real StyleGAN2 whose W is a fixed linear image of the renderer's attributes.

Synthesis is distilled from the renderer, coarse to fine (here), and fine-tuned against a discriminator
(adversarial_finetuning.py); the mapping network is distilled afterwards, on vectors alone (mapping.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from lga_core import Generator, GeneratorConfig

from ...reports.contact_sheets import sheet
from ...training.loop import cosine, ema_update
from ..attribute_map import AttributeMap
from ..embedded_domain import BuildFolder
from ..render_dataset import Renders
from .training_synthesis import compiled_epilogues, final_image, synthesis_images

EMA_DECAY = 0.998
PICTURE_SEED = 7

Weight = Callable[[int], Float[Tensor, "m 1 h w"]]
"""resolution -> weight of each pixel."""


@dataclass(frozen=True)
class SynthesisPhase:
    """`images` training images at `resolution`, the learning rate falling from `lr` to `lr_end` by a cosine."""

    resolution: int
    batch: int
    images: int
    lr: float
    lr_end: float


def train_synthesis(build: BuildFolder, phases: Sequence[SynthesisPhase], seed: int = 0) -> None:
    """Distil the renderer into synthesis. Writes synthesis.safetensors; resumes from the phase it was in."""
    rng = torch.Generator().manual_seed(seed)
    domain, renders, attribute_map = build.domain, build.renders(), build.attribute_map()
    generator, average = fresh_generator(domain.generator, seed), fresh_generator(domain.generator, seed)
    epilogues = compiled_epilogues()
    targets = attribute_map.to_w(renders.attributes)
    weights, maps = trained_tensors(generator)
    optimizer = torch.optim.Adam(
        [{"params": weights, "scale": 1.0}, {"params": maps, "scale": 0.5}], lr=1e-2, betas=(0.8, 0.99), fused=True
    )
    step = 0
    for phase in phases:
        done = build.file(f"synthesis_{phase.resolution}")
        if done.exists():
            average.load_state_dict(load_file(done))
            generator.load_state_dict(load_file(done))
            continue
        steps = max(build.scaled(phase.images), phase.batch) // phase.batch
        progress = tqdm(range(steps), desc=f"synthesis {phase.resolution} px", mininterval=5)
        for i in progress:
            warm = min(1.0, (i + 1) / 30)
            lr = warm * (phase.lr_end + (phase.lr - phase.lr_end) * cosine(i / steps))
            for group in optimizer.param_groups:
                group["lr"] = lr * group["scale"]
            indices = torch.randint(renders.num_train, (phase.batch,), generator=rng)
            ws = noisy(targets[indices], attribute_map, generator.num_ws, rng)
            images = list(synthesis_images(generator, ws, phase.resolution, epilogues=epilogues))
            loss = pyramid_loss(images, renders.batch(indices), weight_of(build, renders.attributes[indices]))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            step += 1
            ema_update(average, generator, min(EMA_DECAY, (step + 1) / (step + 30)))
            if i % 200 == 199:
                score = psnr(average, renders, targets, phase.resolution, 64).mean()
                progress.set_postfix(loss=f"{loss.item():.4f}", psnr=f"{score:.2f}")
            if i % 2000 == 1999:
                save_file(average.state_dict(), build.file("synthesis_running"))
        score = psnr(average, renders, targets, phase.resolution)
        print(f"{phase.resolution} px: PSNR {score.mean():.2f} dB, worst 5 % {score.quantile(0.05):.2f}", flush=True)
        save_file(average.state_dict(), done)
    save_file(average.state_dict(), build.file("synthesis"))


def fresh_generator(config: GeneratorConfig, seed: int = 0) -> Generator:
    """Small styles, and noise maps that are zero but count in full: they are learned."""
    generator = Generator(config, seed)
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
    """Weights, and the constant noise maps, which are learned here: what never moves stands in them."""
    weights = [p for name, p in generator.synthesis.named_parameters() if not name.endswith("noise_strength")]
    maps = [buffer.requires_grad_() for name, buffer in generator.synthesis.named_buffers() if "noise_const" in name]
    return weights, maps


def noisy(w: Float[Tensor, "n d"], attribute_map: AttributeMap, num_ws: int, rng: torch.Generator, size: float = 0.1):
    """W+ rows around w, disturbed per row in the directions that no attribute explains: they should draw nothing."""
    noise = size * torch.randn(len(w), num_ws, w.shape[1], generator=rng)
    return w[:, None] + attribute_map.outside(noise)


def weight_of(build: BuildFolder, attributes: Float[Tensor, "n k"] | None = None) -> Weight:
    """The domain's weight of pixels, for these faces or (None) for any."""
    return lambda resolution: build.domain.renderer.face_weight(resolution, attributes)


def pyramid_loss(
    images: list[Tensor], target: Float[Tensor, "n 3 h w"], face_weight: Weight, edges: float = 6.0
) -> Tensor:
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
        target = F.avg_pool2d(renders.batch(indices), renders.images.shape[-1] // resolution)
        error = ((image.clamp(-1, 1) - target) / 2).square().mean(dim=(1, 2, 3))
        scores.append(-10 * torch.log10(error))
    return torch.cat(scores)


def show_synthesis(build: BuildFolder, name: str) -> None:
    """Renders over what `name`.safetensors draws of the same attributes."""
    domain = build.domain
    generator = fresh_generator(domain.generator)
    generator.load_state_dict(load_file(build.file(name)))
    attributes, _ = domain.attributes.sample(24, torch.Generator().manual_seed(PICTURE_SEED))
    with torch.no_grad():
        drawn = generator.synthesis(generator.broadcast(build.attribute_map().to_w(attributes)))
    pairs = zip(domain.render(attributes).split(8), drawn.split(8), strict=True)
    sheet([row for pair in pairs for row in pair], ["render", "generator"] * 3, build.path / f"{name}.png")
