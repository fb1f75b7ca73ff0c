"""Tiny domains of random networks, and what Load Domain gives out of a domain."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from pack import core, run

EXPRESSIONS = ("smiling", "happy", "sad", "angry", "annoyed", "serious", "surprised", "shocked", "stunned", "crying")
VOCABULARY = f"the cartoon face is has it {' '.join(EXPRESSIONS)} stormy blonde hair ."
WORDING = core.motion.Wording("The cartoon face is {}.", {word: f"The cartoon face is {word}." for word in EXPRESSIONS})
CLIP_CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
ENCODER = {"input_size": 32, "widths": (4, 4, 4, 4), "units": (1, 1, 1, 1), "heads": "dense", "dense_pool": 2}
PARTS = {"generator": "generators", "encoder": "encoders", "clip": "clip", "motion": "motion"}
"""Folder of models/lga/ of each part of a domain."""


@dataclass(frozen=True)
class Loaded:
    """What Load Domain gives out."""

    generator: Any
    encoder: Any
    clip: Any
    motion_model: Any

    def faces(self, n: int = 1, seed: int = 0) -> Any:
        return run("LGA_SampleFace", generator=self.generator, seed=seed, batch_size=n)[0]

    def text(self, text: str = "smiling", **more: Any) -> Any:
        return run("LGA_EncodeText", clip=self.clip, motion_model=self.motion_model, text=text, **more)[0]

    def motion(self, text: str = "smiling", frames: int = 6, image: torch.Tensor | None = None, **more: Any) -> Any:
        encoded = self.text(text) if image is None else self.text(text, image=image)
        return run("LGA_MotionRollout", motion_model=self.motion_model, text=encoded, frames=frames, **more)[0]


def make_domain(models: Path, name: str, seed: int) -> None:
    """A domain, 16 px and 6 x 16 numbers a face, below `models`/lga: its folder, and each of its parts by itself."""
    import open_clip

    generator = core.Generator(core.GeneratorConfig(16, z_dim=16, w_dim=16, channel_base=128, channel_max=8), seed)
    rows = {"num_ws": generator.num_ws, "w_dim": 16}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        clip = open_clip.CLIP(**CLIP_CONFIG)
    ids = open_clip.SimpleTokenizer().encode(VOCABULARY)
    folders = {part: models / "lga" / kind for part, kind in PARTS.items()}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    file = {part: folder / f"{name}.safetensors" for part, folder in folders.items()}
    core.clip.save_clip(file["clip"], clip, CLIP_CONFIG, ids, (0.5,) * 3, (0.25,) * 3)
    made_for = {"generator_fingerprint": core.formats.fingerprint(generator), "generator": name}
    knows = {"clip_fingerprint": core.load_clip(file["clip"]).fingerprint, "clip": name, **WORDING.described()}
    core.checkpoints.save_generator(file["generator"], generator)
    core.checkpoints.save_encoder(
        file["encoder"], core.Encoder(core.inversion.EncoderConfig(**rows, **ENCODER), seed), **made_for
    )
    motion = core.MotionModel(core.MotionConfig(code_dim=24, **rows, hidden_dim=16, mapper_dim=16), seed)
    core.checkpoints.save_motion(file["motion"], motion, **made_for, **knows)
    card = {
        "name": name,
        **WORDING.described(),
        "files": {part: f"../../{folders[part].name}/{file[part].name}" for part in PARTS},
        "fingerprint": made_for["generator_fingerprint"],
    }
    make_identity(models, name, seed)
    make_baselines(models, name, seed, made_for)
    home = models / "lga" / "domains" / name
    home.mkdir(parents=True)
    (home / "domain.json").write_text(json.dumps(card))


def make_identity(models: Path, name: str, seed: int) -> None:
    """An identity network, slim and random."""
    folder = models / "lga" / "identity"
    folder.mkdir(exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = core.metrics.IdentityNetwork(core.metrics.arcface.IdentityConfig((16,) * 4))
    tensors = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    core.formats.save_checkpoint(folder / f"{name}.safetensors", "identity", tensors, {})


def make_baselines(models: Path, name: str, seed: int, made_for: dict[str, str]) -> None:
    """A mapper of StyleCLIP and a motion generator of MoCoGAN-HD, random, for this generator."""
    for folder in ("mappers", "mocogan"):
        (models / "lga" / folder).mkdir(exist_ok=True)
    mapper = core.baselines.styleclip.LatentMapper(core.baselines.styleclip.LatentMapperConfig(w_dim=16), seed)
    core.checkpoints.save_latent_mapper(
        models / f"lga/mappers/{name}.safetensors", mapper, sentence="a glad face", **made_for
    )
    motion = core.baselines.MocoganMotion(core.baselines.MocoganConfig(w_dim=16, hidden_dim=8, num_directions=4), seed)
    core.checkpoints.save_mocogan(models / f"lga/mocogan/{name}.safetensors", motion, **made_for)


def loaded(folder: Path, domain: str) -> Loaded:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return Loaded(*run("LGA_LoadDomain", domain=domain))
