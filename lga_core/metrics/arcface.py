"""ArcFace IR-SE50: aligned face -> identity embedding, a unit vector that is similar for images of one person.

Deng et al. 2019, "ArcFace", in the form that StyleCLIP, e4e and the authors' code use. Its body is that of the e4e
encoder (`ir_se.ResidualBlock`).
"""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import CheckpointError
from ..formats.native import load_checkpoint
from ..shapes import Embedding, Images
from .ir_se import ResidualBlock

WHOLE, CROP, SIZE = 256, (slice(35, 223), slice(32, 220)), 112


@dataclass(frozen=True)
class IdentityConfig:
    """Widths and numbers of residual blocks of the four groups, and the embedding size; defaults as published."""

    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    units: tuple[int, int, int, int] = (3, 4, 14, 3)
    embed_dim: int = 512


class IdentityNetwork(nn.Module):
    """Identity network: faces -> unit vectors [n embed_dim], with a high cosine between images of one person."""

    def __init__(self, config: IdentityConfig = IdentityConfig()):  # noqa: B008 (immutable)
        super().__init__()
        self.config = config
        i = config.widths[0]
        self.input_layer = nn.Sequential(nn.Conv2d(3, i, 3, padding=1, bias=False), nn.BatchNorm2d(i), nn.PReLU(i))
        blocks = []
        for o, units in zip(config.widths, config.units, strict=True):
            blocks += [ResidualBlock(i if unit == 0 else o, o, stride=2 if unit == 0 else 1) for unit in range(units)]
            i = o
        self.body = nn.Sequential(*blocks)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(i),
            nn.Dropout(),
            nn.Flatten(),
            nn.Linear(i * (SIZE // 16) ** 2, config.embed_dim),
            nn.BatchNorm1d(config.embed_dim),
        )

    def forward(self, images: Images) -> Embedding:
        """Faces [n 3 h w] in -1..1 with FFHQ alignment, of any size -> unit vectors [n embed_dim]."""
        return self.embed_crop(face_crop(images))

    def embed_crop(self, faces: Images) -> Embedding:
        """Faces [n 3 112 112] in -1..1 with ArcFace's crop -> unit vectors [n embed_dim]."""
        return F.normalize(self.output_layer(self.body(self.input_layer(faces))), dim=1)


def face_crop(images: Images) -> Images:
    """ArcFace's crop of an FFHQ-aligned image: [n 3 h w] -> [n 3 112 112]; at 256 px rows 35-222, columns 32-219."""
    if images.shape[2:] != (WHOLE, WHOLE):
        images = F.adaptive_avg_pool2d(images, WHOLE) if images.shape[2] > WHOLE else _enlarged(images)
    return F.adaptive_avg_pool2d(images[:, :, CROP[0], CROP[1]], SIZE)


def _enlarged(images: Images) -> Images:
    return F.interpolate(images, (WHOLE, WHOLE), mode="bilinear")


def load_identity(path: str | PathLike[str]) -> IdentityNetwork:
    """Load an ArcFace IR-SE50 that `lga convert` wrote. Raises CheckpointError."""
    path = Path(path)
    tensors = load_checkpoint(path, "identity").tensors
    with torch.inference_mode(False), torch.device("meta"):  # without random initialisation
        network = IdentityNetwork(_config(path, tensors))
    state = network.state_dict()
    need = {name: tensor.shape for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    if wrong := sorted(n for n in need.keys() | tensors.keys() if getattr(tensors.get(n), "shape", 0) != need.get(n)):
        raise CheckpointError(f"{path} is not an ArcFace IR-SE50: '{wrong[0]}' has another shape. Use another file.")
    counts = {name: torch.zeros((), dtype=torch.long) for name in state.keys() - need.keys()}
    network.load_state_dict({**counts, **tensors}, assign=True)
    return network.eval().requires_grad_(False)


def _config(path: Path, tensors: dict[str, Tensor]) -> IdentityConfig:
    """The published sizes, or those of a slimmer network of the same form."""
    try:
        widths = tuple(tensors[f"body.{last}.res_layer.3.weight"].shape[0] for last in (2, 6, 20, 23))
        return IdentityConfig(widths, embed_dim=tensors["output_layer.3.weight"].shape[0])  # pyright: ignore
    except (KeyError, IndexError) as err:
        raise CheckpointError(f"{path} is not an ArcFace IR-SE50 (it lacks {err}). Use model_ir_se50.pth.") from err
