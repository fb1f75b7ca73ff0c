"""The doodle domain's face finder: taught on drawings put at random into backgrounds, a fresh scene every time."""

import dataclasses
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor

from lga_core.faces import Framing
from lga_core.faces.detection import DetectorConfig, DomainDetector, save_detector
from lga_core.imaging import to_uint8

from ....reports.contact_sheets import grid
from ....training.distributed import Share, Workers
from ....training.loop import LoopSchedule, Objective, cosine, follow, step_generator, train
from ....training.run_folder import RunFolder
from ..rendering.detector_scenes import Scenes, Stock, Windows, load_stock, make_scenes, make_windows
from ..rendering.render_dataset import load_renders
from ..rendering.renderer import EYE_LINE, MOUTH_LINE, NOSE_LINE

STEPS, NUM_SCENES, NUM_WINDOWS, SCENE = 4_000, 16, 48, 128
LR, AVERAGE = 3e-3, 0.99
HEAD_DOWN = 0.12
"""How far below the middle of its square a doodle's head has its own."""
EYE_SPACE, MOUTH_HALF = 0.2425, 0.19
"""Half the distance of the eyes and of the mouth's corners in the mean face."""
WEIGHTS = {"centre": 1.0, "square": 1.0, "is_face": 1.0, "amiss": 6.0}
IGNORED = (0.3, 0.6)
"""A face of which less is seen is none, and one of which more is seen must be found."""


def points_at_rest() -> tuple[tuple[float, float], ...]:
    """Eye, eye, nose, mouth corner, mouth corner of the mean doodle that looks straight ahead, in its square."""
    eyes, nose, mouth = (line + HEAD_DOWN for line in (EYE_LINE, NOSE_LINE, MOUTH_LINE))
    return (-EYE_SPACE, eyes), (EYE_SPACE, eyes), (0.0, nose), (-MOUTH_HALF, mouth), (MOUTH_HALF, mouth)


def framing_of(points: Sequence[tuple[float, float]]) -> Framing:
    """The framing under which `align` gives these points [5] the square -1..1 that they are in.

    The eyes say how large it is: the mouth counts less, for it moves (where a person marks the points of a doodle with
    an expression, sizes are off by 4 %, by the mouth 10 %).
    """
    (left, eyes), (right, _), _, (_, mouth), _ = points
    return Framing(down=-eyes / (mouth - eyes), eyes=1 / (right - left), mouth=0.8 / (mouth - eyes))


@dataclass(frozen=True)
class Batch:
    scenes: Scenes
    windows: Windows


class FinderTask:
    """What the loop trains: both networks of a finder, on scenes and windows from a stock of pictures."""

    def __init__(self, finder: DomainDetector, stock: Stock, steps: int, seed: int = 0) -> None:
        self.finder, self.stock, self.steps, self.seed = finder, stock, steps, seed
        self.average = deepcopy(finder).eval().requires_grad_(False)
        self.modules: Mapping[str, nn.Module] = {"finder": finder, "average": self.average}
        parameters = list(finder.parameters())
        adam = torch.optim.AdamW(parameters, weight_decay=0.01, fused=True)
        objective = Objective("finder", parameters, adam, self.losses, lambda step: WEIGHTS, self.lr_at, clip_norm=5.0)
        self.objectives: Sequence[Objective] = (objective,)
        self.num_frames_drawn = NUM_SCENES + NUM_WINDOWS

    def lr_at(self, step: int) -> float:
        return LR * min(1, (step + 1) / 30) * (0.01 + 0.99 * cosine(step / self.steps))

    def batch(self, step: int, share: Share) -> Batch:
        rng, config = step_generator(self.seed, step), self.finder.config
        scenes = make_scenes(self.stock, NUM_SCENES, SCENE, rng)
        return Batch(scenes, make_windows(self.stock, NUM_WINDOWS, config.window, config.reach, rng))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        self.finder.train()
        with torch.autocast("cpu", torch.bfloat16):
            cells = self.finder.spotter(batch.scenes.pictures.contiguous(memory_format=torch.channels_last))
            seen = self.finder.measurer(batch.windows.pictures.contiguous(memory_format=torch.channels_last))
        return spotter_losses(cells.float(), batch.scenes, self.finder) | measurer_losses(seen.float(), batch.windows)

    def after(self, step: int) -> None:
        follow(self.average, self.finder, min(AVERAGE, (step + 1) / (step + 10)))

    def preview(self, path: Path) -> None:
        """Scenes, each with what was found in it marked."""
        scenes = make_scenes(self.stock, 12, SCENE, torch.Generator().manual_seed(12))
        grid(torch.cat([marked(self.average, picture[None]) for picture in scenes.pictures]), 6, path, 2.0)


def train_finder(out: Path, effort: float = 1.0) -> Path:
    """Train in out/run_finder, going on where it was stopped; writes out/finder.safetensors."""
    steps = max(1, round(STEPS * effort))
    stock = load_stock(out, load_renders(out), torch.Generator().manual_seed(8), min(1.0, effort))
    task = FinderTask(fresh_finder(), stock, steps)
    folder = RunFolder(out / "run_finder")
    pace = LoopSchedule(steps, log_every=50, save_every=250, preview_every=500, tensorboard=False)
    with folder.locked():
        seconds = train(task, folder, pace, Workers("cpu"), "Face finder for doodle")
    path = out / "finder.safetensors"
    save_detector(path, task.average, half=True, domain="doodle", steps=steps, minutes=round(seconds / 60, 1))
    return path


def fresh_finder(seed: int = 0, **sizes) -> DomainDetector:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DomainDetector(dataclasses.replace(DetectorConfig(points_at_rest()), **sizes))


# What is minimised


def spotter_losses(cells: Float[Tensor, "n 6 h w"], scenes: Scenes, finder: DomainDetector) -> dict[str, Tensor]:
    """The focal loss of CornerNet (Law & Deng 2018) on where centres are, and the squares' L1 distance beside them."""
    stride = finder.spotter.stride
    h, w = cells.shape[2:]
    rows, columns = torch.arange(h).view(1, 1, h, 1), torch.arange(w).view(1, 1, 1, w)
    x, y = scenes.centres.real[..., None, None] / stride - 0.5, scenes.centres.imag[..., None, None] / stride - 0.5
    sides = 2 * scenes.axes.abs()[..., None, None]
    apart = (columns - x).square() + (rows - y).square()  # [n k h w], in cells
    blob = torch.exp(-apart / (2 * (0.09 * sides / stride).clamp(min=0.6).square()))
    nearest = (columns == x.round()) & (rows == y.round())
    found, unsure = scenes.seen >= IGNORED[1], (scenes.seen > IGNORED[0]) & (scenes.seen < IGNORED[1])
    is_centre = (nearest & found[..., None, None]).any(dim=1)
    heat = (blob * found[..., None, None]).amax(dim=1)
    counts = ((blob * unsure[..., None, None]).amax(dim=1) < 0.1).float()
    chance = cells[:, 0].sigmoid().clamp(1e-4, 1 - 1e-4)
    hit = -(1 - chance).square() * chance.log() * is_centre
    miss = -((1 - heat) ** 4) * chance.square() * (1 - chance).log() * counts * ~is_centre
    near = (blob * found[..., None, None]) * (apart < 2.5)
    wrong = torch.stack(
        [
            cells[:, None, 1] - (x - columns),
            cells[:, None, 2] - (y - rows),
            4 * (cells[:, None, 3] - torch.log(sides / finder.config.side)),
            2 * (cells[:, None, 4] - torch.cos(scenes.axes.angle())[..., None, None]),
            2 * (cells[:, None, 5] - torch.sin(scenes.axes.angle())[..., None, None]),
        ]
    )
    return {
        "centre": (hit + miss).sum() / found.sum().clamp(min=1),
        "square": (wrong.abs().sum(dim=0) * near).sum() / near.sum().clamp(min=1),
    }


def measurer_losses(seen: Float[Tensor, "n 5"], windows: Windows) -> dict[str, Tensor]:
    wrong = (seen[:, 1:] - windows.amiss).abs().sum(dim=1)
    return {
        "is_face": F.binary_cross_entropy_with_logits(seen[:, 0], windows.is_face.float()),
        "amiss": wrong[windows.is_face].sum() / windows.is_face.sum().clamp(min=1),
    }


# What it looks like


def marked(finder: DomainDetector, picture: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 h w"]:
    """A picture with the squares that the finder sees drawn in, a dot on the upper side of each."""
    image = Image.fromarray(to_uint8(picture)[0].numpy())
    pen = ImageDraw.Draw(image)
    centres, axes, _ = finder.squares(picture)
    for centre, axis in zip(centres.tolist(), axes.tolist(), strict=True):
        corners = [centre + axis * corner for corner in (-1 - 1j, 1 - 1j, 1 + 1j, -1 + 1j, -1 - 1j)]
        pen.line([(corner.real, corner.imag) for corner in corners], (0, 255, 0), max(1, image.width // 256))
        top = centre - axis * 1j
        pen.ellipse((top.real - 2, top.imag - 2, top.real + 2, top.imag + 2), (255, 0, 0))
    return pil_to_tensor(image)[None].float() / 127.5 - 1
