"""How the doodle domain is made: its stages in order, with their figures.

A stage is named like its file, and those names are older than some of the words in the code: "tricks" are adversarial
offsets, a "doubter" is an adversarially trained CLIP, the "finder" is the face detector.
"""

from dataclasses import replace
from functools import partial

from ...encoder.config import EncoderLosses, EncoderOptimizer
from ..detection.training import train_detector
from ..detection.trials import show_detector
from ..embedded_domain import Stage
from ..stages.adversarial_finetuning import finetune_synthesis
from ..stages.clip import find_adversarial_offsets, make_adversarially_trained_clip, make_clip
from ..stages.encoder import EncoderPhase, show_inversions, train_encoder
from ..stages.export import export
from ..stages.generator import SynthesisPhase, show_synthesis, train_synthesis
from ..stages.judge import train_judge
from ..stages.mapping import distil_mapping, show_seeds
from ..stages.motion import make_motion, show_motion
from ..stages.renders import draw_renders, show_presets

SYNTHESIS = (
    SynthesisPhase(resolution=32, batch=32, images=20_000, lr=1e-2, lr_end=6e-3),
    SynthesisPhase(resolution=64, batch=16, images=26_000, lr=9e-3, lr_end=6e-3),
    SynthesisPhase(resolution=128, batch=12, images=90_000, lr=8e-3, lr_end=3e-4),
)

CODES_ALONE = EncoderLosses(l2=0.0, perceptual=0.0, identity=0.0, delta=0.0, w_discriminator=0.0)
SETTINGS = EncoderOptimizer(warmup=50, average=0.995, compiled=True)
ENCODER = (
    EncoderPhase("codes", 3_600, 32, CODES_ALONE, replace(SETTINGS, lr=2e-3, lr_end=0.05, clip_norm=None)),
    EncoderPhase(
        "pictures",
        10_000,
        12,
        replace(CODES_ALONE, latent=0.5, spread=0.02),
        replace(SETTINGS, lr=8e-4, lr_end=0.02),
        pixels=1.0,
    ),
    EncoderPhase(
        "closer",
        1_000,
        12,
        replace(CODES_ALONE, latent=0.05, spread=0.02),
        replace(SETTINGS, lr=5e-4, lr_end=0.02),
        pixels=1.0,
        square=20.0,
    ),
)

STAGES = {
    "renders": Stage("renders.npy", partial(draw_renders, count=28_000), show_presets),
    "judge": Stage("judge.safetensors", partial(train_judge, steps=1_400)),
    "synthesis": Stage(
        "synthesis.safetensors", partial(train_synthesis, phases=SYNTHESIS), partial(show_synthesis, name="synthesis")
    ),
    "finish": Stage(
        "finished.safetensors", partial(finetune_synthesis, steps=1_400), partial(show_synthesis, name="finished")
    ),
    "mapping": Stage("generator.safetensors", partial(distil_mapping, steps=5_000), show_seeds),
    "clip": Stage("clip.safetensors", make_clip),
    "tricks": Stage("tricks.safetensors", partial(find_adversarial_offsets, name="tricks", scorers=())),
    "doubter": Stage(
        "doubter.safetensors", partial(make_adversarially_trained_clip, name="doubter", offsets="tricks", seed=6)
    ),
    "tricks2": Stage(
        "tricks2.safetensors",
        partial(find_adversarial_offsets, name="tricks2", scorers=("clip_renders", "doubter"), before="tricks"),
    ),
    "doubter2": Stage(
        "doubter2.safetensors", partial(make_adversarially_trained_clip, name="doubter2", offsets="tricks2", seed=7)
    ),
    "encoder": Stage("encoder.safetensors", partial(train_encoder, phases=ENCODER), show_inversions),
    "motion": Stage("motion.safetensors", make_motion, show_motion),
    "finder": Stage("finder.safetensors", partial(train_detector, steps=4_000), show_detector),
    "export": Stage("domain/domain.json", export),
}
