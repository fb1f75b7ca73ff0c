"""The doodle motion model: the recipe for the 18 prompts on the frozen generator and CLIP."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F

from lga_core import ClipModel, Generator, MotionConfig, MotionModel, Wording, fingerprint, load_motion, save_motion

from ..motion import MotionTraining, Prompt, begin_coloured, prepare_sources, train
from .attributes import NUM_ATTRIBUTES, PROMPTS, from_normal, sample, sample_neutral
from .concepts import CONCEPTS, SENTENCES, TEMPLATE, TEMPLATES
from .generator import AttributeMap
from .report import outside_face
from .synthesis import compiled_epilogues, final_image

TRAINING = MotionTraining(steps=1200, batch=6, contrastive=0.7, offset_size=0.03, unlikeliness=0.15)
HELD, HELD_STEPS = {"lr": 5e-4, "unlikeliness": 0.3}, 500  # the second round
NUM_SOURCES = 768


# How much of the picture stays, on the face and around it. Closing an eye changes more pixels than other expressions
# do, and at their weight it is cheaper to leave the eye open.
KEEP = {"winking": (0.3, 6.0), "closing eyes": (0.3, 6.0), "stormy": (1.0, 0.0)}
KEEP |= {"has blonde hair": (1.0, 1.0), "is getting old": (1.0, 1.0)}
KEEP_EXPRESSION = (2.0, 6.0)


def prompts() -> list[Prompt]:
    """The 18 prompts, each with the words that mean the same to training."""
    return [Prompt(SENTENCES[name], paraphrases(name), *KEEP.get(name, KEEP_EXPRESSION)) for name in PROMPTS]


def paraphrases(name: str) -> tuple[str, ...]:
    concept = CONCEPTS[name]
    return tuple(template.format(word) for word in concept.words for template in TEMPLATES[concept.kind])


def train_motion(
    generator: Generator,
    clip: ClipModel,
    attribute_map: AttributeMap,
    path: Path,
    training: MotionTraining = TRAINING,
    scorers: Sequence[ClipModel] = (),
    start: Path | None = None,
    seed: int = 0,
) -> MotionModel:
    """Train and write the motion model, a new one or that of `start`. Sources: half neutral faces, half random ones."""
    rng = torch.Generator().manual_seed(seed)
    epilogues = compiled_epilogues()
    torch.manual_seed(seed)  # torch.nn.Linear draws its first weights from the global state
    config = MotionConfig.anchored(
        clip.embed_dim, generator.num_ws, head="shared", mapper_dim=512, last_activation=False
    )
    model = MotionModel(config, seed) if start is None else load_motion(start).train().requires_grad_(True)
    calm = from_normal(torch.randn(NUM_SOURCES // 2, NUM_ATTRIBUTES, generator=rng))
    faces = torch.cat([calm, sample_neutral(NUM_SOURCES // 2, rng)])

    def draw(ws):
        return final_image(generator, ws, epilogues=epilogues)

    sources = prepare_sources(generator.broadcast(attribute_map.to_w(faces)), draw, clip)
    inside = 1 - outside_face(generator.config.resolution)
    expressive = attribute_map.to_w(sample(8192, rng)[0])
    if start is None:
        begin_coloured(model, expressive)
    model = train(model, clip, draw, sources, prompts(), inside, expressive, training, scorers, seed)
    save_motion(
        path,
        model,
        half=True,
        generator="doodle",
        generator_fingerprint=fingerprint(generator),
        clip=clip.name,
        clip_fingerprint=clip.fingerprint,
        steps=training.steps,
        mean_picture=[round(value, 5) for value in F.normalize(sources.features.mean(dim=0), dim=0).tolist()],
        **Wording(TEMPLATE, {prompt: SENTENCES[prompt] for prompt in PROMPTS}).described(),
    )
    return model
