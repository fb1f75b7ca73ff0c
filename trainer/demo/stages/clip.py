"""The domain's own CLIPs: one that motions start from, and further ones that only score them.

Training on generated faces, and on faces whose W+ was disturbed in ways that change no attribute, teaches CLIP not to
be impressed by what only a generator can do. What still fools it are the offsets of a motion that was trained to please
it: adversarial offsets. A CLIP that is trained on those too is one more opinion on later motions. A zero-shot gate
stands before any motion is trained.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lga_core import InputError, load_clip, load_motion

from ..embedded_domain import BuildFolder
from .clip_faces import FacePool, generated_pool, joined, render_pool
from .clip_model import train_clip, zero_shot
from .motion import train_build_motion

GATE = 0.85
"""Least share of generated true presets that CLIP must name."""
STEPS, NUM_GENERATED = 1_500, 9_000
KEY = "tricks"
"""Of the adversarial offsets in their file."""


def make_clip(build: BuildFolder) -> None:
    """On renders alone (clip_renders.safetensors), then also on generated faces and disturbed ones."""
    first, second = build.file("clip_renders"), build.file("clip_ungated")
    if not first.exists():
        train_clip(build.domain, render_pool(build.renders()), first, build.scaled(STEPS))
    train_clip(build.domain, mixed_pool(build), second, build.scaled(STEPS), first, lr=8e-4)
    check_gate(build, second)
    second.replace(build.file("clip"))


def find_adversarial_offsets(build: BuildFolder, name: str, scorers: Sequence[str], before: str | None = None) -> None:
    """Let a motion please these CLIPs, and keep its offsets: some of them mean nothing to a person.

    They go into `name`.safetensors, with those of the file `before`.
    """
    space, lexicon = build.domain.attributes, build.domain.lexicon
    generator, clip = build.generator(), build.clip()
    model = load_motion(train_build_motion(build, f"run_{name}", scorers))
    faces = space.sample_neutral(24, torch.Generator().manual_seed(70))
    ws = generator.broadcast(build.attribute_map().to_w(faces))
    with torch.no_grad():
        pictures = clip.encode_images(generator.synthesis(ws))
        text = clip.encode_text([lexicon.sentences[prompt] for prompt in space.expression_prompts])
        offsets = [model(sentence[None], pictures, 4)[:, -1, 0] for sentence in text]
    if before is not None:
        offsets.insert(0, load_file(build.file(before))[KEY])
    save_file({KEY: torch.cat(offsets)}, build.file(name))


def make_adversarially_trained_clip(build: BuildFolder, name: str, offsets: str, seed: int) -> None:
    """A CLIP that was shown the adversarial offsets in the file `offsets`; it ships for training alone."""
    shown = load_file(build.file(offsets))[KEY]
    pool, path = mixed_pool(build, 10 + seed, shown), build.file(f"{name}_ungated")
    train_clip(build.domain, pool, path, build.scaled(STEPS), build.file("clip"), lr=8e-4, seed=seed)
    check_gate(build, path)
    path.replace(build.file(name))


def mixed_pool(build: BuildFolder, seed: int = 3, offsets: Tensor | None = None) -> FacePool:
    """A third renders, two thirds faces that the generator draws."""
    n = build.scaled(NUM_GENERATED)
    generated = generated_pool(build.domain.attributes, build.generator(), build.attribute_map(), n, seed, offsets)
    return joined(render_pool(build.renders(), n // 2), generated)


def check_gate(build: BuildFolder, path: Path) -> None:
    """Raises InputError for a CLIP that cannot tell true presets apart; a rehearsal only prints its scores."""
    score = generated_zero_shot(build, path)
    if score < GATE and build.effort >= 1:
        raise InputError(
            f"{path.name} names {score:.2f} of the generated presets; a motion needs at least {GATE}. Train it longer: "
            "give a larger --effort."
        )


def generated_zero_shot(build: BuildFolder, path: Path) -> float:
    generator, attribute_map = build.generator(), build.attribute_map()

    def draw(attributes: Tensor) -> Tensor:
        return generator.synthesis(generator.broadcast(attribute_map.to_w(attributes)))

    faces = build.domain.attributes.sample_neutral(48, torch.Generator().manual_seed(999))
    scores = zero_shot(build.domain, load_clip(path), draw, faces)
    print("zero-shot on generated presets:", {name: round(score, 2) for name, score in scores.items()})
    return sum(scores.values()) / len(scores)
