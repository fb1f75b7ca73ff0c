"""`lga demo build`: the doodle domain from nothing, stage by stage, each on the frozen ones before it.

A stage whose file exists is skipped, so a stopped build goes on where it was; delete a file to make it again. Each
stage leaves a picture beside its weights: look at it before trusting any figure.
"""

import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lga_core import InputError, load_clip, load_encoder, load_generator, load_motion
from lga_core.formats import fingerprint

from ...reports.contact_sheets import grid, sheet
from . import plugin as doodle
from .checks.detector_metrics import show_finder
from .rendering.attributes import EXPRESSION_PRESETS, PROMPTS, sample, sample_neutral, with_preset
from .rendering.render_dataset import NUM_HELD_OUT, NUM_RENDERS, build_renders, load_renders
from .rendering.renderer import render
from .stages import clip as demo_clip
from .stages import judge as demo_judge
from .stages.adversarial_finetuning import FINISH_STEPS, MAPPING_STEPS, distil_mapping, finish_synthesis
from .stages.detector import framing_of, points_at_rest, train_finder
from .stages.encoder import train_doodle_encoder
from .stages.generator import STAGES as SYNTHESIS_STAGES
from .stages.generator import AttributeMap, train_synthesis
from .stages.motion import train_doodle_motion
from .words.concepts import SENTENCES, TEMPLATE

PICTURE_SEED = 7


@dataclass(frozen=True)
class Stage:
    """`product` is the file in the build folder that says the stage is done."""

    product: str
    make: Callable[[Path, float], None]
    show: Callable[[Path], None]


def build(out: Path, stages: Sequence[str] | None = None, effort: float = 1.0) -> None:
    """Run the stages (all, or those named) in `out`, and put the finished domain in out/domain.

    `effort` scales every number of steps: at 0.01 it is a rehearsal of a few minutes, whose domain is worth nothing
    and whose gates are only read out. Raises InputError for a stage that does not exist, or a gate that is not met.
    """
    if not 0 < effort <= 100:
        raise InputError(f"The effort is {effort}; it must be above 0, and 1 for the domain as it ships.")
    unknown = set(stages or ()) - set(STAGES)
    if unknown:
        raise InputError(f"There is no stage {sorted(unknown)[0]!r}. The stages are {', '.join(STAGES)}.")
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "attribute_map.safetensors").exists():
        AttributeMap.create().save(out / "attribute_map.safetensors")
    for name, stage in STAGES.items():
        if stages is not None and name not in stages:
            continue
        if (out / stage.product).exists():
            print(f"{name}: {stage.product} is there, skipped", flush=True)
            continue
        print(f"{name}: begins", flush=True)
        start = time.perf_counter()
        stage.make(out, effort)
        stage.show(out)
        note_minutes(out, name, (time.perf_counter() - start) / 60)


def note_minutes(out: Path, name: str, minutes: float) -> None:
    """Keep how long each stage took: the domain's metadata tells it."""
    path = out / "minutes.json"
    spent = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(spent | {name: round(minutes, 1)}, indent=1))
    print(f"{name}: {minutes:.1f} minutes", flush=True)


def attribute_map(out: Path) -> AttributeMap:
    return AttributeMap.load(out / "attribute_map.safetensors")


def make_clip(out: Path, effort: float) -> None:
    """On renders alone, then also on generated faces and disturbed ones."""
    first, second = out / "clip_renders.safetensors", out / "clip_ungated.safetensors"
    renders = load_renders(out)
    if not first.exists():
        demo_clip.train_clip(demo_clip.render_pool(renders), first, some(demo_clip.STEPS_RENDERS, effort))
    steps = some(demo_clip.STEPS_GENERATED, effort)
    demo_clip.train_clip(generated_and_rendered(out, effort), second, steps, first, lr=8e-4)
    check_gate(out, second, effort)
    second.replace(out / "clip.safetensors")


def generated_and_rendered(out: Path, effort: float, seed: int = 3, tricks: Tensor | None = None) -> demo_clip.Pool:
    generator = load_generator(out / "generator.safetensors")
    n = some(demo_clip.NUM_GENERATED, effort)
    generated = demo_clip.generated_pool(generator, attribute_map(out), n, seed, tricks)
    return demo_clip.joined(demo_clip.render_pool(load_renders(out), n // 2), generated)


def make_tricks(out: Path, effort: float, name: str, scorers: Sequence[str], before: str | None = None) -> None:
    """Let a motion please these CLIPs, and keep its offsets: some of them mean nothing to a person.

    They go into `name`.safetensors, with those of the file `before`.
    """
    generator, clip = load_generator(out / "generator.safetensors"), load_clip(out / "clip.safetensors")
    plugin = replace(doodle.plugin(out), scorers=tuple(str(out / f"{scorer}.safetensors") for scorer in scorers))
    model = load_motion(train_doodle_motion(out, plugin, f"run_{name}", effort))
    ws = generator.broadcast(attribute_map(out).to_w(sample_neutral(24, torch.Generator().manual_seed(70))))
    with torch.no_grad():
        pictures = clip.encode_images(generator.synthesis(ws))
        text = clip.encode_text([SENTENCES[prompt] for prompt in EXPRESSION_PRESETS])
        offsets = [model(sentence[None], pictures, 4)[:, -1, 0] for sentence in text]
    if before is not None:
        offsets.insert(0, load_file(out / f"{before}.safetensors")["tricks"])
    save_file({"tricks": torch.cat(offsets)}, out / f"{name}.safetensors")


def make_doubter(out: Path, effort: float, name: str, tricks: str, seed: int) -> None:
    """A CLIP that was shown the tricks: one more opinion on motions, which ships for training alone."""
    shown = load_file(out / f"{tricks}.safetensors")["tricks"]
    pool = generated_and_rendered(out, effort, seed=10 + seed, tricks=shown)
    path = out / f"{name}_ungated.safetensors"
    steps = some(demo_clip.STEPS_GENERATED, effort)
    demo_clip.train_clip(pool, path, steps, out / "clip.safetensors", lr=8e-4, seed=seed)
    check_gate(out, path, effort)
    path.replace(out / f"{name}.safetensors")


def check_gate(out: Path, path: Path, effort: float) -> None:
    """No motion is trained on a CLIP that cannot tell true presets apart."""
    score = generated_zero_shot(out, path)
    if score < demo_clip.GATE and effort >= 1:
        raise InputError(f"CLIP tells {score:.2f} of the prompts apart, {demo_clip.GATE} is needed: train it longer.")


def generated_zero_shot(out: Path, path: Path) -> float:
    generator, places = load_generator(out / "generator.safetensors"), attribute_map(out)

    def draw(attributes):
        return generator.synthesis(generator.broadcast(places.to_w(attributes)))

    faces = sample_neutral(48, torch.Generator().manual_seed(999))
    scores = demo_clip.zero_shot(load_clip(path), draw, faces)
    print("zero-shot on generated presets:", {name: round(score, 2) for name, score in scores.items()})
    return sum(scores.values()) / len(scores)


def make_encoder(out: Path, effort: float) -> None:
    shutil.copyfile(train_doodle_encoder(out, effort), out / "encoder.safetensors")


def make_motion(out: Path, effort: float) -> None:
    """All four CLIPs have to be convinced; the domain's own starts the motion."""
    path = train_doodle_motion(out, doodle.plugin(out), "run_motion", effort)
    shutil.copyfile(path, out / "motion.safetensors")


def make_finder(out: Path, effort: float) -> None:
    train_finder(out, effort)


def export(out: Path, effort: float = 1.0) -> None:
    """The domain as a folder that `load_domain` opens."""
    domain = out / "domain"
    domain.mkdir(exist_ok=True)
    parts = {part: f"{part}.safetensors" for part in ("generator", "encoder", "clip", "motion", "finder")}
    for name in parts.values():
        shutil.copyfile(out / name, domain / name)
    described = {
        "name": "doodle",
        "template": TEMPLATE,
        "prompts": [{"prompt": prompt, "sentence": SENTENCES[prompt]} for prompt in PROMPTS],
        "files": parts,
        "framing": asdict(framing_of(points_at_rest())),
        "fingerprint": fingerprint(load_generator(out / "generator.safetensors")),
        "made": {
            "minutes": json.loads((out / "minutes.json").read_text()),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, no GPU",
        },
    }
    (domain / "domain.json").write_text(json.dumps(described, indent=1) + "\n")


def show_presets(out: Path) -> None:
    """Every preset beside its name: the one check that no network can make."""
    faces = sample_neutral(4, torch.Generator().manual_seed(PICTURE_SEED))
    sheet([render(with_preset(faces, name)) for name in PROMPTS], PROMPTS, out / "renders_presets.png")
    grid(render(sample(64, torch.Generator().manual_seed(PICTURE_SEED))[0]), 8, out / "renders.png")


def show_synthesis(name: str) -> Callable[[Path], None]:
    def show(out: Path) -> None:
        from .stages.generator import fresh_generator

        generator = fresh_generator(0)
        generator.load_state_dict(load_file(out / f"{name}.safetensors"))
        attributes, _ = sample(24, torch.Generator().manual_seed(PICTURE_SEED))
        with torch.no_grad():
            drawn = generator.synthesis(generator.broadcast(attribute_map(out).to_w(attributes)))
        rows = [row for pair in zip(render(attributes).split(8), drawn.split(8), strict=True) for row in pair]
        sheet(rows, ["render", "generator"] * 3, out / f"{name}.png")

    return show


def show_seeds(out: Path) -> None:
    generator = load_generator(out / "generator.safetensors")
    z = torch.randn(64, generator.config.z_dim, generator=torch.Generator().manual_seed(PICTURE_SEED))
    with torch.no_grad():
        grid(torch.cat([generator(chunk) for chunk in z.split(16)]), 8, out / "generator_seeds.png")


def show_inversions(out: Path) -> None:
    generator, encoder = load_generator(out / "generator.safetensors"), load_encoder(out / "encoder.safetensors")
    pictures = render(sample(24, torch.Generator().manual_seed(PICTURE_SEED + 1))[0])
    with torch.no_grad():
        back = generator.synthesis(encoder(pictures))
    rows = [row for pair in zip(pictures.split(8), back.split(8), strict=True) for row in pair]
    sheet(rows, ["picture", "inversion"] * 3, out / "encoder.png")


def show_motion(out: Path) -> None:
    from .rendering.contact_sheets import motion_rows

    generator, clip = load_generator(out / "generator.safetensors"), load_clip(out / "clip.safetensors")
    motion = load_motion(out / "motion.safetensors")
    faces = sample_neutral(24, torch.Generator().manual_seed(PICTURE_SEED))
    ws = generator.broadcast(attribute_map(out).to_w(faces))
    sentences = list(SENTENCES.values())
    sheet(motion_rows(generator, clip, motion, ws, sentences), list(SENTENCES), out / "motion.png")


def nothing(out: Path) -> None:
    pass


def make_renders(out: Path, effort: float) -> None:
    build_renders(out, NUM_HELD_OUT + some(NUM_RENDERS - NUM_HELD_OUT, effort))


def make_judge(out: Path, effort: float) -> None:
    demo_judge.train_judge(load_renders(out), out, some(demo_judge.STEPS, effort))


def make_synthesis(out: Path, effort: float) -> None:
    stages = [replace(stage, images=max(some(stage.images, effort), stage.batch)) for stage in SYNTHESIS_STAGES]
    train_synthesis(load_renders(out), attribute_map(out), out, stages)


def make_finish(out: Path, effort: float) -> None:
    finish_synthesis(load_renders(out), attribute_map(out), out, some(FINISH_STEPS, effort))


def make_mapping(out: Path, effort: float) -> None:
    error = distil_mapping(attribute_map(out), out, out / "generator.safetensors", some(MAPPING_STEPS, effort))
    print(f"relative error of the mapping network: {error:.3f}")


def some(number: int, effort: float) -> int:
    return max(1, round(number * effort))


STAGES: dict[str, Stage] = {
    "renders": Stage("renders.npy", make_renders, show_presets),
    "judge": Stage("judge.safetensors", make_judge, nothing),
    "synthesis": Stage("synthesis.safetensors", make_synthesis, show_synthesis("synthesis")),
    "finish": Stage("finished.safetensors", make_finish, show_synthesis("finished")),
    "mapping": Stage("generator.safetensors", make_mapping, show_seeds),
    "clip": Stage("clip.safetensors", make_clip, nothing),
    "tricks": Stage("tricks.safetensors", partial(make_tricks, name="tricks", scorers=()), nothing),
    "doubter": Stage("doubter.safetensors", partial(make_doubter, name="doubter", tricks="tricks", seed=6), nothing),
    "tricks2": Stage(
        "tricks2.safetensors",
        partial(make_tricks, name="tricks2", scorers=("clip_renders", "doubter"), before="tricks"),
        nothing,
    ),
    "doubter2": Stage(
        "doubter2.safetensors", partial(make_doubter, name="doubter2", tricks="tricks2", seed=7), nothing
    ),
    "encoder": Stage("encoder.safetensors", make_encoder, show_inversions),
    "motion": Stage("motion.safetensors", make_motion, show_motion),
    "finder": Stage("finder.safetensors", make_finder, show_finder),
    "export": Stage("domain/domain.json", export, nothing),
}
