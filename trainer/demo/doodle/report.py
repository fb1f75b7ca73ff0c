"""How well the embedded domain works: every part's figures, each prompt judged on faces that no choice was made on.

The judge (a network that no loss used) decides. The same figures for the true preset, drawn by the generator from
known attributes, stand beside each as the ceiling.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from lga_core import Domain, load_domain

from . import ASSETS
from .checks.judge_adapter import named_change
from .rendering.attributes import (
    COLUMN,
    EXPRESSION_PRESETS,
    IDENTITY,
    IDENTITY_PRESETS,
    PROMPTS,
    sample_neutral,
    with_preset,
)
from .stages.generator import AttributeMap
from .stages.judge import Judge, Verdict, judged, load_judge
from .words.concepts import NAMED, SENTENCES, held_out_sentences

NUM_FACES, FACES_SEED = 64, 20_261
FRAME_COUNTS = (4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class PromptFigures:
    """What happened to the faces under one prompt.

    rise: the judge's change of the named attributes, 1 for the change of a full preset. top1: share of faces on which
    the judge puts this prompt first. stay: r.m.s. change of the attributes that should stay, in their standard
    deviations. outside: mean absolute change of pixels (0..1) outside the face.
    """

    rise: float
    top1: float
    stay: float
    outside: float


def bars(figures: dict) -> dict[str, tuple[float, str, bool]]:
    """The shipped weights' bars: name -> (found, needed, met)."""
    prompts = figures["prompts"].values()
    expressions = [figures["prompts"][name] for name in EXPRESSION_PRESETS]
    ceiling = [figures["ceiling"][name] for name in EXPRESSION_PRESETS]
    risen = sum(p["rise"] >= 0.5 for p in prompts)
    top1 = mean(p["top1"] for p in prompts)
    held_out = mean(p["top1"] for p in figures["held_out"].values())
    stay = mean(p["stay"] for p in expressions) / mean(p["stay"] for p in ceiling)
    outside = mean(p["outside"] for p in expressions)
    first = figures["first_step_share"]
    drift = max(abs(value / figures["amplitude"]["4"] - 1) for value in figures["amplitude"].values())
    return {
        "prompts whose named attribute rises >= 0.5": (risen, ">= 15 of 18", risen >= 15),
        "top-1 among prompts, by the judge": (top1, ">= 0.75", top1 >= 0.75),
        "held-out paraphrases, top-1": (held_out, ">= 0.75", held_out >= 0.75),
        "change of what should stay, against the true preset's": (stay, "<= 1.3", stay <= 1.3),
        "pixel change outside the face": (outside, "<= 0.02", outside <= 0.02),
        "first-step share at T = 16": (first, "<= 1.3/15 = 0.0867", first <= 1.3 / 15),
        "amplitude over T = 4 ... 128, largest deviation": (drift, "<= 0.12", drift <= 0.12),
    }


def mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)


def outside_face(resolution: int) -> Float[Tensor, "h w"]:
    """1 where no face reaches, 0 inside the largest head with its outline."""
    axis = (torch.arange(resolution) + 0.5) / resolution * 2 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return (((x / 0.66) ** 2 + ((y - 0.12) / 0.68) ** 2) > 1).float()


def staying(prompt: str) -> list[int]:
    """Columns of the attributes that `prompt` has no business with."""
    names = [name for name in IDENTITY if name not in NAMED[prompt]]
    if prompt == "has blonde hair":
        names = [name for name in names if not name.startswith("hair:") and name != "age"]
    if prompt == "is getting old":
        names = [name for name in names if not name.startswith("hair:")]
    if prompt == "stormy":
        names = [name for name in names if name != "sunny" and not name.startswith("backdrop:")]
    return [COLUMN[name] for name in names]


def figures_of(
    prompt: str, judge: Judge, before: Verdict, source: Float[Tensor, "n 3 h w"], pictures: Float[Tensor, "n 3 h w"]
) -> PromptFigures:
    after = judged(judge, pictures)
    scaled = (after.attributes - before.attributes)[:, staying(prompt)] / judge.deviation[staying(prompt)]
    outside = outside_face(pictures.shape[-1])
    change = ((pictures.clamp(-1, 1) - source.clamp(-1, 1)).abs() / 2 * outside).sum(dim=(2, 3)).mean() / outside.sum()
    first = after.logits[:, : len(PROMPTS)].argmax(dim=1) == PROMPTS.index(prompt)
    return PromptFigures(
        rise=named_change(prompt, before.attributes, after.attributes).mean().item(),
        top1=first.float().mean().item(),
        stay=scaled.square().mean().sqrt().item(),
        outside=change.item(),
    )


@torch.no_grad()
def motion_figures(
    domain: Domain, judge: Judge, attribute_map: AttributeMap, num_faces: int = NUM_FACES, seed: int = FACES_SEED
) -> dict:
    """Figures of every prompt, its ceiling and its held-out paraphrases, on `num_faces` fresh neutral faces."""
    attributes = sample_neutral(num_faces, torch.Generator().manual_seed(seed))
    ws = domain.generator.broadcast(attribute_map.to_w(attributes))
    source = drawn(domain, ws)
    before, features = judged(judge, source), domain.clip.encode_images(source)

    def moved(sentence: str) -> Tensor:
        motion = domain.motion(domain.clip.encode_text([sentence]), features, 4)
        return drawn(domain, ws + motion[:, -1])

    figures: dict = {"num_faces": num_faces, "prompts": {}, "ceiling": {}, "held_out": {}}
    for prompt in tqdm(PROMPTS, desc="prompts"):
        preset = drawn(domain, domain.generator.broadcast(attribute_map.to_w(with_preset(attributes, prompt))))
        figures["prompts"][prompt] = asdict(figures_of(prompt, judge, before, source, moved(SENTENCES[prompt])))
        figures["ceiling"][prompt] = asdict(figures_of(prompt, judge, before, source, preset))
    for sentence, prompt in tqdm(held_out_sentences().items(), desc="held-out words"):
        figures["held_out"][sentence] = asdict(figures_of(prompt, judge, before, source, moved(sentence)))
    text = domain.clip.encode_text([SENTENCES[prompt] for prompt in PROMPTS])
    figures |= path_figures(domain, text, features)
    return figures


def path_figures(domain: Domain, text: Float[Tensor, "k c"], features: Float[Tensor, "n c"]) -> dict:
    """First-step share at 16 frames, and the last offset's length over the number of frames (mean over prompts)."""
    pairs = text.repeat_interleave(8, dim=0), features[:8].repeat(len(text), 1)
    steps = domain.motion(*pairs, 16).diff(dim=1).flatten(2).norm(dim=2)
    amplitude = {str(t): domain.motion(*pairs, t)[:, -1].flatten(1).norm(dim=1).mean().item() for t in FRAME_COUNTS}
    return {"first_step_share": (steps[:, 0] / steps.sum(dim=1)).mean().item(), "amplitude": amplitude}


def drawn(domain: Domain, ws: Float[Tensor, "n l d"]) -> Float[Tensor, "n 3 h w"]:
    return torch.cat([domain.generator.synthesis(chunk) for chunk in ws.split(16)])


def parts_table(parts: dict) -> str:
    """Figures of the judge first (without them its verdicts mean nothing), then of the other parts, as Markdown."""
    rows = [
        ("judge: mean AUC on renders", parts["judge"]["auc_renders"], ">= 0.985"),
        ("judge: mean AUC on generated faces", parts["judge"]["auc_generated"], ">= 0.97"),
        ("generator: PSNR, dB", parts["generator"]["psnr"], ">= 28"),
        ("generator: PSNR of the worst 5 %, dB", parts["generator"]["psnr_worst_5_percent"], ">= 25.5"),
        ("generator: sharpness against renders", parts["generator"]["sharpness"], "0.97-1.03"),
        ("CLIP: zero-shot on generated presets", parts["clip"]["zero_shot_generated"], ">= 0.85"),
        ("inversion (encoder and refinement): PSNR, dB", parts["encoder"]["psnr_refined"], ""),
        ("encoder alone: PSNR, dB", parts["encoder"]["psnr"], ""),
        ("the true code: PSNR, dB", parts["encoder"]["psnr_true_code"], "at most 2 more than the encoder"),
        ("encoder alone: judge's attributes kept", parts["encoder"]["attributes_kept"], ">= 0.9"),
    ]
    lines = ["| part | found | needed |", "|---|---|---|"]
    return "\n".join(lines + [f"| {name} | {found:.4g} | {need} |" for name, found, need in rows]) + "\n"


def table(figures: dict) -> str:
    """The motion's figures as Markdown."""
    lines = ["| bar | found | needed | met |", "|---|---|---|---|"]
    lines += [
        f"| {n} | {v:.3g} | {need} | {'yes' if met else '**no**'} |" for n, (v, need, met) in bars(figures).items()
    ]
    lines += [
        "",
        "| prompt | rise | top-1 | stay | outside | ceiling: rise | top-1 | stay | outside |",
        "|" + "---|" * 9,
    ]
    for prompt in PROMPTS:
        cells = [figures[part][prompt][key] for part in ("prompts", "ceiling") for key in PromptFigures.__annotations__]
        lines.append(f"| {prompt} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    lines += ["", "| held-out sentence | rise | top-1 |", "|---|---|---|"]
    lines += [f"| {sentence} | {f['rise']:.2f} | {f['top1']:.2f} |" for sentence, f in figures["held_out"].items()]
    return "\n".join(lines) + "\n"


def report(out: Path, domain: str = "doodle", num_faces: int = NUM_FACES) -> dict:
    """Write report.json, report.md and the contact sheets to `out`; returns the figures."""
    from .checks.part_metrics import part_figures
    from .rendering.contact_sheets import motion_sheets

    out.mkdir(parents=True, exist_ok=True)
    loaded, judge = load_domain(domain), load_judge(ASSETS / "judge.safetensors")
    attribute_map = AttributeMap.load(ASSETS / "attribute_map.safetensors")
    parts = part_figures(loaded, judge, attribute_map)
    figures = {"parts": parts} | motion_figures(loaded, judge, attribute_map, num_faces)
    figures["bars"] = {name: {"found": f, "needed": n, "met": m} for name, (f, n, m) in bars(figures).items()}
    (out / "report.json").write_text(json.dumps(figures, indent=1))
    text = parts_table(parts) + "\n" + table(figures)
    (out / "report.md").write_text(text)
    print(text)
    motion_sheets(loaded, attribute_map, out)
    return figures


assert set(IDENTITY_PRESETS) | set(EXPRESSION_PRESETS) == set(PROMPTS)
