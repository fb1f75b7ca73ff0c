"""Adversarial fine-tuning of the synthesis network: its lines become as sharp as the renderer's."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from lga_core import Generator

from ...training.loop import cosine, ema_update
from ..embedded_domain import BuildFolder
from ..render_dataset import Renders
from .generator import fresh_generator, noisy, psnr, pyramid_loss, trained_tensors, weight_of
from .training_synthesis import compiled_epilogues, final_image, synthesis_images

CRITIC_ONLY = 70
"""Steps of the discriminator alone, at the beginning."""
SHARE = 0.15
"""Length of the adversarial gradient against the supervised one."""
R1, R1_EVERY = 0.08, 8
FLATNESS = 8.0
"""Weight of `ripple`."""
SHARP_ENOUGH = 0.02
"""A generator whose relative sharpness is this near to 1 is left as it is."""


class Critic(nn.Module):
    """A patch discriminator: one score for each 8- and 16-pixel neighbourhood."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 48, 96, 128)
        self.body = nn.ModuleList(nn.Conv2d(i, o, 4, 2, 1) for i, o in zip(widths, widths[1:], strict=False))
        self.fine, self.coarse = nn.Conv2d(widths[3], 1, 3, 1, 1), nn.Conv2d(widths[4], 1, 3, 1, 1)
        for layer in self.body:
            nn.init.kaiming_normal_(layer.get_parameter("weight"), 0.2)
        for layer in (self.fine, self.coarse):
            nn.init.normal_(layer.weight, std=0.03)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n scores"]:
        maps = []
        for layer in self.body:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return torch.cat([self.fine(maps[2]).flatten(1), self.coarse(maps[3]).flatten(1)], dim=1).float()


def sharpness(images: Float[Tensor, "n 3 h w"]) -> float:
    """Mean absolute horizontal difference; compared with the renders' it tells blur (below 1) from noise (above)."""
    return images.diff(dim=3).abs().mean().item()


def ripple(images: Float[Tensor, "n 3 h w"], target: Float[Tensor, "n 3 h w"]) -> Float[Tensor, ""]:
    """Mean absolute difference between neighbours where the target is flat: paint that should be even."""
    total = torch.zeros(())
    for dim in (2, 3):
        flat = target.diff(dim=dim).abs() < 0.02
        total = total + (images.diff(dim=dim).abs() * flat).mean()
    return total


@torch.no_grad()
def relative_sharpness(generator: Generator, renders: Renders, targets: Tensor, n: int = 256) -> float:
    held_out = renders.held_out[:n]
    drawn = torch.cat([final_image(generator, generator.broadcast(targets[chunk])) for chunk in held_out.split(32)])
    return sharpness(drawn) / sharpness(renders.batch(held_out))


def finetune_synthesis(build: BuildFolder, steps: int, seed: int = 1) -> None:
    """Sharpen synthesis.safetensors against a discriminator, supervision kept; writes finished.safetensors.

    A generator whose lines are as sharp as the renderer's already is left as it is.
    """
    config, renders, attribute_map = build.domain.generator, build.renders(), build.attribute_map()
    steps, trained = build.scaled(steps), load_file(build.file("synthesis"))
    before = fresh_generator(config)
    before.load_state_dict(trained)
    sharp = relative_sharpness(before, renders, attribute_map.to_w(renders.attributes))
    print(f"sharpness before the adversarial fine-tuning: {sharp:.3f}", flush=True)
    if abs(sharp - 1) <= SHARP_ENOUGH:
        save_file(before.state_dict(), build.file("finished"))
        return
    rng = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    generator, average = fresh_generator(config), fresh_generator(config)
    for model in (generator, average):
        model.load_state_dict(trained)
    epilogues, critic = compiled_epilogues(), Critic().to(memory_format=torch.channels_last)
    targets = attribute_map.to_w(renders.attributes)
    weights, maps = trained_tensors(generator)
    optimizer = torch.optim.Adam([*weights, *maps], lr=2e-3, betas=(0.5, 0.99), fused=True)
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.99), fused=True)
    progress = tqdm(range(steps), desc="adversarial fine-tuning", mininterval=5)
    for step in progress:
        optimizer.param_groups[0]["lr"] = 2.5e-3 * (0.02 + 0.98 * cosine(step / steps))
        indices = torch.randint(renders.num_train, (8,), generator=rng)
        real = renders.batch(indices).contiguous(memory_format=torch.channels_last)
        ws = noisy(targets[indices], attribute_map, generator.num_ws, rng)
        with torch.set_grad_enabled(step >= CRITIC_ONLY):
            images = list(synthesis_images(generator, ws, epilogues=epilogues))
        fake = images[-1].detach().contiguous(memory_format=torch.channels_last)
        critic_step(critic, critic_optimizer, real, fake, gradient_penalty=step % R1_EVERY == 0)
        if step < CRITIC_ONLY:
            continue
        weight = weight_of(build, renders.attributes[indices])
        supervised = pyramid_loss(images, real, weight, edges=0.0) + FLATNESS * ripple(images[-1], real)
        warm = min(1.0, (step - CRITIC_ONLY) / 40)
        push = adversarial_gradient(critic, fake)
        (pull,) = torch.autograd.grad(supervised, images[-1], retain_graph=True)
        push = push * (SHARE * warm * pull.norm() / (push.norm() + 1e-9))
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward([supervised, images[-1]], [None, push])
        optimizer.step()
        ema_update(average, generator, 0.99)
        if step % 100 == 99:
            score = psnr(average, renders, targets, 128, 64).mean()
            sharp = relative_sharpness(average, renders, targets, 64)
            progress.set_postfix(psnr=f"{score:.2f}", sharpness=f"{sharp:.3f}")
    save_file(average.state_dict(), build.file("finished"))


def critic_step(
    critic: Critic, optimizer: torch.optim.Optimizer, real: Tensor, fake: Tensor, *, gradient_penalty: bool
) -> None:
    """Non-saturating loss, with R1 (Mescheder et al. 2018) every R1_EVERY steps."""
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16):
        loss = F.softplus(-critic(real)).mean() + F.softplus(critic(fake)).mean()
    loss.backward()
    if gradient_penalty:
        pictures = real[:4].detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(critic(pictures).mean(dim=1).sum(), pictures, create_graph=True)
        (slope.square().sum(dim=(1, 2, 3)).mean() * 0.5 * R1 * R1_EVERY).backward()
    optimizer.step()


def adversarial_gradient(critic: Critic, fake: Tensor) -> Tensor:
    pictures = fake.detach().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = F.softplus(-critic(pictures)).mean()
    return torch.autograd.grad(loss, pictures)[0]
