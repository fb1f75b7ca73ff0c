"""Perceptual distances between images: LPIPS, the same on CLIP's feature maps, and a multi-scale edge distance.

`find_perceptual_distance` takes the best one available: LPIPS (Zhang et al. 2018) on AlexNet or VGG16, through the
package `lpips` and weights that are already on this machine; LPIPS with unit weights on the convolutional stages of a
ResNet CLIP; and colours and edges at several scales, which need no weights at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..clip.model import ClipModel
from ..errors import CheckpointError, InputError
from ..formats.foreign import read_foreign
from ..shapes import Features, Images

LpipsNetwork = Literal["alex", "vgg"]

LPIPS_WEIGHTS = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}
"""torchvision's file names of the ImageNet weights."""
SMALLEST = 64  # AlexNet's strides leave nothing of smaller images
NUM_CLIP_STAGES = 4  # the stem and three stages; the last stage has little spatial detail
SMALLEST_SCALE = 8
"""Side, in pixels, of the smallest size at which edges are compared."""


class PerceptualDistance(nn.Module):
    """A perceptual distance: `each` per image, `forward` as the mean over the batch. Both are differentiable.

    label: name of the measure, for reports. close: the distance at which a person hardly sees a difference, where
    optimisation may stop.
    """

    label: str
    close: float

    def each(self, drawn: Images, pictures: Images) -> Float[Tensor, "n"]:
        """Distance of each drawn image [n 3 h w] from its reference [n 3 h w], both in -1..1; 0 for equal images."""
        raise NotImplementedError

    def forward(self, drawn: Images, pictures: Images) -> Float[Tensor, ""]:
        return self.each(drawn, pictures).mean()


class Lpips(PerceptualDistance):
    """LPIPS. `weights`: torchvision's file of the network, or its tensors as .safetensors; nothing in it is run.

    Raises InputError where the package `lpips` is missing, CheckpointError for a file that is not this network's.
    """

    close = 0.06  # where pivotal tuning stops (Roich et al. 2021)

    def __init__(self, network: LpipsNetwork, weights: Path) -> None:
        super().__init__()
        if not has_lpips():
            raise InputError("LPIPS needs the package lpips: pip install lpips, or choose another perceptual distance.")
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
                f"needs torchvision's {LPIPS_WEIGHTS[network]}."
            )
        self.distance.net.load_state_dict({name: found[names[name]] for name in own})

    def each(self, drawn: Images, pictures: Images) -> Float[Tensor, "n"]:
        if drawn.shape[-1] < SMALLEST:
            drawn, pictures = (F.interpolate(x, (SMALLEST, SMALLEST), mode="bilinear") for x in (drawn, pictures))
        return self.distance(drawn, pictures).flatten()


class ClipFeatureDistance(PerceptualDistance):
    """LPIPS with unit weights on the feature maps of a ResNet CLIP, see `feature_distance`.

    `size`: side, in pixels, at which images are compared; at least CLIP's own, which None stands for. Calling it raises
    MismatchError for a vision transformer.
    """

    close = 0.002  # as far as noise of two levels of 255 is, measured on the doodle domain

    def __init__(self, clip: ClipModel, size: int | None = None) -> None:
        super().__init__()
        self.clip, self.size = clip, None if size is None else max(size, clip.image_size)
        self.label = f"feature maps of CLIP '{clip.name}'"

    def each(self, drawn: Images, pictures: Images) -> Float[Tensor, "n"]:
        with torch.no_grad():
            seen = self._maps(pictures)
        return feature_distance(self._maps(drawn), seen)

    def _maps(self, images: Images) -> list[Features]:
        return self.clip.stages(images, self.size)[:NUM_CLIP_STAGES]


class EdgeDistance(PerceptualDistance):
    """Mean absolute difference of colours and of their gradients between neighbouring pixels, at several scales."""

    label = "edges and colours at several sizes"
    close = 0.0065  # as far as noise of two levels of 255 is

    def each(self, drawn: Images, pictures: Images) -> Float[Tensor, "n"]:
        error, parts = drawn - pictures, []
        while True:
            parts += [
                error.abs().mean(dim=(1, 2, 3)),
                *(error.diff(dim=axis).abs().mean(dim=(1, 2, 3)) for axis in (2, 3)),
            ]
            if min(error.shape[-2:]) < 2 * SMALLEST_SCALE:
                return torch.stack(parts).mean(dim=0)
            error = F.avg_pool2d(error, 2)


def feature_distance(maps: Sequence[Features], seen: Sequence[Features]) -> Float[Tensor, "n"]:
    """LPIPS with unit weights: mean squared distance of channel-normalised features [n c h w], mean over the maps."""
    parts = [
        (F.normalize(ours.float(), dim=1) - F.normalize(theirs.float(), dim=1)).square().sum(dim=1).mean(dim=(1, 2))
        for ours, theirs in zip(maps, seen, strict=True)
    ]
    return torch.stack(parts).mean(dim=0)


def find_perceptual_distance(
    clip: ClipModel | None = None, size: int | None = None, weights: Path | None = None
) -> PerceptualDistance:
    """The best perceptual distance available: LPIPS on AlexNet, else CLIP features, else edges. Downloads nothing.

    clip: the domain's CLIP, used if it is a ResNet. size: see `ClipFeatureDistance`. weights: torchvision's file of
    AlexNet; None looks in torchvision's cache.

    Raises InputError and CheckpointError as `Lpips` does if `weights` are given.
    """
    found = weights or cached_weights("alex")
    with torch.inference_mode(False):  # its weights take part in gradients
        if found is not None and (weights is not None or has_lpips()):
            return Lpips("alex", found)
        return EdgeDistance() if clip is None or not has_stages(clip) else ClipFeatureDistance(clip, size)


def has_stages(clip: ClipModel) -> bool:
    return hasattr(clip.model.visual, "layer4")


def cached_weights(network: LpipsNetwork) -> Path | None:
    """ImageNet weights in torchvision's cache, None if they are not there. Downloads nothing."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / LPIPS_WEIGHTS[network]
    return path if path.is_file() else None


def has_lpips() -> bool:
    return find_spec("lpips") is not None


def _tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"There is no file {path}. Give the path of torchvision's weights.")
    value = read_foreign(path).value
    table = value.get("state_dict", value) if isinstance(value, dict) else {}
    return (
        {name: tensor for name, tensor in table.items() if isinstance(tensor, Tensor)}
        if isinstance(table, dict)
        else {}
    )
