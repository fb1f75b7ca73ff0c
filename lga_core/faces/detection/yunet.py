"""YuNet (Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector"), as kornia has it: human faces, five points.

kornia's own FaceDetector downloads its weights; here its network reads them from a file, yunet_final.pth, and what the
network says is decoded.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from ...errors import CheckpointError, InputError
from ...formats.foreign import read_foreign
from ...shapes import Images
from .multiscale import Detection, Picture, detect_multiscale
from .types import FoundFace

WEIGHTS = "yunet_final.pth"
CONFIDENCE = 0.7
TURNS = 0, 45, 315
"""Degrees. Not right round: YuNet sees a face that stands on its head as surely, and as an upright one."""
_STRIDES = {8: (10, 16, 24), 16: (32, 48), 32: (64, 96), 64: (128, 192, 256)}
"""Pixels from cell to cell of each of the network's maps, and sizes, in pixels, of the faces that a cell stands for."""
_STEP = 0.1  # what 1 in the network's output moves a point by, in sizes of the face
_MOST = 50  # candidates of one look


class YuNetDetector:
    """Face detector by YuNet with the weights in `path`; faces rotated by more than 70 degrees come out wrong.

    Raises CheckpointError for a file of other weights.
    """

    name = "kornia's YuNet"

    def __init__(self, path: Path):
        self.network = _network(path)

    @torch.no_grad()
    def find(self, images: Images) -> list[FoundFace]:
        """Detect faces in one image [1 3 h w] in -1..1."""
        return detect_multiscale(Picture(images), self._detect, self.name, CONFIDENCE, TURNS)

    def _detect(self, view: UInt8[Tensor, "side side 3"]) -> list[Detection]:
        said = self.network(view.flip(2).permute(2, 0, 1)[None].float())  # blue, green, red in 0..255
        points, confidences = decoded(
            said["loc"].reshape(-1, 14), said["conf"].reshape(-1, 2), said["iou"].reshape(-1), view.shape[0]
        )
        best = confidences.argsort(descending=True)[:_MOST]
        best = best[confidences[best] >= CONFIDENCE]
        return _non_maximum_suppression([Detection(points[i], confidences[i].item()) for i in best.tolist()])


def has_kornia() -> bool:
    return find_spec("kornia") is not None


def _network(path: Path) -> nn.Module:
    try:
        from kornia.contrib import face_detection  # pyright: ignore[reportMissingImports]
    except ImportError as err:
        raise InputError(
            f"kornia, which reads {path}, cannot be imported ({err}). Install it with `pip install kornia`."
        ) from err
    name = "YuNet" if hasattr(face_detection, "YuNet") else "YuFaceDetectNet"  # as kornia 0.7 calls it
    make = getattr(face_detection, name)
    network = make("test", pretrained=False)
    weights = read_foreign(path).value
    need = {name: tensor.shape for name, tensor in network.state_dict().items()}
    if not isinstance(weights, dict) or {n: getattr(w, "shape", None) for n, w in weights.items()} != need:
        raise CheckpointError(f"{path} does not hold the weights of kornia's YuNet. Download yunet_final.pth again.")
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def decoded(
    places: Float[Tensor, "k 14"], kinds: Float[Tensor, "k 2"], overlaps: Float[Tensor, "k"], side: int
) -> tuple[Float[Tensor, "k 5 2"], Float[Tensor, "k"]]:
    """The network's output for a look of `side` pixels (a multiple of 64) as points, in pixels, and confidences.

    `places` has a box (4 numbers), then the five points, from the middle of their cell; `kinds` the probabilities of no
    face and face; `overlaps` how well the box fits. The confidence is the geometric mean of the last two.
    """
    anchors = torch.cat([_anchors(side // stride, stride, sizes) for stride, sizes in _STRIDES.items()])
    middles, sizes = anchors[:, None, :2], anchors[:, None, 2:]
    points = middles + places[:, 4:].reshape(-1, 5, 2) * _STEP * sizes
    return points, (kinds[:, 1] * overlaps.clamp(0, 1)).sqrt()


def _anchors(cells: int, stride: int, sizes: tuple[int, ...]) -> Float[Tensor, "k 3"]:
    """x and y of the middle of each cell, and each size: row by row, cell by cell, size by size."""
    steps = (torch.arange(cells) + 0.5) * stride
    y, x, size = torch.meshgrid(steps, steps, torch.tensor(sizes, dtype=torch.float), indexing="ij")
    return torch.stack([x, y, size], dim=-1).reshape(-1, 3)


def _non_maximum_suppression(detections: list[Detection]) -> list[Detection]:
    """Non-maximum suppression: the most confident first, without those whose nose lies in a more confident face."""
    kept: list[Detection] = []
    for face in detections:
        reach = (face.points - face.points.mean(dim=0)).norm(dim=1).max()
        if all((face.points[2] - other.points[2]).norm() > reach for other in kept):
            kept.append(face)
    return kept
