"""A small open_clip model of an embedded domain, trained on captions that are true of several faces at once."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import open_clip
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn
from tqdm import tqdm

from lga_core import ClipModel, Images, load_clip
from lga_core.clip import save_clip

from ...training.loop import cosine
from ..embedded_domain import EmbeddedDomain
from ..words.captions import Captioner, all_phrases
from ..words.lexicon import Lexicon
from .clip_faces import IMAGE_SIZE, FacePool

CONFIG = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": IMAGE_SIZE, "layers": [1, 1, 1, 1], "width": 16, "head_width": 64},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 2},
}
START, END = 49406, 49407


class Vocabulary:
    """The tokens that captions use, numbered densely in CLIP's order (so that the end of text stays the largest)."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.tokenizer = open_clip.SimpleTokenizer(context_length=CONFIG["text_cfg"]["context_length"])
        self.ids = sorted(
            {0, START, END} | {token for phrase in all_phrases(lexicon) for token in self.tokenizer.encode(phrase)}
        )
        self.place = torch.full((END + 1,), 0)
        self.place[torch.tensor(self.ids)] = torch.arange(len(self.ids))

    def __call__(self, sentences: list[str]) -> Tensor:
        return self.place[self.tokenizer(sentences)]


def train_clip(
    domain: EmbeddedDomain,
    pool: FacePool,
    path: Path,
    steps: int,
    start: Path | None = None,
    lr: float = 1e-3,
    seed: int = 0,
) -> None:
    """Multi-positive InfoNCE with an attribute head that is thrown away; writes `path`, beginning from `start`."""
    rng = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    vocabulary = Vocabulary(domain.lexicon)
    config = deepcopy(CONFIG)
    config["text_cfg"]["vocab_size"] = len(vocabulary.ids)
    model = open_clip.CLIP(**config)
    if start is not None:
        model.load_state_dict(load_dense(start, vocabulary))
    head = nn.Linear(CONFIG["embed_dim"], len(domain.attributes))
    goal = (pool.attributes - pool.attributes.mean(dim=0)) / (pool.attributes.std(dim=0) + 1e-3)
    captioner = Captioner(domain.lexicon, *pool.truth(domain.lexicon), pool.labels)
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=0.02, betas=(0.9, 0.98), fused=True)
    normal = ClipModel(domain.name, model, CONFIG, *colours())
    model.train().requires_grad_(True)
    progress = tqdm(range(steps), desc=path.stem, mininterval=5)
    for step in progress:
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1, (step + 1) / 50) * (0.02 + 0.98 * cosine(step / steps))
        faces = torch.randint(len(pool.images), (128,), generator=rng)
        images = ((augmented(pool.images[faces], rng) + 1) / 2 - normal.mean) / normal.std
        with torch.autocast("cpu", torch.bfloat16):
            features = model.encode_image(images.contiguous(memory_format=torch.channels_last)).float()
        sentences, positive, clear = captioner.draw(faces, rng)
        text = model.encode_text(vocabulary(sentences), normalize=True)
        logits = model.logit_scale.exp().clamp(max=100) * F.normalize(features, dim=1) @ text.T
        loss = 0.5 * multi_positive(logits, positive, clear) + 0.3 * (head(features) - goal[faces]).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 50 == 49:
            progress.set_postfix(loss=f"{loss.item():.3f}", scale=f"{model.logit_scale.exp().item():.1f}")
    save_clip(path, model.eval(), CONFIG, vocabulary.ids, *colours(), half=True, name=domain.name)


def colours() -> tuple[tuple[float, ...], tuple[float, ...]]:
    return open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD


def load_dense(path: Path, vocabulary: Vocabulary) -> dict[str, Tensor]:
    state = load_clip(path).model.state_dict()
    state["token_embedding.weight"] = state["token_embedding.weight"][torch.tensor(vocabulary.ids)]
    return state


def multi_positive(logits: Float[Tensor, "b b"], positive: Bool[Tensor, "b b"], clear: Bool[Tensor, "b b"]) -> Tensor:
    """InfoNCE in both directions where a caption may be true of several faces; doubtful pairs count for nothing."""
    logits = logits.masked_fill(~clear & ~torch.eye(len(logits), dtype=torch.bool), -1e4)
    share = (positive & clear) | torch.eye(len(logits), dtype=torch.bool)
    by_image = -(F.log_softmax(logits, dim=1) * share).sum(dim=1) / share.sum(dim=1)
    by_text = -(F.log_softmax(logits, dim=0) * share).sum(dim=0) / share.sum(dim=0)
    return (by_image + by_text).mean()


def augmented(images: UInt8[Tensor, "n 3 h w"], rng: torch.Generator) -> Float[Tensor, "n 3 h w"]:
    """Small shifts and mirrorings, casts, blur: the pictures a motion's training will show it."""
    n = len(images)
    x = images.float() / 127.5 - 1
    x = x * (1 + 0.1 * torch.randn(n, 1, 1, 1, generator=rng)) + 0.06 * torch.randn(n, 3, 1, 1, generator=rng)
    blur, mirror, shift_x, shift_y = torch.rand(4, generator=rng).tolist()
    if blur < 0.3:
        x = F.interpolate(F.avg_pool2d(x, 2), size=64, mode="bilinear")
    if mirror < 0.5:
        x = x.flip(3)
    x = torch.roll(x, (int(shift_x * 7) - 3, int(shift_y * 7) - 3), dims=(2, 3))
    return x.clamp(-1, 1)


@torch.no_grad()
def zero_shot(
    domain: EmbeddedDomain, clip: ClipModel, draw: Callable[[Tensor], Images], faces: Float[Tensor, "n k"]
) -> dict[str, float]:
    """Share of faces whose best of all prompts' sentences is the true one; `draw` makes images from attributes."""
    prompts, sentences = domain.attributes.prompts, domain.lexicon.sentences
    text = clip.encode_text([sentences[prompt] for prompt in prompts])
    scores = {}
    for column, prompt in enumerate(prompts):
        features = clip.encode_images(draw(domain.attributes.with_preset(faces, prompt)))
        scores[prompt] = ((features @ text.T).argmax(dim=1) == column).float().mean().item()
    return scores
