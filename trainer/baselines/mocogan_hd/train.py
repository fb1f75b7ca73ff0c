"""`lga train mocogan`: the hooks of training/pipeline.py for MoCoGAN-HD's motion generator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from lga_core import Generator, InputError
from lga_core.baselines import MocoganConfig, MocoganMotion
from lga_core.checkpoints import save_mocogan
from lga_core.stylegan2 import PrincipalComponents, principal_components

from ...data.augmentation import at_score_size
from ...data.faces import folder_fingerprint
from ...data.frozen_models import check_synthesis, find_generator, frozen_synthesis
from ...data.videos import Clips, Folder, Videos, find_videos
from ...domain_plugin import DomainPlugin, plugin_of
from ...metrics.motion import first_step_share
from ...reports.clip_sheets import clip_sheet
from ...reports.page import write_report
from ...training.config import StepPlan
from ...training.distributed import Workers
from ...training.pipeline import Training, run, save_half
from ...training.run_folder import RunFolder
from .config import MocoganRun, MocoganVideos
from .task import Draw, MocoganTask

NUM_ON_SHEET = 8


class MocoganInputs(NamedTuple):
    """The frozen generator that moves, the plugin of its domain, and the videos to learn from."""

    name: str
    generator: Generator
    plugin: DomainPlugin
    videos: Videos
    licence: str | None


def train_mocogan(settings: MocoganRun) -> Path:
    """Train a motion generator from the state in the run's folder, if there is one; its file.

    Raises an LgaError for whatever a person can put right, and loop.Stopped when a person stops it.
    """
    return run(MocoganTraining(settings))


class MocoganTraining(Training[MocoganRun, MocoganInputs, MocoganTask]):
    result = "mocogan.safetensors"

    def load(self, folder: Path, device: torch.device) -> MocoganInputs:
        run = self.settings
        name, generator, _, licence = find_generator(run.generator, folder, device)
        check_synthesis(run.optimizer, generator)
        largest = generator.config.resolution
        if run.film.size > largest:
            raise InputError(
                f"--film.size is {run.film.size}, but the generator draws {largest} px. Take at most that."
            )
        plugin = plugin_of(generator)
        return MocoganInputs(name, generator, plugin, open_videos(run.videos, run.film, plugin, run.seed), licence)

    def fingerprints(self, inputs: MocoganInputs) -> dict[str, Any]:
        videos = None if self.settings.videos is None else Path(self.settings.videos)
        return {"videos": None if videos is None else folder_fingerprint(videos, find_videos(videos))}

    def task(self, inputs: MocoganInputs, folder: RunFolder, workers: Workers) -> MocoganTask:
        with workers.after_the_first():  # the others read what it has cached
            pca = find_pca(inputs.generator, self.settings.directions_from, folder.path)
        return self.assemble(inputs, pca)

    def assemble(self, inputs: MocoganInputs, pca: PrincipalComponents) -> MocoganTask:
        """The task: a fresh motion generator, with the frozen generator and the videos."""
        run, w_dim = self.settings, inputs.generator.config.w_dim
        config = MocoganConfig(w_dim, run.model.hidden_dim, min(run.model.num_directions, w_dim), run.model.step_size)
        return MocoganTask(
            StepPlan.of(run),
            run.losses,
            run.optimizer,
            run.film,
            run.psi,
            MocoganMotion(config, run.seed).to(inputs.generator.w_avg.device),
            inputs.generator,
            self.draw(inputs),
            inputs.videos,
            pca,
            run.videos is not None if run.film.cross_domain is None else run.film.cross_domain,
        )

    def draw(self, inputs: MocoganInputs) -> Draw:
        """The frozen generator at the videos' size: by a mean over its pixels, or by its first blocks alone."""
        film = self.settings.film
        synthesis, size = frozen_synthesis(inputs.generator, self.settings.optimizer), film.size
        is_small = inputs.plugin.skips_are_images if film.draw_small is None else film.draw_small
        enough = next(side for side in inputs.generator.config.block_resolutions if side >= size)
        largest = enough if is_small else None
        return lambda ws: at_score_size(synthesis(ws, largest), size)

    def title(self, inputs: MocoganInputs) -> str:
        return f"MoCoGAN-HD for {inputs.name}, from {inputs.videos.label}"

    def measure(self, inputs: MocoganInputs, task: MocoganTask) -> dict[str, Any]:
        return measure(task, self.settings.watch.report_faces)

    def save(
        self,
        path: Path,
        inputs: MocoganInputs,
        task: MocoganTask,
        figures: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> None:
        said = {**metadata, "videos": task.videos.label, "figures": dict(figures)}
        save_half(save_mocogan, path, task.result(), **said)

    def report(
        self,
        folder: Path,
        inputs: MocoganInputs,
        task: MocoganTask,
        figures: dict[str, Any],
        facts: Mapping[str, str],
    ) -> None:
        run, sheet, ws = self.settings, folder / "sheet.png", task.faces(NUM_ON_SHEET)
        with torch.no_grad():
            motion = task.model(ws, task.pca, run.film.num_frames)
        clip_sheet(inputs.generator.synthesis, ws, motion, sheet, list(task.examples(2)))
        said = {
            "generator": f"{inputs.name}, {inputs.generator.config.resolution} px",
            "videos": f"{task.videos.label}, {'of another domain' if task.cross_domain else 'of its own domain'}",
            "clips": f"{run.film.num_frames} frames at {run.film.size} px",
            "preset": run.preset,
            "steps": f"{run.steps} of {run.batch} clips",
            **facts,
        }
        shown = [("Faces that were not trained on, over two of the videos", sheet)]
        write_report(folder, f"MoCoGAN-HD for {inputs.name}", said, figures, shown, task.videos.notes)


def open_videos(folder: str | None, film: MocoganVideos, plugin: DomainPlugin, seed: int) -> Videos:
    """The folder's, or rendered ones. Raises InputError where there are neither."""
    if folder is not None:
        return Folder(Path(folder), film.num_frames, film.time_step, film.size)
    if plugin.videos is None:
        raise InputError(
            "--videos is missing: give a folder of videos to learn from. (Only embedded domains render their own.)"
        )
    return plugin.videos(film.count, film.num_frames, film.time_step, film.size, seed)


def find_pca(generator: Generator, num_samples: int, cache: Path) -> PrincipalComponents:
    """PCA of the generator's W, from `num_samples` random faces; read from the folder `cache` where it is there."""
    with tqdm(total=num_samples, desc="PCA of W", leave=False, disable=None) as progress:

        def show(done: int, _: int) -> None:
            progress.update(done - progress.n)

        return principal_components(generator, num_samples, cache, show)


@torch.no_grad()
def measure(task: MocoganTask, num_faces: int) -> dict[str, Any]:
    """How much faces that no step has seen move, and how much the videos do."""
    ws = task.faces(num_faces)
    motion = task.model(ws, task.pca, task.film.num_frames)
    clips = torch.cat(
        [task.draw_clip(face[:, 0] + way[None, :, 0]) for face, way in zip(ws.split(1), motion, strict=True)]
    )
    return {
        "baseline": "mocogan",
        "num_faces": num_faces,
        "motion": movement(clips.clamp(-1, 1)),
        "motion_videos": movement(task.examples(num_faces)),
        "first_step_share": first_step_share(motion),
    }


def movement(clips: Clips) -> float:
    """Mean absolute difference of a clip's pixels from those of its first frame."""
    return (clips[:, 1:] - clips[:, :1]).abs().mean().item()
