"""The doodle motion model: `lga train motion` on what the build has made so far."""

from pathlib import Path

from ....domain_plugin import DomainPlugin
from ....motion.config import MotionRun
from ....motion.train import train_motion
from ....training.config import Watch

STEPS = 1_700
REPORT_FACES = 48


def train_doodle_motion(out: Path, plugin: DomainPlugin, folder: str, effort: float = 1.0) -> Path:
    """Train in `out`/`folder`, with the build's own plugin in place of the one that ships; the model's file.

    `effort` scales the number of steps.
    """
    run = MotionRun(
        generator=str(out / "generator.safetensors"),
        name="doodle",
        clip=str(out / "clip.safetensors"),
        prompts="doodle",
        out=str(out / folder),
        steps=max(1, round(STEPS * effort)),
        watch=Watch(report_faces=max(2, min(REPORT_FACES, round(REPORT_FACES * effort))), tensorboard=False),
    )
    return train_motion(run, plugin=plugin)
