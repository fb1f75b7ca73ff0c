"""The doodle motion model: `lga train motion` on the frozen generator, with every CLIP that there is as a scorer."""

from collections.abc import Sequence
from pathlib import Path

from ..config import MotionRun, Watch
from ..train_motion import train_motion

STEPS = 1_700
REPORT_FACES = 48


def train_doodle_motion(out: Path, scorers: Sequence[str], folder: str, effort: float = 1.0) -> Path:
    """Train in `out`/`folder`, scored by the CLIPs `scorers` (names of files in `out`); the model's file.

    `effort` scales the number of steps.
    """
    run = MotionRun(
        generator=str(out / "generator.safetensors"),
        name="doodle",
        clip=str(out / "clip.safetensors"),
        score_clips=tuple(str(out / f"{name}.safetensors") for name in scorers),
        prompts="doodle",
        out=str(out / folder),
        steps=max(1, round(STEPS * effort)),
        watch=Watch(report_faces=max(2, min(REPORT_FACES, round(REPORT_FACES * effort))), tensorboard=False),
    )
    return train_motion(run)
