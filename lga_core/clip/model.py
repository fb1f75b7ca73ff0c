"""CLIP (Eq. 2): a text encoder E_t and an image encoder E_v into one space of unit embeddings, through open_clip."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import InputError, MismatchError
from ..formats.fingerprints import fingerprint
from ..imaging.images import fit_square
from ..shapes import Embedding, Images

if TYPE_CHECKING:
    import open_clip  # Imported where it is used: it takes seconds, and faces can be drawn without it.


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
                f"CLIP '{self.name}' has a {type(visual).__name__}, which has no convolutional stages. "
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
                f"CLIP '{self.name}' does not know any word of '{shorten(text)}'. It was trained on a small "
                f"vocabulary: use words such as {', '.join(known[:20])}{' …' if len(known) > 20 else ''}."
            )

    def _warn_of_unknown_words(self, text: str) -> None:
        unknown = ", ".join(f"'{word}'" for word in self.unknown_words(text))
        if unknown:
            warnings.warn(
                f"CLIP '{self.name}' was not trained on {unknown} and ignores it in '{shorten(text)}'.",
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


def shorten(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
