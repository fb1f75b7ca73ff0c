"""The discriminators of a motion generator's training. They exist in training alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lga_core import Images

from .losses import Scores, Video

NUM_SCALES, NUM_STRIDED, KERNEL = 2, 3, 4
EMBEDDING = 256
SMALLEST = 4
"""Side, in pixels, of the discriminator of pictures' last feature maps."""


class VideoDiscriminator(nn.ModuleList):
    """Videos [n t 3 h w] -> a map of scores for each scale: patches over space and time (PatchGAN, multi-scale).

    Each scale has three strided convolutions and two more, with instance normalisation; the second sees pictures half
    as wide. `width`: channels of the first layer. `seed` draws the weights.
    """

    def __init__(self, width: int = 64, seed: int = 0) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            super().__init__([patches(width) for _ in range(NUM_SCALES)])

    def forward(self, video: Video) -> Scores:
        x, scores = video.transpose(1, 2), []
        for scale in self:
            scores.append(scale(x))
            x = F.avg_pool3d(x, (1, 2, 2))
        return scores


def patches(width: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv3d(3, width, KERNEL, 2, padding=2), nn.LeakyReLU(0.2)]
    for index in range(1, NUM_STRIDED + 1):
        before, after = width * min(2 ** (index - 1), 8), width * min(2**index, 8)
        stride = 2 if index < NUM_STRIDED else 1
        layers += [nn.Conv3d(before, after, KERNEL, stride, padding=2), nn.InstanceNorm3d(after), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv3d(width * 8, 1, KERNEL, padding=2))


class PictureDiscriminator(nn.Module):
    """Pictures [n 3 h w] -> scores [n] and unit embeddings [n 256].

    Residual blocks with spectral normalisation, as BigGAN's discriminator (Brock et al. 2019) without its attention
    and labels. `width`: channels of the first block. `seed` draws the weights.
    """

    def __init__(self, size: int, width: int = 64, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            widths = [3]
            while size > SMALLEST:
                widths.append(width * min(2 ** (len(widths) - 1), 8))
                size //= 2
            pairs = zip(widths, widths[1:], strict=False)
            self.blocks = nn.Sequential(
                *[Down(before, after, index == 0) for index, (before, after) in enumerate(pairs)]
            )
            self.score = spectral_norm(nn.Linear(widths[-1], 1))
            self.embedding = spectral_norm(nn.Linear(widths[-1], EMBEDDING))

    def forward(self, images: Images) -> tuple[Float[Tensor, "n"], Float[Tensor, "n e"]]:
        features = F.relu(self.blocks(images)).mean(dim=(2, 3))
        return self.score(features)[:, 0], F.normalize(self.embedding(features), dim=1)


class Down(nn.Module):
    """Half the size: two convolutions beside one of a single pixel. The first block sees colours, which keep signs."""

    def __init__(self, before: int, after: int, is_first: bool) -> None:
        super().__init__()
        self.is_first = is_first
        self.inner = spectral_norm(nn.Conv2d(before, after, 3, padding=1))
        self.outer = spectral_norm(nn.Conv2d(after, after, 3, padding=1))
        self.beside = spectral_norm(nn.Conv2d(before, after, 1))

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o h2 w2"]:
        inner = self.outer(F.relu(self.inner(x if self.is_first else F.relu(x))))
        return F.avg_pool2d(inner, 2) + self.beside(F.avg_pool2d(x, 2))


class Queue(nn.Module):
    """The latest `size` embeddings, in a buffer that a checkpoint keeps; random ones at first."""

    codes: Tensor
    place: Tensor

    def __init__(self, size: int, width: int = EMBEDDING, seed: int = 0) -> None:
        super().__init__()
        drawn = torch.randn(size, width, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("codes", F.normalize(drawn, dim=1))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def push(self, codes: Float[Tensor, "n e"]) -> None:
        """Put these in the place of the oldest."""
        size, first = len(self.codes), int(self.place)
        codes = codes[-size:]
        self.codes[(first + torch.arange(len(codes), device=codes.device)) % size] = codes
        self.place.fill_((first + len(codes)) % size)
