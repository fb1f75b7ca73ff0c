"""A domain with a renderer, attributes and words of its own is made by the stages that the doodle is made by."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from factories import tiny_generator_config

from lga_core import load_generator
from lga_core.faces.detection import load_detector
from lga_trainer.demo import build as build_module
from lga_trainer.demo.attributes import AttributeSpace
from lga_trainer.demo.build import build
from lga_trainer.demo.checks.judge_adapter import AttributeJudge
from lga_trainer.demo.checks.motion_metrics import motion_bars
from lga_trainer.demo.detection.training import train_detector
from lga_trainer.demo.embedded_domain import EmbeddedDomain, Showcase, Stage
from lga_trainer.demo.render_videos import rendered_video
from lga_trainer.demo.renderer import Renderer
from lga_trainer.demo.stages import adversarial_finetuning, generator
from lga_trainer.demo.stages.adversarial_finetuning import finetune_synthesis
from lga_trainer.demo.stages.clip_faces import render_pool
from lga_trainer.demo.stages.clip_model import train_clip
from lga_trainer.demo.stages.generator import SynthesisPhase, show_synthesis, train_synthesis
from lga_trainer.demo.stages.judge import train_judge
from lga_trainer.demo.stages.mapping import distil_mapping, show_seeds
from lga_trainer.demo.stages.renders import draw_renders, show_presets
from lga_trainer.demo.stages.training_synthesis import Epilogues
from lga_trainer.demo.words.lexicon import Concept, Lexicon

NAMES = ("green", "smile", "left", "right", "yaw")
NEUTRAL = (0.5, 0.0, 0.0, 0.0, 0.0)
PRESETS = {"glad": {1: 1.0}, "blinking": {2: 1.0, 3: 1.0}, "green": {0: 1.0}}


def with_preset(faces, prompt):
    faces = faces.clone()
    for column, value in PRESETS[prompt].items():
        faces[:, column] = value
    return faces


def sample_neutral(n, rng):
    faces = torch.tensor(NEUTRAL).repeat(n, 1)
    faces[:, 0] = 0.6 * torch.rand(n, generator=rng)
    return faces


def sample(n, rng):
    return torch.rand(n, len(NAMES), generator=rng), [""] * n


def render(attributes, resolution):
    """A disc that is greener or not, and a bar on it that is as bright as it smiles or winks."""
    axis = torch.linspace(-1, 1, resolution)
    disc = ((axis[:, None] ** 2 + axis**2) < 0.7).float()
    mouth = ((axis[:, None] - 0.5).abs() < 0.2).float() * disc
    green, smile, wink = (attributes[:, column, None, None] for column in (0, 1, 2))
    return torch.stack([disc + 0 * green, disc * green, mouth * (smile + wink) / 2], dim=1) * 2 - 1


ATTRIBUTES = AttributeSpace(
    names=NAMES,
    expression=NAMES[1:4],
    expression_prompts=("glad", "blinking"),
    other_prompts=("green",),
    from_normal=torch.sigmoid,
    sample=sample,
    sample_neutral=sample_neutral,
    with_preset=with_preset,
    bounded=lambda faces: faces.clamp(0, 1),
    named={"glad": ("smile",), "blinking": ("left", "right"), "green": ("green",)},
    preserved={"glad": ("green", "yaw"), "blinking": ("green", "yaw"), "green": ("yaw",)},
    person=("green",),
    restyled=("green",),
    one_sided=("smile",),
    sway={"yaw": 0.2},
    lids=("left", "right"),
)
LEXICON = Lexicon(
    attributes=ATTRIBUTES,
    concepts={
        "glad": Concept("state", lambda p: [p("smile") - 0.5], ("glad",), ("merry",)),
        "blinking": Concept("state", lambda p: [p("left") - 0.5, p("right") - 0.5], ("blinking",)),
        "green": Concept("state", lambda p: [p("green") - 0.5], ("green",)),
    },
    templates={"state": ("The disc is {}.",)},
    template="The disc is {}.",
    subject="The disc",
    neutral_phrases=("a disc",),
    sentences={prompt: f"The disc is {prompt}." for prompt in PRESETS},
)


@pytest.fixture(scope="module")
def discs(tmp_path_factory) -> EmbeddedDomain:
    """Stages that need no motion, of a step or two each."""

    def make_clip(folder):
        train_clip(folder.domain, render_pool(folder.renders(), 64), folder.file("clip"), steps=1)

    phase = SynthesisPhase(resolution=32, batch=4, images=4, lr=1e-2, lr_end=1e-3)
    return EmbeddedDomain(
        name="discs",
        assets=tmp_path_factory.mktemp("discs"),
        attributes=ATTRIBUTES,
        renderer=Renderer(
            render=render,
            coverage=lambda attributes, resolution: render(attributes, resolution)[:, :1] / 2 + 0.5,
            face_weight=lambda resolution, attributes: torch.ones(1, 1, resolution, resolution),
            outside_face=lambda resolution: torch.zeros(resolution, resolution),
            points_at_rest=((-0.3, -0.1), (0.3, -0.1), (0.0, 0.1), (-0.2, 0.4), (0.2, 0.4)),
        ),
        lexicon=LEXICON,
        generator=tiny_generator_config(32, 32, channel_max=16),
        prompts="person",
        scorers=(),
        stages={
            "renders": Stage("renders.npy", partial(draw_renders, count=1_100), show_presets),
            "judge": Stage("judge.safetensors", partial(train_judge, steps=2)),
            "synthesis": Stage(
                "synthesis.safetensors",
                partial(train_synthesis, phases=(phase,)),
                partial(show_synthesis, name="synthesis"),
            ),
            "finish": Stage("finished.safetensors", partial(finetune_synthesis, steps=2)),
            "mapping": Stage("generator.safetensors", partial(distil_mapping, steps=2), show_seeds),
            "clip": Stage("clip.safetensors", make_clip),
            "finder": Stage("finder.safetensors", partial(train_detector, steps=1)),
        },
        part_bars=(),
        bars=motion_bars(ATTRIBUTES, risen=3, top1=0.5, held_out=0.5),
        showcase=Showcase(("glad",), 1, "glad", "disc{}.png", "discs.png", "disc.gif"),
    )


@pytest.fixture(scope="module")
def built(discs, tmp_path_factory):
    """A build of it; no compiler is waited for."""
    out = tmp_path_factory.mktemp("build")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_module, "embedded_domain", lambda name: discs)
        for module in (generator, adversarial_finetuning):
            patch.setattr(module, "compiled_epilogues", Epilogues)
        build(out, domain="discs")
    return out


def test_every_stage_leaves_its_file_and_says_whose_it_is(built, discs):
    assert all((built / stage.product).exists() for stage in discs.stages.values())
    assert load_generator(built / "generator.safetensors").config.resolution == 32
    points = load_detector(built / "finder.safetensors").config.points
    assert tuple(map(tuple, points)) == discs.renderer.points_at_rest


def test_its_judge_reads_its_attributes(built, discs):
    judge = AttributeJudge(replace(discs, assets=built))
    assert judge.name == "the discs judge"
    verdict = judge.network(torch.zeros(2, 3, 32, 32))
    assert verdict.logits.shape == (2, 3) and verdict.attributes.shape == (2, len(NAMES))


def test_its_videos_move_what_it_says_may_move(discs):
    video = rendered_video(discs, 3, num_frames=6, seconds=0.1, size=16)
    assert video.shape == (6, 3, 16, 16) and video.diff(dim=0).abs().max() > 0
    assert video[:, 1].diff(dim=0).abs().max() == 0  # nobody becomes greener


def test_a_lexicon_whose_first_concepts_are_not_the_prompts_is_refused():
    with pytest.raises(ValueError, match="the prompts"):
        replace(LEXICON, concepts=dict(reversed(LEXICON.concepts.items())))
