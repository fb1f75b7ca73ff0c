"""Train the domain's face detector, on faces put at random into backgrounds: a fresh scene every time."""

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

from lga_core.faces.detection import DetectorConfig, DomainDetector, save_detector
from lga_core.imaging import to_uint8

from ...reports.contact_sheets import grid
from ...training.distributed import Share, Workers
from ...training.loop import LoopSchedule, Objective, cosine, ema_update, step_generator, train
from ...training.run_folder import RunFolder
from ..embedded_domain import BuildFolder
from ..renderer import Point
from .scenes import Scenes, Stock, Windows, load_stock, make_scenes, make_windows

NUM_SCENES, NUM_WINDOWS, SCENE = 16, 48, 128
LR, AVERAGE = 3e-3, 0.99
WEIGHTS = {"center": 1.0, "square": 1.0, "is_face": 1.0, "errors": 6.0}
IGNORED = (0.3, 0.6)
"""A face of which less is seen is none, and one of which more is seen must be found."""


@dataclass(frozen=True)
class Batch:
    scenes: Scenes
    windows: Windows


class DetectorTask:
    """What the loop trains: both networks of a detector, on scenes and windows from a stock of pictures."""

    def __init__(self, detector: DomainDetector, stock: Stock, steps: int, seed: int = 0) -> None:
        self.detector, self.stock, self.steps, self.seed = detector, stock, steps, seed
        self.average = deepcopy(detector).eval().requires_grad_(False)
        self.modules: Mapping[str, nn.Module] = {"detector": detector, "average": self.average}
        parameters = list(detector.parameters())
        adam = torch.optim.AdamW(parameters, weight_decay=0.01, fused=True)
        objective = Objective(
            "detector", parameters, adam, self.losses, lambda step: WEIGHTS, self.lr_at, clip_norm=5.0
        )
        self.objectives: Sequence[Objective] = (objective,)
        self.num_frames_drawn = NUM_SCENES + NUM_WINDOWS

    def lr_at(self, step: int) -> float:
        return LR * min(1, (step + 1) / 30) * (0.01 + 0.99 * cosine(step / self.steps))

    def batch(self, step: int, share: Share) -> Batch:
        rng, config = step_generator(self.seed, step), self.detector.config
        scenes = make_scenes(self.stock, NUM_SCENES, SCENE, rng)
        return Batch(scenes, make_windows(self.stock, NUM_WINDOWS, config.window, config.reach, rng))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        self.detector.train()
        with torch.autocast("cpu", torch.bfloat16):
            cells = self.detector.spotter(batch.scenes.pictures.contiguous(memory_format=torch.channels_last))
            seen = self.detector.measurer(batch.windows.pictures.contiguous(memory_format=torch.channels_last))
        return proposal_losses(cells.float(), batch.scenes, self.detector) | regression_losses(
            seen.float(), batch.windows
        )

    def after(self, step: int) -> None:
        ema_update(self.average, self.detector, min(AVERAGE, (step + 1) / (step + 10)))

    def preview(self, path: Path) -> None:
        """Scenes, each with what was found in it marked."""
        scenes = make_scenes(self.stock, 12, SCENE, torch.Generator().manual_seed(12))
        grid(torch.cat([marked(self.average, picture[None]) for picture in scenes.pictures]), 6, path, 2.0)


def train_detector(build: BuildFolder, steps: int) -> None:
    """Train in run_finder, going on where it was stopped; writes finder.safetensors."""
    steps, name = build.scaled(steps), build.domain.name
    stock = load_stock(build, torch.Generator().manual_seed(8))
    task = DetectorTask(fresh_detector(build.domain.renderer.points_at_rest), stock, steps)
    folder = RunFolder(build.path / "run_finder")
    schedule = LoopSchedule(steps, log_every=50, save_every=250, preview_every=500, tensorboard=False)
    with folder.locked():
        seconds = train(task, folder, schedule, Workers("cpu"), f"Face detector of the {name} domain")
    said = {"domain": name, "steps": steps, "minutes": round(seconds / 60, 1)}
    save_detector(build.file("finder"), task.average, half=True, **said)


def fresh_detector(points: Sequence[Point], seed: int = 0, **sizes) -> DomainDetector:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DomainDetector(dataclasses.replace(DetectorConfig(tuple(points)), **sizes))


# What is minimised


def proposal_losses(cells: Float[Tensor, "n 6 h w"], scenes: Scenes, detector: DomainDetector) -> dict[str, Tensor]:
    """The focal loss of CornerNet (Law & Deng 2018) on where centers are, and the squares' L1 distance beside them."""
    stride = detector.spotter.stride
    h, w = cells.shape[2:]
    rows, columns = torch.arange(h).view(1, 1, h, 1), torch.arange(w).view(1, 1, 1, w)
    x, y = scenes.centers.real[..., None, None] / stride - 0.5, scenes.centers.imag[..., None, None] / stride - 0.5
    sides = 2 * scenes.axes.abs()[..., None, None]
    apart = (columns - x).square() + (rows - y).square()  # [n k h w], in cells
    blob = torch.exp(-apart / (2 * (0.09 * sides / stride).clamp(min=0.6).square()))
    nearest = (columns == x.round()) & (rows == y.round())
    found, unsure = scenes.seen >= IGNORED[1], (scenes.seen > IGNORED[0]) & (scenes.seen < IGNORED[1])
    is_center = (nearest & found[..., None, None]).any(dim=1)
    heat = (blob * found[..., None, None]).amax(dim=1)
    counts = ((blob * unsure[..., None, None]).amax(dim=1) < 0.1).float()
    chance = cells[:, 0].sigmoid().clamp(1e-4, 1 - 1e-4)
    hit = -(1 - chance).square() * chance.log() * is_center
    miss = -((1 - heat) ** 4) * chance.square() * (1 - chance).log() * counts * ~is_center
    near = (blob * found[..., None, None]) * (apart < 2.5)
    wrong = torch.stack(
        [
            cells[:, None, 1] - (x - columns),
            cells[:, None, 2] - (y - rows),
            4 * (cells[:, None, 3] - torch.log(sides / detector.config.side)),
            2 * (cells[:, None, 4] - torch.cos(scenes.axes.angle())[..., None, None]),
            2 * (cells[:, None, 5] - torch.sin(scenes.axes.angle())[..., None, None]),
        ]
    )
    return {
        "center": (hit + miss).sum() / found.sum().clamp(min=1),
        "square": (wrong.abs().sum(dim=0) * near).sum() / near.sum().clamp(min=1),
    }


def regression_losses(seen: Float[Tensor, "n 5"], windows: Windows) -> dict[str, Tensor]:
    wrong = (seen[:, 1:] - windows.errors).abs().sum(dim=1)
    return {
        "is_face": F.binary_cross_entropy_with_logits(seen[:, 0], windows.is_face.float()),
        "errors": wrong[windows.is_face].sum() / windows.is_face.sum().clamp(min=1),
    }


# What it looks like


def marked(detector: DomainDetector, picture: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 h w"]:
    """A picture with the squares that the detector finds drawn in, a dot on the upper side of each."""
    image = Image.fromarray(to_uint8(picture)[0].numpy())
    pen = ImageDraw.Draw(image)
    centers, axes, _ = detector.squares(picture)
    for center, axis in zip(centers.tolist(), axes.tolist(), strict=True):
        corners = [center + axis * corner for corner in (-1 - 1j, 1 - 1j, 1 + 1j, -1 + 1j, -1 - 1j)]
        pen.line([(corner.real, corner.imag) for corner in corners], (0, 255, 0), max(1, image.width // 256))
        top = center - axis * 1j
        pen.ellipse((top.real - 2, top.imag - 2, top.real + 2, top.imag + 2), (255, 0, 0))
    return pil_to_tensor(image)[None].float() / 127.5 - 1
