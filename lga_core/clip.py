"""CLIP as a text encoder and an image encoder: unit embeddings in one space, through open_clip.

Two kinds of file are read: anyone's open_clip weights beside a model name, and our own small files, which keep only the
part of the vocabulary they were trained on.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Sequence
from copy import deepcopy
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from .errors import CheckpointError, InputError, MismatchError
from .formats.fingerprints import fingerprint
from .formats.foreign import read_foreign
from .formats.native import load_checkpoint, save_checkpoint
from .imaging.images import fit_square
from .shapes import Embedding, Images

if TYPE_CHECKING:
    import open_clip  # Imported where it is used: it takes seconds, and faces can be drawn without it.

VOCABULARY = 49408
"""Entries of CLIP's byte-pair vocabulary (Radford et al. 2021)."""
PAD, START, END = 0, 49406, 49407
"""Token ids that each text holds. `END` must stay the largest: open_clip reads the text's embedding at the argmax."""


class ClipModel(nn.Module):
    """An open_clip model with its tokenizer, its own mean and deviation, and clear answers about text.

    Embeddings are unit vectors [n c], c = `embed_dim`. Gradients flow through both towers; the parameters themselves
    are frozen unless their owner thaws them.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        model: open_clip.CLIP | open_clip.CustomTextCLIP,
        config: dict[str, Any],
        mean: Sequence[float],
        std: Sequence[float],
        known_tokens: frozenset[int] | None = None,
        metadata: dict[str, Any] | None = None,
    ):
        super().__init__()
        from open_clip import SimpleTokenizer

        self.name = name
        self.model = model.requires_grad_(False)
        self.config = config
        """The architecture, in open_clip's form."""
        self.embed_dim: int = config["embed_dim"]
        image_size = config["vision_cfg"].get("image_size", 224)
        self.image_size: int = image_size if isinstance(image_size, int) else image_size[0]
        """Side, in pixels, of the square picture that the image tower takes."""
        self.context_length: int = config["text_cfg"].get("context_length", 77)
        self.tokenizer = SimpleTokenizer(context_length=self.context_length)
        self.known_tokens = known_tokens
        """Token ids that the text tower was trained on; None when it knows the whole vocabulary."""
        self.metadata = metadata or {}
        self.register_buffer("mean", torch.tensor(mean).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(1, 3, 1, 1), persistent=False)
        self.eval()

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that tell this model from another, in whatever precision it was stored."""
        return fingerprint(self)

    def encode_text(self, texts: Sequence[str]) -> Embedding:
        """Unit embeddings [n c] of n texts.

        Raises InputError for a text that is empty, longer than the context, or made of unknown words only, and warns
        (UserWarning) when some of its words are unknown.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        for text in texts:
            self.check_text(text)
            self._warn_of_unknown_words(text)
        tokens = self.tokenizer(texts).to(self.mean.device)
        return F.normalize(self.model.encode_text(tokens), dim=-1)

    def encode_images(self, images: Images) -> Embedding:
        """Unit embeddings [n c] of pictures in -1..1 of any size: centre crop, resize, the model's own mean and std."""
        return F.normalize(self.model.encode_image(self.preprocess(images)), dim=-1)

    def preprocess(self, images: Images, size: int | None = None) -> Images:
        """Pictures in -1..1 as the image tower wants them: `size` square (`image_size`), mean and deviation removed."""
        return ((fit_square(images, size or self.image_size) + 1) / 2 - self.mean) / self.std

    def stages(self, images: Images, size: int | None = None) -> list[Float[Tensor, "n c h w"]]:
        """Feature maps of a ModifiedResNet image tower, finest first: the stem, then its four stages.

        They serve as a perceptual distance (LPIPS, Zhang et al. 2018). `size`: side in pixels at which pictures are
        looked at, None for the tower's own. Raises MismatchError for a vision transformer.
        """
        from open_clip.modified_resnet import ModifiedResNet

        visual = self.model.visual
        if not isinstance(visual, ModifiedResNet):
            raise MismatchError(
                f"CLIP '{self.name}' sees through a {type(visual).__name__}, which has no convolutional stages. "
                "The perceptual distance needs a ResNet CLIP such as RN50."
            )
        maps = [visual.stem(self.preprocess(images, size))]
        for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            maps.append(layer(maps[-1]))
        return maps

    def unknown_words(self, text: str) -> list[str]:
        """Words of `text` that the text tower was never trained on, in order, each once. Punctuation does not count."""
        return [word for word in dict.fromkeys(_words(text)) if not self._knows(word)]

    def known_words(self) -> list[str]:
        """Whole words that the text tower was trained on, sorted; empty when it knows the whole vocabulary."""
        ends = (token for token in self.known_tokens or () if self.tokenizer.decoder[token].endswith("</w>"))
        words = (self.tokenizer.decode([token]).strip() for token in ends)
        return sorted(word for word in words if word.isalpha())

    def check_text(self, text: str) -> None:
        """Raise InputError if `text` is empty, longer than the context, or made of unknown words only."""
        if not self.tokenizer.encode(text):
            raise InputError("The text is empty. Write what the face should do, such as 'smiling'.")
        self._check_length(text)
        if self.known_tokens is not None and len(self.unknown_words(text)) == len(set(_words(text))):
            known = self.known_words()
            raise InputError(
                f"CLIP '{self.name}' knows no word of '{_shorten(text)}'. It was trained on a small vocabulary: "
                f"use words such as {', '.join(known[:20])}{' …' if len(known) > 20 else ''}."
            )

    def _warn_of_unknown_words(self, text: str) -> None:
        unknown = ", ".join(f"'{word}'" for word in self.unknown_words(text))
        if unknown:
            warnings.warn(
                f"CLIP '{self.name}' was never trained on {unknown} and passes over it in '{_shorten(text)}'.",
                UserWarning,
                stacklevel=3,
            )

    def _knows(self, word: str) -> bool:
        return self.known_tokens is None or self.known_tokens.issuperset(self.tokenizer.encode(word))

    def _check_length(self, text: str) -> None:
        room = self.context_length - 2  # START and END take one place each.
        found = len(self.tokenizer.encode(text))
        if found <= room:
            return
        words = text.split()
        fitting = len(words)
        while fitting and len(self.tokenizer.encode(" ".join(words[:fitting]))) > room:
            fitting -= 1
        part = f"This part fits: '{' '.join(words[:fitting])}'." if fitting else "Not even its first word fits."
        raise InputError(
            f"The text has {found} tokens, and CLIP '{self.name}' takes {room} at most. {part} Shorten the text."
        )


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text.lower())


def _shorten(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def load_clip(
    name: str | PathLike[str],
    weights: str | PathLike[str] | None = None,
    config: dict[str, Any] | str | PathLike[str] | None = None,
    device: str | torch.device = "cpu",
    quick_gelu: bool | None = None,
) -> ClipModel:
    """A CLIP model, in fp32 and evaluation mode.

    - `load_clip("clip.safetensors")` reads a file that `save_clip` wrote.
    - `load_clip("RN50-quickgelu", "RN50.safetensors")` reads a model that open_clip knows by name, from open_clip
      weights (.safetensors, or .pt/.bin holding plain tensors). Nothing is ever downloaded.
    - `config`, a dict or a JSON file in open_clip's form (embed_dim, vision_cfg, text_cfg), describes another model.

    OpenAI's weights were trained with QuickGELU, which their files do not say: `quick_gelu=True` forces it, and so does
    a `name` that ends in "-quickgelu" or a weights file with "openai" in its name.

    Raises InputError for an unknown name or a missing file, CheckpointError for a file that does not fit.
    """
    if weights is None:
        return _load_own(Path(name), device)
    name, weights = str(name), Path(weights)
    if not weights.is_file():
        raise InputError(f"There is no CLIP weights file at {weights}. Give the path of an open_clip weights file.")
    config = _find_config(name) if config is None else _read_config(config)
    config["quick_gelu"] = _needs_quick_gelu(name, weights, config) if quick_gelu is None else quick_gelu
    model = _build(name, config)
    _load_weights(model, name, weights)
    from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    return ClipModel(name, model, config, OPENAI_DATASET_MEAN, OPENAI_DATASET_STD).to(device)


def save_clip(
    path: str | PathLike[str],
    model: open_clip.CLIP,
    config: dict[str, Any],
    token_ids: Iterable[int],
    mean: Sequence[float],
    std: Sequence[float],
    *,
    half: bool = False,
    **metadata: Any,
) -> None:
    """Write `model` to `path` with only the vocabulary rows of `token_ids`, the tokens it was trained on.

    `config` is the model's open_clip config. The token table of `model` is either whole, 49,408 rows, or already has
    one row for each of `token_ids` in their order. `mean` and `std` are the image tower's, for pictures in 0..1.
    `half` stores fp16. Further keywords go into the file's metadata.
    """
    ids = list(token_ids)
    state = {key: value for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    table = state["token_embedding.weight"]
    if table.shape[0] == VOCABULARY:
        ids = sorted({*ids, PAD, START, END})
        table = table[torch.tensor(ids, device=table.device)]
    if table.shape[0] != len(ids) or len(set(ids)) != len(ids) or not {START, END} <= set(ids):
        raise MismatchError(
            f"The CLIP's token table has {table.shape[0]} rows and {len(ids)} token ids were named for them. Name each "
            f"row's id once, {START} and {END} (start and end of a text) among them, or give the whole table."
        )
    state["token_embedding.weight"] = table
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    tensors["token_ids"] = torch.tensor(ids, dtype=torch.int64)
    architecture = deepcopy(config)
    architecture["text_cfg"]["vocab_size"] = VOCABULARY
    metadata |= {"mean": [float(value) for value in mean], "std": [float(value) for value in std]}
    save_checkpoint(path, "clip", tensors, architecture, half=half, **metadata)


_NO_WEIGHTS = ("input_resolution", "context_length", "vocab_size")  # three numbers in OpenAI's files


def _load_own(path: Path, device: str | torch.device) -> ClipModel:
    if not path.is_file():
        raise InputError(
            f"There is no CLIP file at {path}. Give the path of a file made by this project, or a model name together "
            "with the path of its open_clip weights."
        )
    try:
        checkpoint = load_checkpoint(path, "clip")
    except CheckpointError as err:
        raise CheckpointError(f"{err} (If it holds open_clip weights, say which model's.)") from err
    tensors = dict(checkpoint.tensors)
    ids = tensors.pop("token_ids", None)
    rows = tensors.get("token_embedding.weight")
    if ids is None or rows is None or ids.shape != rows.shape[:1] or not 0 <= int(ids.min()) <= int(ids.max()) == END:
        raise CheckpointError(
            f"{path} has a token table that does not match its token ids: each row needs one id from 0 to {END}, and "
            f"{END}, the end of a text, must be among them. The file is damaged: build or fetch it again."
        )
    table = rows.new_zeros(VOCABULARY, rows.shape[1])
    table[ids] = rows
    tensors["token_embedding.weight"] = table
    with torch.device("meta"):  # Nothing is allocated before the file is known to fit.
        _check_tensors(_build(str(path), checkpoint.architecture), path, tensors)
    model = _build(str(path), checkpoint.architecture)
    model.load_state_dict(tensors, strict=False)  # All but batch normalisation's step counters, which are of no use.
    mean, std = (_colour(checkpoint.metadata.get(key), key, path) for key in ("mean", "std"))
    name = str(checkpoint.metadata.get("name", path.stem))
    known = frozenset(ids.tolist())
    return ClipModel(name, model, checkpoint.architecture, mean, std, known, dict(checkpoint.metadata)).to(device)


def _colour(value: object, key: str, path: Path) -> list[float]:
    numbers = value if isinstance(value, list) and all(isinstance(x, (int, float)) for x in value) else []
    if len(numbers) != 3 or (key == "std" and min(numbers) <= 0):
        raise CheckpointError(
            f"{path} has {value!r} as the {key} of its pictures; three numbers are needed, positive for std. Build or "
            "fetch the file again."
        )
    return [float(x) for x in numbers]


def _find_config(name: str) -> dict[str, Any]:
    import open_clip

    config = open_clip.get_model_config(name) if name in open_clip.list_models() else None
    if config is None:
        raise InputError(
            f"open_clip has no model named '{name}'. Use one of its names, such as RN50-quickgelu or "
            "ViT-B-32-quickgelu, or give a config."
        )
    return config


def _read_config(config: dict[str, Any] | str | PathLike[str]) -> dict[str, Any]:
    if isinstance(config, dict):
        return deepcopy(config)
    try:
        read = json.loads(Path(config).read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise InputError(f"The CLIP config {config} cannot be read ({err}). Give an open_clip JSON file.") from err
    return read.get("model_cfg", read)  # Hubs wrap the config.


def _needs_quick_gelu(name: str, weights: Path, config: dict[str, Any]) -> bool:
    if config.get("quick_gelu") or name.endswith("-quickgelu") or "openai" in weights.name.lower():
        return True
    import open_clip

    if f"{name}-quickgelu" in open_clip.list_models():
        warnings.warn(
            f"{weights.name} is read as a standard-GELU {name}. If these are OpenAI's weights, say {name}-quickgelu "
            "(or quick_gelu=True), or the embeddings will be slightly wrong.",
            UserWarning,
            stacklevel=3,
        )
    return False


def _build(name: str, config: dict[str, Any]) -> open_clip.CLIP | open_clip.CustomTextCLIP:
    import open_clip

    config = deepcopy(config)
    try:
        text, vision = config["text_cfg"], config["vision_cfg"]
        if "multimodal_cfg" in config or text.get("hf_model_name") or text.get("hf_tokenizer_name"):
            raise InputError(f"CLIP '{name}' takes its text tower from another library. Choose one of CLIP's own.")
        if vision.get("timm_model_name"):
            vision["timm_model_pretrained"] = False  # Would fetch weights, which are replaced at once.
        model_class = open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP
        with torch.random.fork_rng(devices=[]):  # first weights are drawn, and replaced: nothing else may depend on it
            return model_class(**config)
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError, RuntimeError) as err:
        raise CheckpointError(
            f"The config of CLIP '{name}' does not describe an open_clip model ({err}). It needs embed_dim, vision_cfg "
            "and text_cfg."
        ) from err


def _load_weights(model: open_clip.CLIP | open_clip.CustomTextCLIP, name: str, weights: Path) -> None:
    """Weights of any container that `read_foreign` knows, by open_clip's names. Nothing in the file is run."""
    value = read_foreign(weights).value
    table = value.get("state_dict", value) if isinstance(value, dict) else {}
    tensors = {
        key.removeprefix("module."): tensor
        for key, tensor in (table.items() if isinstance(table, dict) else ())
        if isinstance(tensor, Tensor) and isinstance(key, str) and key not in _NO_WEIGHTS
    }
    try:
        model.load_state_dict(tensors)
    except RuntimeError as err:
        raise CheckpointError(
            f"{weights} cannot be read as open_clip weights of '{name}': {_shorten(str(err), 300)} Check that the name "
            "and the file belong together and that the file is whole."
        ) from err


def _check_tensors(model: nn.Module, path: Path, tensors: dict[str, Tensor]) -> None:
    needed = {key: value.shape for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    found = {key: value.shape for key, value in tensors.items()}
    wrong = sorted(key for key in needed.keys() | found.keys() if needed.get(key) != found.get(key))
    if wrong:
        key = wrong[0]
        raise CheckpointError(
            f"{path} does not match its own architecture at {len(wrong)} tensors, first '{key}': found "
            f"{_describe(found.get(key))}, needed {_describe(needed.get(key))}. Build or fetch the file again."
        )


def _describe(shape: Sequence[int] | None) -> str:
    return "none" if shape is None else f"shape {list(shape)}"
