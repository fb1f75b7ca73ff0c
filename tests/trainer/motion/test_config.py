"""The settings of a motion's training: presets equal what was published, field by field, and a value that cannot work
dies with a sentence before anything is loaded."""

from __future__ import annotations

import inspect
from dataclasses import asdict, fields, replace

import pytest

from lga_core import InputError
from lga_trainer.motion.config import LOSS_NAMES, PRESETS, Faces, Losses, Model, MotionRun, Optimizer, preset
from lga_trainer.training.config import Watch

# What was published (Hang et al. 2023 and its code), where it differs from our defaults


PUBLISHED = {
    "prompts": "official",  # the code's 28 words, without paraphrases
    "paraphrase_share": 0.0,
    "batch": 4,
    "model.head": "per_layer",
    "model.mapper_dim": 1024,
    "model.last_activation": True,
    "model.in_units_of_faces": False,
    "losses.contrastive": 0.5,  # weights of w-reg, path, contrast, LPIPS: 1, 1, 0.5, 1
    "losses.w_reg": 1.0,
    "losses.perceptual": 1.0,
    "losses.perceptual_network": "alex",
    "losses.perceptual_frames": "first-last",
    "losses.perceptual_against": "input",
    "losses.score_size": 224,
    "losses.views": 0,  # CLIP sees the plain picture, as the code resizes it
    "losses.contrastive_view": "official",
    "losses.pixels": 0.0,
    "losses.tones": 0.0,
    "losses.unlikeliness": 0.0,
    "losses.unlikeliness_end": 0.0,
    "faces.psi": 1.0,  # no truncation
    "optimizer.lr_end": 1e-3,  # constant, from the first step on
    "optimizer.warmup": 0,
    "optimizer.average": 0.0,
    "optimizer.finetune_clip": True,
}
PAPER = {
    **PUBLISHED,
    "preset": "paper",
    "steps": 2000,
    "model.variant": "paper",
    "losses.contrastive_form": "batch",
}
OFFICIAL = {
    **PUBLISHED,
    "preset": "official",
    "steps": 5000,
    "model.variant": "official",
    "losses.contrastive_form": "official",
    "losses.w_reg_form": "first-last",
    "losses.latent_reg": 1.0,  # in no equation of the paper
    "watch.save_every": 1000,
}
METFACES = {  # a domain without pictures: LPIPS is silently off in the code, and w-reg in its configuration
    **{name: value for name, value in OFFICIAL.items() if name != "losses.perceptual"},
    "model.picture": False,
    "losses.w_reg": 0.0,
    "losses.perceptual": 0.0,
}
EXPECTED = {
    "anchored": {},
    "paper": PAPER,
    "official": OFFICIAL,
    "official-metfaces-02": {**METFACES, "preset": "official-metfaces-02", "losses.contrastive": 0.2},
    "official-metfaces-03": {**METFACES, "preset": "official-metfaces-03", "losses.contrastive": 0.3},
    "no-contrastive": {**PAPER, "preset": "no-contrastive", "losses.contrastive_form": "cosine"},  # Fig. 5a
    "batch-2": {**PAPER, "preset": "batch-2", "batch": 2},
    "batch-8": {**PAPER, "preset": "batch-8", "batch": 8},
    "no-path": {**PAPER, "preset": "no-path", "losses.path": 0.0},
    "first-order": {**PAPER, "preset": "first-order", "losses.path": 0.0, "losses.first_difference": 1.0},  # Fig. 5f
}
SHARED = {  # published, and our default as well
    "num_frames": 4,
    "num_frames_max": None,
    "repeats": False,
    "model.hidden_dim": 384,
    "losses.temperature": 0.07,
    "losses.path": 1.0,
    "losses.reduction": "mean",  # the sum that is printed freezes all motion
    "losses.identity": 0.0,
    "losses.w_discriminator": 0.0,
    "faces.noise_std": 0.0,
    "optimizer.lr": 1e-3,
    "optimizer.clip_lr": 1e-5,
    "optimizer.clip_norm": None,
    "optimizer.accumulate": 1,
    "watch.preview_every": 200,
}


def flat(run: MotionRun) -> dict[str, object]:
    settings = asdict(run)
    inner = {
        f"{name}.{key}": value
        for name, part in settings.items()
        if isinstance(part, dict)
        for key, value in part.items()
    }
    return {name: value for name, value in settings.items() if not isinstance(value, dict)} | inner


DEFAULT = flat(MotionRun("g"))


def differences(run: MotionRun, other: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in flat(run).items() if value != other[name]}


def test_every_preset_is_known_here():
    assert PRESETS.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_preset_is_what_was_published_and_otherwise_the_default(name):
    assert differences(preset(name, "g"), DEFAULT) == EXPECTED[name]


def test_the_published_settings_that_are_our_defaults_are_still_the_published_ones():
    assert {name: DEFAULT[name] for name in SHARED} == SHARED


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("no-contrastive", {"losses.contrastive_form"}),
        ("batch-2", {"batch"}),
        ("batch-8", {"batch"}),
        ("no-path", {"losses.path"}),
        ("first-order", {"losses.path", "losses.first_difference"}),
    ],
)
def test_an_ablation_changes_one_thing_of_the_paper_s_settings(name, changed):
    assert differences(preset(name, "g"), flat(preset("paper", "g"))).keys() == {"preset", *changed}


def test_an_unknown_preset_is_told_which_ones_there_are():
    with pytest.raises(InputError, match="no preset 'papper'. Presets: anchored, paper, official"):
        preset("papper", "g")


# Which losses are on


def test_the_losses_of_a_run_are_those_of_a_weight():
    run = MotionRun("g", losses=Losses(path=0.0, first_difference=0.5))
    assert "path" not in run.losses.weights
    assert run.losses.weights["first_difference"] == 0.5
    assert list(run.losses.weights) == [name for name in LOSS_NAMES if name in run.losses.weights]


def test_every_loss_has_a_weight_among_the_settings():
    assert set(LOSS_NAMES) <= {field.name for field in fields(Losses)}


# What is refused


def losses(**changes):
    return {"losses": Losses(**changes)}


def optimizer(**changes):
    return {"optimizer": Optimizer(**changes)}


BAD = {
    "no steps": ({"steps": 0}, "--steps is 0; it must be a whole number of at least 1"),
    "half a step": ({"steps": 1.5}, "--steps is 1.5; it must be a whole number"),
    "no batch": ({"batch": 0}, "--batch is 0"),
    "one frame": ({"num_frames": 1}, "--num-frames is 1; it must be a whole number of at least 2"),
    "two frames and a path": ({"num_frames": 2}, "the smoothness loss needs three frames. Take at least 3"),
    "fewest above most": ({"num_frames_max": 3}, "--num-frames-max is 3; it must be at least num-frames, 4"),
    "parts do not fit": ({"batch": 6, **optimizer(accumulate=4)}, "--batch is 6; it must be a multiple of accumulate"),
    "no part": (optimizer(accumulate=0), "--optimizer.accumulate is 0"),
    "negative weight": (losses(path=-1.0), "--losses.path is -1.0; it must be a number, not negative"),
    "weight is no number": (losses(w_reg=float("nan")), "--losses.w-reg is nan"),
    "endless weight": (losses(unlikeliness_end=float("inf")), "--losses.unlikeliness-end is inf"),
    "unlikeliness that goes off": (losses(unlikeliness_end=0.0), "Give both a positive weight, or set both to 0"),
    "no contrast": (losses(contrastive=0.0), "--losses.contrastive is 0, and no other loss reads the prompt"),
    "no temperature": (losses(temperature=0.0), "--losses.temperature is 0.0; it must be a positive number"),
    "negative looks": (losses(views=-1), "--losses.views is -1"),
    "tiny pictures": (losses(score_size=8), "--losses.score-size is 8"),
    "face without width": (losses(face=(0.0, 0.0, 0.0, 0.5)), "--losses.face"),
    "no learning rate": (optimizer(lr=0.0), "--optimizer.lr is 0.0; it must be a positive number"),
    "no rate at the end": (optimizer(lr_end=-1e-3), "--optimizer.lr-end"),
    "no rate of CLIP": (optimizer(clip_lr=0.0), "--optimizer.clip-lr"),
    "no rate of the discriminator": (optimizer(discriminator_lr=float("nan")), "--optimizer.discriminator-lr"),
    "negative warm-up": (optimizer(warmup=-1), "--optimizer.warmup is -1"),
    "gradients of no length": (optimizer(clip_norm=0.0), "--optimizer.clip-norm is 0.0; it must be a positive number"),
    "an average that never moves": (optimizer(average=1.0), "--optimizer.average is 1.0"),
    "share above one": ({"paraphrase_share": 1.1}, "--paraphrase-share is 1.1; it must be a number from 0 to 1"),
    "psi too large": ({"faces": Faces(psi=9.0)}, "--faces.psi is 9.0; it must be a number from -2 to 2"),
    "no faces": ({"faces": Faces(count=0)}, "--faces.count is 0"),
    "negative noise": ({"faces": Faces(noise_std=-1.0)}, "--faces.noise-std is -1.0"),
    "no width": ({"model": Model(mapper_dim=0)}, "--model.mapper-dim is 0"),
    "no state": ({"model": Model(hidden_dim=0)}, "--model.hidden-dim is 0"),
    "identity without its network": (losses(identity=0.1), "give --identity-network FILE"),
    "pictures and codes": ({"images": "a", "codes": "b"}, "--images and --codes are both given. Choose one"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), BAD.values(), ids=BAD)
def test_a_value_that_cannot_work_is_refused_by_its_flag(changes, words):
    with pytest.raises(InputError) as caught:
        MotionRun("g", **changes)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["log_every", "preview_every", "save_every", "report_faces"])
def test_pace_is_counted_in_whole_steps(name):
    with pytest.raises(InputError, match=f"--watch.{name.replace('_', '-')} is 0; it must be a whole number"):
        MotionRun("g", watch=replace(MotionRun("g").watch, **{name: 0}))


@pytest.mark.parametrize(
    "changes",
    [
        {"num_frames": 2, **losses(path=0.0)},
        {"num_frames": 4, "num_frames_max": 4},
        {**losses(identity=0.1), "identity_network": "arcface.pt"},
        {"batch": 6, **optimizer(accumulate=3, average=0.0, warmup=0)},
        {"faces": Faces(psi=-1.0)},
    ],
)
def test_values_at_their_limits_are_taken(changes):
    MotionRun("g", **changes)


def test_every_setting_is_explained():
    """A docstring is the setting's line in --help: a field without one is a flag that nobody understands."""
    for kind in (MotionRun, Model, Losses, Faces, Optimizer, Watch):
        body = "".join(inspect.getsource(each) for each in kind.__mro__[:-1])
        for field in fields(kind):
            _, _, after = body.partition(f"\n    {field.name}: ")
            is_section = field.name in ("model", "losses", "faces", "optimizer", "watch")
            assert is_section or after.splitlines()[1].startswith('    """'), f"{kind.__name__}.{field.name}"
