"""A tiny domain of random networks in a folder: every step of the main job in a fraction of a second."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import open_clip
import pytest
import torch
from factories import tiny_generator_config

from lga_core import Encoder, Generator, MotionConfig, MotionModel
from lga_core.checkpoints.models import save_encoder, save_generator, save_motion
from lga_core.clip import save_clip
from lga_core.formats.fingerprints import fingerprint
from lga_core.inversion.encoder import EncoderConfig

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:  # importlib mode does not add it; tests say `from toy_training import ...`
    sys.path.insert(0, str(HERE))

PROMPTS = {
    "smiling": "The cartoon face is smiling.",
    "sad": "The cartoon face is sad.",
    "has blonde hair": "The cartoon face has blonde hair.",
}
KNOWN_WORDS = "the cartoon face is has smiling sad blonde hair furious ."
CLIP_CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="session")
def domain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("domain")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = Generator(tiny_generator_config(32, 16))
        mark = fingerprint(generator)
        rows = {"num_ws": generator.num_ws, "w_dim": 16}
        encoder = Encoder(
            EncoderConfig(**rows, input_size=32, widths=(4, 4, 4, 4), units=(1, 1, 1, 1), heads="dense", dense_pool=2)
        )
        motion = MotionModel(MotionConfig(code_dim=24, **rows, hidden_dim=16, mapper_dim=16))
        clip = open_clip.CLIP(**CLIP_CONFIG)
    save_generator(folder / "generator.safetensors", generator)
    save_encoder(folder / "encoder.safetensors", encoder, generator_fingerprint=mark)
    save_motion(folder / "motion.safetensors", motion, generator_fingerprint=mark)
    token_ids = open_clip.SimpleTokenizer().encode(KNOWN_WORDS)
    save_clip(folder / "clip.safetensors", clip, CLIP_CONFIG, token_ids, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    (folder / "domain.json").write_text(
        json.dumps(
            {
                "name": "tiny",
                "template": "The cartoon face is {}.",
                "prompts": [{"prompt": prompt, "sentence": sentence} for prompt, sentence in PROMPTS.items()],
                "files": {part: f"{part}.safetensors" for part in ("generator", "encoder", "clip", "motion")},
                "fingerprint": mark,
            }
        )
    )
    return folder
