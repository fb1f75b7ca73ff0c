"""The doodle encoder: first taught the W of renders, then to give back the picture through the frozen generator."""

from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from tqdm import tqdm

from lga_core import Encoder, EncoderConfig, Generator, fingerprint, load_encoder, save_encoder

from .generator import CONFIG as GENERATOR_CONFIG
from .generator import AttributeMap, cosine, pyramid_loss
from .renders import Renders
from .synthesis import Epilogues, final_image

STEPS_W, STEPS_PICTURES, STEPS_CLOSER = 3_600, 10_000, 1_000
CONFIG = EncoderConfig(
    num_ws=GENERATOR_CONFIG.num_ws,
    input_size=64,
    widths=(32, 64, 96, 160),
    units=(1, 2, 2, 1),
    heads="dense",
    dense_channels=24,
    dense_hidden=128,
)


def fresh_encoder(seed: int = 0) -> Encoder:
    """Heads of rows 1 and up start at zero: every row begins as row 0."""
    torch.manual_seed(seed)
    encoder = Encoder(CONFIG, seed)
    for layer in list(encoder.rows)[1:]:
        assert isinstance(layer, nn.Linear)
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return encoder.to(memory_format=torch.channels_last)


def regress(renders: Renders, attribute_map: AttributeMap, path: Path, steps: int, seed: int = 0) -> None:
    """Learn W of renders, where it is known."""
    rng = torch.Generator().manual_seed(seed)
    encoder, average = fresh_encoder(seed), fresh_encoder(seed)
    fast = torch.compile(encoder)
    targets = attribute_map.to_w(renders.attributes)
    encoder.latent_avg.copy_(targets.mean(dim=0).expand_as(encoder.latent_avg))
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-3, weight_decay=1e-3, fused=True)
    progress = tqdm(range(steps), desc="encoder, W", mininterval=5)
    for step in progress:
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 50) * (0.05 + 0.95 * cosine(step / steps))
        faces = torch.randint(renders.num_train, (32,), generator=rng)
        with torch.autocast("cpu", torch.bfloat16):
            ws = fast(half_size(renders.batch(faces))).float()
        loss = (ws - targets[faces, None]).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        follow_all(average, encoder, min(0.995, (step + 1) / (step + 10)))
        if step % 50 == 49:
            progress.set_postfix(w_error=f"{loss.item():.4f}")
    save_encoder(path, average.eval())


def reconstruct(
    renders: Renders,
    attribute_map: AttributeMap,
    generator: Generator,
    start: Path,
    path: Path,
    steps: int,
    epilogues: Epilogues,
    lr: float = 8e-4,
    seed: int = 1,
    w_weight: float = 0.5,
    square_weight: float = 0.0,
) -> None:
    """Learn to give the picture back: pixels through the generator, W where it is known, rows close to each other.

    A second round with a small `w_weight` and a large `square_weight` (of the mean square error) fits pictures closer.
    """
    rng = torch.Generator().manual_seed(seed)
    encoder, average = thawed(start), thawed(start)
    fast = torch.compile(encoder)
    targets = attribute_map.to_w(renders.attributes)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=lr, weight_decay=1e-3, fused=True)
    progress = tqdm(range(steps), desc="encoder, pictures", mininterval=5)
    for step in progress:
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1, (step + 1) / 50) * (0.02 + 0.98 * cosine(step / steps))
        faces = torch.randint(renders.num_train, (12,), generator=rng)
        pictures = renders.batch(faces)
        if step % 4 == 3:  # what the generator itself draws
            with torch.no_grad():
                pictures = final_image(generator, generator.broadcast(targets[faces]), epilogues=epilogues).clamp(-1, 1)
        with torch.autocast("cpu", torch.bfloat16):
            ws = fast(half_size(pictures)).float()
        drawn = final_image(generator, ws, epilogues=epilogues)
        w_error = (ws - targets[faces, None]).square().mean()
        spread = (ws - ws[:, :1]).square().mean()
        pixels = pyramid_loss([drawn], pictures, edges=4.0)
        square = (drawn - pictures).square().mean()
        loss = pixels + w_weight * w_error + 0.02 * spread + square_weight * square
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(encoder.parameters(), 2.0)
        optimizer.step()
        follow_all(average, encoder, min(0.995, (step + 1) / (step + 10)))
        if step % 50 == 49:
            progress.set_postfix(w_error=f"{w_error.item():.4f}", pixels=f"{pixels.item():.3f}")
        if step % 400 == 399 or step == steps - 1:
            save_encoder(path, average.eval(), half=True, generator_fingerprint=fingerprint(generator))


def half_size(pictures: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h2 w2"]:
    """The encoder's own resize, done outside of what is compiled."""
    size = (CONFIG.input_size, CONFIG.input_size)
    small = F.interpolate(pictures, size, mode="bilinear", antialias=True)
    return small.contiguous(memory_format=torch.channels_last)


def thawed(path: Path) -> Encoder:
    return load_encoder(path).train().requires_grad_(True).to(memory_format=torch.channels_last)


@torch.no_grad()
def follow_all(average: Encoder, encoder: Encoder, decay: float) -> None:
    """The running average of the weights, with the batch norms' own statistics copied."""
    floats = [
        (a, b)
        for a, b in zip(average.state_dict().values(), encoder.state_dict().values(), strict=True)
        if a.is_floating_point()
    ]
    torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 1 - decay)


@torch.no_grad()
def inverted(encoder: Encoder, pictures: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n l d"]:
    return torch.cat([encoder(chunk) for chunk in pictures.split(32)])
