"""Perceptual distances: how different two pictures look, by the features of a network trained on something else.

Two kinds: LPIPS (Zhang et al. 2018) on AlexNet or VGG16, through the `lpips` package and weights that are already on
this machine, and the same idea with unit weights on the convolutional stages of a ResNet CLIP.
"""

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lga_core import CheckpointError, ClipModel, Images, InputError

from . import losses

LpipsNetwork = Literal["alex", "vgg"]

WEIGHTS = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}
"""What torchvision calls the ImageNet weights of each."""
SMALLEST = 64  # AlexNet's strides leave nothing of smaller pictures
NUM_CLIP_STAGES = 4  # the stem and three stages; the last one knows little of places


def cached_weights(network: LpipsNetwork) -> Path | None:
    """ImageNet weights where torchvision keeps them, if it has fetched them once. Nothing is downloaded."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS[network]
    return path if path.is_file() else None


def has_lpips() -> bool:
    return find_spec("lpips") is not None


class Lpips(nn.Module):
    """LPIPS of pictures in -1..1. `weights`: torchvision's file of the network, or its tensors as .safetensors.

    Raises InputError where the package `lpips` is missing, CheckpointError for a file that is not this network's.
    """

    def __init__(self, network: LpipsNetwork, weights: Path) -> None:
        super().__init__()
        if not has_lpips():
            raise InputError("LPIPS needs the package lpips: pip install lpips, or choose another perceptual loss.")
        import lpips

        self.label = f"LPIPS on {network}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torchvision's, on how lpips calls it
            self.distance = lpips.LPIPS(net=network, pnet_rand=True, verbose=False)
        self._fill(network, weights)
        self.eval().requires_grad_(False)

    def _fill(self, network: LpipsNetwork, weights: Path) -> None:
        """Give the convolutions, `features.N` in the file, to the slices that hold them by the same number."""
        own, found = self.distance.net.state_dict(), _tensors(weights)
        names = {name: "features." + name.split(".", 1)[1] for name in own}
        if wrong := [name for name in own if getattr(found.get(names[name]), "shape", None) != own[name].shape]:
            raise CheckpointError(
                f"{weights} lacks {names[wrong[0]]} of shape {list(own[wrong[0]].shape)}. LPIPS on {network} "
                f"needs torchvision's {WEIGHTS[network]}."
            )
        self.distance.net.load_state_dict({name: found[names[name]] for name in own})

    def each(self, drawn: Images, pictures: Images) -> Float[Tensor, "n"]:
        if drawn.shape[-1] < SMALLEST:
            drawn, pictures = (F.interpolate(x, (SMALLEST, SMALLEST), mode="bilinear") for x in (drawn, pictures))
        return self.distance(drawn, pictures).flatten()

    def forward(self, drawn: Images, pictures: Images) -> Float[Tensor, ""]:
        """A mean over the batch."""
        return self.each(drawn, pictures).mean()


class ClipStages(nn.Module):
    """`losses.perceptual` on a ResNet CLIP's stages. Raises MismatchError, when called, for a vision transformer."""

    def __init__(self, clip: ClipModel) -> None:
        super().__init__()
        self.clip = clip
        self.label = f"feature maps of CLIP '{clip.name}'"

    def forward(self, drawn: Images, pictures: Images) -> Float[Tensor, ""]:
        with torch.no_grad():
            seen = self.clip.stages(pictures)[:NUM_CLIP_STAGES]
        return losses.perceptual(self.clip.stages(drawn)[:NUM_CLIP_STAGES], seen)


def _tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"There is no file {path}. Give the path of torchvision's weights.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as err:  # both libraries raise many kinds for a file that is not theirs
        raise CheckpointError(f"{path} cannot be read as a network's weights ({type(err).__name__}).") from err
