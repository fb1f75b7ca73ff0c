"""The motion model: `lga train motion` on what the build has made so far."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from lga_core import load_motion

from ...motion.config import MotionRun
from ...motion.train import train_motion
from ...reports.contact_sheets import sheet
from ...training.config import Watch
from ..contact_sheets import motion_rows
from ..embedded_domain import BuildFolder
from ..plugin import embedded_plugin

STEPS = 1_700
REPORT_FACES = 48
PICTURE_SEED = 7


def train_build_motion(build: BuildFolder, folder: str, scorers: Sequence[str] | None = None) -> Path:
    """Train in `folder`, scored by the domain's CLIP and `scorers` of the build (None: all); the model's file."""
    plugin = embedded_plugin(build.domain, build.path)
    if scorers is not None:
        plugin = replace(plugin, scorers=tuple(str(build.file(scorer)) for scorer in scorers))
    run = MotionRun(
        generator=str(build.file("generator")),
        name=build.domain.name,
        clip=str(build.file("clip")),
        prompts=build.domain.prompts,
        out=str(build.path / folder),
        steps=build.scaled(STEPS),
        watch=Watch(report_faces=max(2, min(REPORT_FACES, round(REPORT_FACES * build.effort))), tensorboard=False),
    )
    return train_motion(run, plugin=plugin)


def make_motion(build: BuildFolder) -> None:
    """All the CLIPs have to be convinced; the domain's own starts the motion."""
    shutil.copyfile(train_build_motion(build, "run_motion"), build.file("motion"))


def show_motion(build: BuildFolder) -> None:
    generator, motion = build.generator(), load_motion(build.file("motion"))
    faces = build.domain.attributes.sample_neutral(24, torch.Generator().manual_seed(PICTURE_SEED))
    ws = generator.broadcast(build.attribute_map().to_w(faces))
    sentences = build.domain.lexicon.sentences
    rows = motion_rows(generator, build.clip(), motion, ws, list(sentences.values()))
    sheet(rows, list(sentences), build.path / "motion.png")
