"""Perceptual distances: how different two pictures look, by the features of a network trained on something else.

Three kinds, of which `find_distance` takes the best that is at hand: LPIPS (Zhang et al. 2018) on AlexNet or VGG16,
through the package `lpips` and weights that are already on this machine; the same idea, with unit weights, on the
convolutional stages of a ResNet CLIP; and edges and colours at several sizes, which needs no weights at all.
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

from ..clip import ClipModel
from ..errors import CheckpointError, InputError
from ..formats.foreign import read_foreign
from ..shapes import Features, Images

LpipsNetwork = Literal["alex", "vgg"]

LPIPS_WEIGHTS = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}
"""What torchvision calls the ImageNet weights of each."""
SMALLEST = 64  # AlexNet's strides leave nothing of smaller pictures
NUM_CLIP_STAGES = 4  # the stem and three stages; the last one knows little of places
SMALLEST_SCALE = 8
"""Side, in pixels, of the smallest size at which edges are compared."""


class PerceptualDistance(nn.Module):
    """How different pictures look: `each` of them, and `forward` as a mean over the batch. Both are differentiable.

    label: who measures, for reports. close: the distance at which a person hardly sees a difference, where fitting may
    stop.
    """

    label: str
    close: float

    def each(self, drawn: Images, pictures: Images) -> Float[Tensor, "n"]:
        """Distance of each drawn picture [n 3 h w] from its picture, both in -1..1; 0 for the same picture."""
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


class ClipStages(PerceptualDistance):
    """`feature_distance` on the stages of a ResNet CLIP. Raises MismatchError, when called, for a vision transformer.

    `size`: side, in pixels, at which pictures are compared: CLIP's own at least, and for None. Finer is not seen.
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


class Edges(PerceptualDistance):
    """Mean absolute difference of colours, and of their differences between neighbouring pixels, at every size."""

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
    """LPIPS with unit weights: mean squared distance of channel-normalised features, a mean over the maps."""
    parts = [
        (F.normalize(ours.float(), dim=1) - F.normalize(theirs.float(), dim=1)).square().sum(dim=1).mean(dim=(1, 2))
        for ours, theirs in zip(maps, seen, strict=True)
    ]
    return torch.stack(parts).mean(dim=0)


def find_distance(
    clip: ClipModel | None = None, size: int | None = None, weights: Path | None = None
) -> PerceptualDistance:
    """The best perceptual distance at hand: LPIPS on AlexNet, else CLIP's stages, else edges. Nothing is downloaded.

    clip: the domain's own, used where it is a ResNet. size: of the pictures that CLIP compares, see `ClipStages`.
    weights: torchvision's file of AlexNet; None looks where torchvision keeps it.

    Raises InputError, CheckpointError as `Lpips` does, where `weights` are given.
    """
    found = weights or cached_weights("alex")
    with torch.inference_mode(False):  # its weights take part in gradients
        if found is not None and (weights is not None or has_lpips()):
            return Lpips("alex", found)
        return Edges() if clip is None or not has_stages(clip) else ClipStages(clip, size)


def has_stages(clip: ClipModel) -> bool:
    return hasattr(clip.model.visual, "layer4")


def cached_weights(network: LpipsNetwork) -> Path | None:
    """ImageNet weights where torchvision keeps them, if it has fetched them once. Nothing is downloaded."""
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
