"""What one optimisation step of a motion's training costs, end to end, beside the authors' published recipe.

    python -m benchmarks.training                        256 px: both recipes, 5 rounds
    python -m benchmarks.training --resolution 1024 --published-batch 1 --lean
    python -m benchmarks.training --device cuda --resolution 1024 --recipes bf16

Weights are random, generators config-f (`--channel-base` says which). Each recipe is a process of its own, all of them
alive at once; steps are taken in turn, one recipe after the other, so that whatever else the machine does meets all
alike. Reported are medians of processor time and of wall time, the median of the rounds' ratios, and the peak of each
process's memory. Results are written to benchmarks/results/ as JSON and as a Markdown table.

Ours is `lga train motion` with its default preset: `Ours` below puts together what the command puts together.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PUBLISHED = "published"
RECIPES = {
    PUBLISHED: "the authors' published step, fp32",
    "fp32": "ours, fp32",
    "bf16": "ours, bf16",
    "bf16-plain": "ours, bf16, nothing compiled",
}
CHANNEL_BASE = {256: 16384}  # NVIDIA's configuration of that size; 32768 at others
NUM_FRAMES = 4
MOST_STEPS = 2000
"""That ours can take: a whole run."""


def main() -> None:
    options = parse()
    if options.worker:
        work(options)
    else:
        report(measure(options), options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--channel-base", type=int, help="of the generator; default 16384 at 256 px, else 32768")
    parser.add_argument("--batch", type=int, default=4, help="faces a step")
    parser.add_argument("--published-batch", type=int, help="faces in the published step, if memory holds fewer")
    parser.add_argument("--lean", action="store_true", help="keep no graph of the published step's unread frames")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=[PUBLISHED, "fp32", "bf16"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--recompute-from", type=int)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--huge-pages", action="store_true", help="let torch ask for huge pages, in every recipe")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    parser.add_argument("--worker", choices=RECIPES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.channel_base = options.channel_base or CHANNEL_BASE.get(options.resolution, 32768)
    options.published_batch = options.published_batch or options.batch
    return options


# The measuring process


class Worker:
    """A recipe in a process of its own, which takes one step whenever it is asked."""

    def __init__(self, recipe: str, options: argparse.Namespace) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": str(options.threads)}
        if options.huge_pages:
            environment["THP_MEM_ALLOC_ENABLE"] = "1"
        command = [sys.executable, "-m", "benchmarks.training", *sys.argv[1:], "--worker", recipe]
        self.process = subprocess.Popen(
            command, cwd=HERE.parent, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.ready = self._answer()

    def step(self) -> dict[str, float]:
        """cpu and wall seconds of a step, the loss before it, and the peak memory so far in MB."""
        assert self.process.stdin is not None
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"A worker ended with code {self.process.wait()}: too little memory, perhaps.")
        return json.loads(line)

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    begun = os.getloadavg()[0]
    workers = {recipe: Worker(recipe, options) for recipe in options.recipes}
    steps: dict[str, list[dict[str, float]]] = {recipe: [] for recipe in workers}
    for turn in range(options.warm_up + options.rounds):
        for recipe, worker in workers.items():
            step = worker.step()
            print(f"{'warm-up' if turn < options.warm_up else 'round'} {turn}, {recipe}: {step}", flush=True)
            if turn >= options.warm_up:
                steps[recipe].append(step)
    for worker in workers.values():
        worker.end()
    return {
        "resolution": options.resolution,
        "channel_base": options.channel_base,
        "batch": options.batch,
        "published_batch": options.published_batch,
        "published_lean": options.lean,
        "num_frames": NUM_FRAMES,
        "rounds": options.rounds,
        "huge_pages": options.huge_pages,
        "recompute_from": options.recompute_from,
        "recipes": {
            recipe: summary(recipe, steps, options) | {"frames_drawn": worker.ready["frames"]}
            for recipe, worker in workers.items()
        },
        "machine": machine(options) | {"load_before": begun, "load_after": os.getloadavg()[0]},
    }


def summary(recipe: str, steps: dict[str, list[dict[str, float]]], options: argparse.Namespace) -> dict[str, Any]:
    """Medians, scaled to `options.batch` faces where a step took fewer, and how many times faster it is."""
    taken = steps[recipe]
    scale = options.batch / options.published_batch if recipe == PUBLISHED else 1.0
    found: dict[str, Any] = {
        f"{clock}_seconds": scale * statistics.median(step[clock] for step in taken) for clock in ("cpu", "wall")
    }
    found |= {"peak_mb": max(step["peak_mb"] for step in taken), "steps": taken}
    if PUBLISHED in steps:
        more = options.batch / options.published_batch
        for clock in ("cpu", "wall"):
            ratios = [
                theirs[clock] * more / (ours[clock] * scale)
                for theirs, ours in zip(steps[PUBLISHED], taken, strict=True)
            ]
            found[f"{clock}_times_faster"] = statistics.median(ratios)
        found["peak_share"] = found["peak_mb"] / max(step["peak_mb"] for step in steps[PUBLISHED])
    return found


def machine(options: argparse.Namespace) -> dict[str, Any]:
    cpu = Path("/proc/cpuinfo")
    named = [line.split(":")[1].strip() for line in cpu.read_text().splitlines() if line.startswith("model name")]
    revision = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True)
    return {
        "date": date.today().isoformat(),
        "processor": named[0] if named else platform.processor(),
        "cores": os.cpu_count(),
        "threads": options.threads,
        "device": options.device if options.device == "cpu" else device_name(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "torch": version("torch"),
        "open_clip": version("open_clip_torch"),
        "revision": revision.stdout.strip(),
    }


def device_name() -> str:
    import torch

    return torch.cuda.get_device_name()


def report(result: dict[str, Any], options: argparse.Namespace) -> None:
    table = markdown(result)
    print(f"\n{table}")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"training_{options.resolution}_{options.device}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    path.with_suffix(".md").write_text(table)
    print(f"{path} and {path.with_suffix('.md').name} are written.")


def markdown(result: dict[str, Any]) -> str:
    where, has_ratio = result["machine"], PUBLISHED in result["recipes"]
    lines = [
        f"# One training step at {result['resolution']} px, {result['batch']} faces, T = {result['num_frames']}",
        "",
        f"{where['date']}, {where['processor']}, {where['threads']} threads, {where['device']}, "
        f"{where['memory_gb']} GB; Python {where['python']}, torch {where['torch']}, revision {where['revision']}. "
        f"Random weights, channel_base {result['channel_base']}; medians of {result['rounds']} rounds in turn; load "
        f"{where['load_before']:.1f} before, {where['load_after']:.1f} after."
        f"{' Huge pages for all.' if result['huge_pages'] else ''}",
        "",
        "| recipe | frames drawn | processor s | wall s | peak MB |"
        + (" times faster | memory |" if has_ratio else ""),
        "|---|---|---|---|---|" + ("---|---|" if has_ratio else ""),
    ]
    for recipe, found in result["recipes"].items():
        row = (
            f"| {RECIPES[recipe]} | {found['frames_drawn']} | {found['cpu_seconds']:.2f} | {found['wall_seconds']:.2f} "
        )
        row += f"| {found['peak_mb']:.0f} |"
        if has_ratio:
            row += f" {found['cpu_times_faster']:.1f} (wall {found['wall_times_faster']:.1f}) |"
            row += f" {found['peak_share']:.2f} |"
        lines.append(row)
    if result["published_batch"] != result["batch"]:
        lines += [
            "",
            f"The published step was measured with {result['published_batch']} face(s), for lack of memory; its times "
            f"are multiplied to {result['batch']}, its memory is as found.",
        ]
    if result["published_lean"]:
        lines += ["", "Its frames that no loss reads kept no graph, which the published code does not spare."]
    return "\n".join(lines) + "\n"


# The measured process


def work(options: argparse.Namespace) -> None:
    import torch

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    step, frames = (published if options.worker == PUBLISHED else ours)(options)
    print(json.dumps({"frames": frames}), flush=True)
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        loss = step()
        if options.device == "cuda":
            torch.cuda.synchronize()
        taken = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "loss": loss}
        print(json.dumps(taken | {"peak_mb": peak_mb(options.device)}), flush=True)


def peak_mb(device: str) -> float:
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def generator_and_clips(options: argparse.Namespace) -> tuple[Any, Any, Any]:
    """A random generator, RN50 to start motions and ViT-B/32 to score them."""
    import open_clip

    from lga_core import ClipModel, Generator, GeneratorConfig

    def clip(name: str) -> ClipModel:
        config: Any = open_clip.get_model_config(name)
        colours = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
        return ClipModel(name, open_clip.CLIP(**config), config, *colours).to(options.device)

    generator = Generator(GeneratorConfig(options.resolution, channel_base=options.channel_base))
    return generator.to(options.device).requires_grad_(False), clip("RN50"), clip("ViT-B-32")


def published(options: argparse.Namespace) -> tuple[Callable[[], float], int]:
    import torch

    from lga_trainer.data.prompts import load_prompts

    from .published import PublishedStep

    n = options.published_batch
    generator, clip, scorer = generator_and_clips(options)
    step = PublishedStep(generator, clip, scorer, NUM_FRAMES, options.lean)
    ws, sentences = generator.sample(range(n)), load_prompts("official").sentences[:n]
    with torch.no_grad():
        inputs = torch.nn.functional.adaptive_avg_pool2d(generator.synthesis(ws), 256)
    return lambda: step(ws, inputs, sentences), n * NUM_FRAMES


def ours(options: argparse.Namespace) -> tuple[Callable[[], float], int]:
    """One step of the loop of `lga train motion`, preset `anchored`, with ViT-B/32 to score."""
    import torch

    from lga_core.stylegan2 import FrozenSynthesis
    from lga_trainer.data.faces import sampled_faces
    from lga_trainer.data.prompts import load_prompts
    from lga_trainer.domain_plugin import DomainPlugin
    from lga_trainer.motion.config import MotionRun, Optimizer
    from lga_trainer.motion.inputs import MotionInputs, find_perceptual, prepare_faces
    from lga_trainer.motion.train import MotionTraining
    from lga_trainer.training.distributed import Workers
    from lga_trainer.training.loop import take_step

    settings = Optimizer(precision=options.worker[:4], compiled=not options.worker.endswith("plain"))
    run = MotionRun(
        "random",
        steps=MOST_STEPS,
        batch=options.batch,
        num_frames=NUM_FRAMES,
        device=options.device,
        optimizer=settings,
    )
    workers = Workers(options.device)
    generator, clip, scorer = generator_and_clips(options)
    inputs = MotionInputs(
        name="random",
        generator=generator,
        clip=clip,
        scorers=(scorer,),
        prompts=load_prompts("person"),
        plugin=DomainPlugin(),
        encoder=None,
        identity=None,
        judge=None,
        licence=None,
        perceptual=find_perceptual(run.losses, None, (clip, scorer), workers.device),
    )
    precision = {"fp32": torch.float32, "bf16": torch.bfloat16}[settings.precision]
    draw = FrozenSynthesis(generator, precision, options.recompute_from, settings.compiled)
    faces = sampled_faces(generator, 16, run.faces.psi, run.seed)
    prepared = prepare_faces(faces, draw, clip, run.losses, workers.device, embed=run.model.picture, chunk=4)
    task = MotionTraining(run).assemble(inputs, draw, prepared)
    taken = iter(range(run.steps))

    def step() -> float:
        number = next(taken)
        row = take_step(task, number, run.optimizer.accumulate, workers)
        task.after(number)
        return row["motion/total"]

    return step, task.num_frames_drawn


if __name__ == "__main__":
    main()
