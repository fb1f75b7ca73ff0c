"""The authors' training step as published (Hang et al. 2023 and its code), written plainly, to measure ours against.

Facts, not code, are the authors': every frame is drawn, in fp32, by the community's layout of StyleGAN2 (a convolution
with a group and weights of its own for each sample); the RN50 CLIP that starts the motions runs and learns in each
step, the ViT-B/32 that scores them reads the batch's sentences anew; LPIPS compares frames 1 and T with the input.
Two of the four frames are read, so that gradients pass back through the generator twice.
"""

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import lpips
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lga_core import ClipModel, Generator, MotionConfig, MotionModel
from lga_trainer.data.augmentation import official_view
from lga_trainer.motion import losses

LPIPS_SIZE = 224
WEIGHTS = {"contrastive": 0.5, "w_reg": 1.0, "latent_reg": 1.0, "path": 1.0, "perceptual": 1.0}


class PublishedStep:
    """One optimisation step. `lean`: frames that no loss reads keep no graph, a favour where memory is short."""

    def __init__(self, generator: Generator, clip: ClipModel, scorer: ClipModel, num_frames: int, lean: bool) -> None:
        self.generator, self.clip, self.scorer = generator, clip.requires_grad_(True), scorer
        self.num_frames, self.lean = num_frames, lean
        self.model = MotionModel(MotionConfig.official(clip.embed_dim, generator.num_ws)).to(generator.w_avg.device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchvision's, on how lpips calls it
            self.lpips = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).requires_grad_(False)
        self.lpips.to(generator.w_avg.device)
        groups = [{"params": self.model.parameters()}, {"params": self.clip.parameters(), "lr": 1e-5}]
        self.optimizer = torch.optim.Adam(groups, lr=1e-3, betas=(0.0, 0.999))
        self.rng = torch.Generator().manual_seed(0)

    def __call__(self, ws: Tensor, inputs: Tensor, sentences: Sequence[str]) -> float:
        """Faces ws [n l d] with their photographs [n 3 h w] and one sentence each; the loss before the step."""
        text, picture = self.clip.encode_text(sentences), self.clip.encode_images(inputs)
        code = text + picture.detach()
        h0 = self.model.initial_hidden_state(len(ws), self.rng).to(code)
        motion = self.model.offsets(self.model.rollout(code, self.num_frames, h0, "const"))
        shift = motion + self.model.visual(picture)[:, None]
        frames = [self.draw(ws + shift[:, t], t in (0, self.num_frames - 1)) for t in range(self.num_frames)]
        terms = {
            "contrastive": self.contrastive(frames[-1], sentences),
            "w_reg": losses.w_reg_first_last(motion),
            "latent_reg": losses.latent_reg(shift),
            "path": losses.path(motion),
            "perceptual": self.perceptual(frames[0], inputs) + self.perceptual(frames[-1], inputs),
        }
        total = sum((WEIGHTS[name] * term for name, term in terms.items()), torch.zeros(()).to(ws))
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        return total.item()

    def draw(self, ws: Tensor, is_read: bool) -> Tensor:
        with torch.no_grad() if self.lean and not is_read else nullcontext():
            return community_synthesis(self.generator, ws)

    def contrastive(self, last: Tensor, sentences: Sequence[str]) -> Tensor:
        clip = self.scorer
        seen = clip.model.encode_image(official_view(last, clip.image_size, clip.mean, clip.std))
        true = torch.arange(len(last), device=last.device)
        return losses.contrastive_official(F.normalize(seen, dim=-1), clip.encode_text(sentences), true)

    def perceptual(self, frame: Tensor, inputs: Tensor) -> Tensor:
        frame, inputs = (
            F.interpolate(x, (LPIPS_SIZE, LPIPS_SIZE), mode="bilinear", align_corners=True) for x in (frame, inputs)
        )
        return self.lpips(frame, inputs).mean()


# StyleGAN2 as the community writes it


def community_synthesis(generator: Generator, ws: Float[Tensor, "n l d"]) -> Float[Tensor, "n 3 h w"]:
    """`generator.synthesis(ws)` of a `skip` generator, each sample with convolution weights of its own."""
    x, image = None, None
    for index, resolution in enumerate(generator.config.block_resolutions):
        block: Any = generator.synthesis.get_submodule(f"b{resolution}")
        x = block.const.expand(len(ws), -1, -1, -1) if x is None else styled(x, block.conv0, ws[:, 2 * index - 1])
        x = styled(x, block.conv1, ws[:, 2 * index])
        rgb, w = block.torgb, ws[:, 2 * index + 1]
        drawn = modulated(x, rgb.weight, rgb.style(w), demodulate=False, up=False) + rgb.bias[:, None, None]
        image = drawn if image is None else filtered(image, up=2, pad=(2, 1)) + drawn
    assert image is not None
    return image


def styled(x: Tensor, layer: Any, w: Tensor) -> Tensor:
    x = modulated(x, layer.weight, layer.affine(w), demodulate=True, up=layer.up)
    x = x + layer.noise_strength * layer.noise_const
    return F.leaky_relu(x + layer.bias[:, None, None], 0.2) * 2**0.5


def modulated(x: Tensor, weight: Tensor, style: Tensor, *, demodulate: bool, up: bool) -> Tensor:
    """Eq. 1-3 of Karras et al. 2020: weights [n o i k k], one group of a grouped convolution for each sample."""
    n, i, h, w = x.shape
    o, _, k, _ = weight.shape
    weights = weight * style.reshape(n, 1, i, 1, 1)
    if demodulate:
        weights = weights * (weights.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    x = x.reshape(1, n * i, h, w)
    if not up:
        return F.conv2d(x, weights.reshape(n * o, i, k, k), padding=k // 2, groups=n).reshape(n, o, h, w)
    weights = weights.transpose(1, 2).reshape(n * i, o, k, k)
    x = F.conv_transpose2d(x, weights, stride=2, groups=n).reshape(n, o, 2 * h + 1, 2 * w + 1)
    return filtered(x, up=1, pad=(1, 1))


def filtered(x: Tensor, up: int, pad: tuple[int, int]) -> Tensor:
    """Zeros between pixels, padding, and the FIR filter of gain 4, every channel a picture of its own."""
    n, c, h, w = x.shape
    x = x.reshape(n * c, 1, h, 1, w, 1)
    x = F.pad(x, (0, up - 1, 0, 0, 0, up - 1)).reshape(n * c, 1, h * up, w * up)
    taps = torch.tensor([0.25, 0.75, 0.75, 0.25], device=x.device)
    x = F.conv2d(F.pad(x, (*pad, *pad)), taps.outer(taps)[None, None])
    return x.reshape(n, c, *x.shape[2:])
