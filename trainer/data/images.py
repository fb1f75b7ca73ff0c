"""What an encoder learns from: faces that the generator draws, whose codes are known, and pictures, whose are not.

A source of pictures draws the randomness of a whole step from the generator it is given, and shows the positions of the
batch that it is asked for: which process shows which positions changes nothing.
"""

import warnings
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lga_core import Generator, Images, InputError, LgaError, WPlus, load_image
from lga_core.imaging import fit_square, to_uint8
from lga_core.stylegan2 import random_w

Positions = Int[Tensor, "m"]
Draw = Callable[[WPlus], Images]

CACHE_BYTES = 4 * 2**30
HELD_OUT_SHARE, MOST_HELD_OUT = 0.1, 64
NOT_SEEDS_OF_STEPS = 2**62
"""Where the seeds begin of faces that no step shows."""


class Shown(NamedTuple):
    """Pictures [m 3 h w] in -1..1, as the losses compare them, with their codes `ws` [m num_ws w_dim].

    `known` [m] weighs each code: 0 where it is unknown (then `ws` is zero), and 1 on average over the whole batch, so
    that a weighted mean is one over the known codes.
    """

    pictures: Images
    ws: WPlus
    known: Float[Tensor, "m"]


class Pictures(Protocol):
    """A source of pictures. `notes`: sentences for the report, once training is over."""

    def show(self, rng: torch.Generator, batch: int, positions: Positions, step: int) -> Shown:
        """These positions of the step's batch of `batch` pictures, drawn from `rng` alone."""
        ...

    def examples(self, num: int) -> dict[str, Shown]:
        """At most `num` pictures of each kind that no step shows, the same every time, by what they are."""
        ...

    @property
    def notes(self) -> list[str]: ...


class GeneratedFaces:
    """Faces of the generator's own: z -> w at one of several truncations, rows of two faces mixed, a little noise.

    psi: each face takes one of these, all alike likely. mixing: share of faces whose later rows are another face's.
    noise_std: standard deviation of noise on each row, in units of W's own.
    """

    def __init__(
        self, generator: Generator, draw: Draw, psi: Sequence[float], mixing: float, noise_std: float, seed: int = 0
    ) -> None:
        self.generator, self.draw, self.seed = generator, draw, seed
        self.psi, self.mixing, self.noise_std = torch.tensor(list(psi)), mixing, noise_std
        self.deviation = random_w(generator, 1024, torch.Generator().manual_seed(seed)).std(dim=0)
        self.notes: list[str] = []

    @torch.no_grad()
    def show(self, rng: torch.Generator, batch: int, positions: Positions, step: int) -> Shown:
        ws = self.codes(rng, batch, positions)
        known = torch.ones(len(ws), device=ws.device)
        return Shown(compared(self.draw(ws).float().clamp(-1, 1)), ws, known)

    def codes(self, rng: torch.Generator, batch: int, positions: Positions) -> WPlus:
        """Codes [m num_ws w_dim] of these positions."""
        config, num_ws = self.generator.config, self.generator.num_ws
        mixed = torch.rand(batch, generator=rng)[positions] < self.mixing
        cut = torch.randint(1, num_ws, (batch,), generator=rng)[positions]
        psi = self.psi[torch.randint(len(self.psi), (batch,), generator=rng)[positions]]
        noise = torch.randn(batch, num_ws, config.w_dim, generator=rng)[positions] * self.noise_std
        first, second = (self.generator.broadcast(random_w(self.generator, batch, rng, positions)) for _ in range(2))
        device, average = first.device, self.generator.w_avg
        other = (torch.arange(num_ws) >= cut[:, None]) & mixed[:, None]  # [m num_ws]
        ws = torch.where(other[:, :, None].to(device), second, first)
        ws = average + (ws - average) * psi[:, None, None].to(device)
        return ws + noise.to(device) * self.deviation

    @torch.no_grad()
    def examples(self, num: int) -> dict[str, Shown]:
        rng = torch.Generator().manual_seed(NOT_SEEDS_OF_STEPS + self.seed)
        return {"generated faces": self.show(rng, num, torch.arange(num), step=-1)}


class ImageFolder:
    """Aligned square pictures from files, mirrored half the time; the last tenth of them is only ever measured on.

    A file that cannot be read is named in `notes`, and the next one is shown in its place. `size`: in pixels. Raises
    InputError if none can be read.
    """

    def __init__(self, paths: Sequence[Path], size: int, num_ws: int, w_dim: int, device: torch.device) -> None:
        self.paths, self.size, self.code = list(paths), size, torch.zeros(num_ws, w_dim, device=device)
        self.skipped: dict[Path, str] = {}
        self._kept: dict[int, Tensor] = {}
        num = min(int(len(self.paths) * HELD_OUT_SHARE), MOST_HELD_OUT)
        readable = (index for index in reversed(range(len(self.paths))) if self._read(index) is not None)
        held_out = list(islice(readable, max(num, 1)))
        if not held_out:
            raise self._nothing_readable()
        self.num_train = min(held_out) if num and min(held_out) else len(self.paths)
        self.held_out = held_out[::-1] if self.num_train < len(self.paths) else []

    def show(self, rng: torch.Generator, batch: int, positions: Positions, step: int) -> Shown:
        indices = torch.randint(self.num_train, (batch,), generator=rng)[positions]
        mirrored = torch.rand(batch, generator=rng)[positions] < 0.5
        pictures = torch.stack([self.picture(int(index)) for index in indices])
        return self._shown(torch.where(mirrored[:, None, None, None], pictures.flip(3), pictures))

    def examples(self, num: int) -> dict[str, Shown]:
        """Held-out pictures, or, where fewer than ten were given, those that are trained on."""
        indices = self.held_out or range(self.num_train)
        kind = "held-out pictures" if self.held_out else "pictures, trained on"
        return {kind: self._shown(torch.stack([self.picture(index) for index in indices[:num]]))}

    def picture(self, index: int) -> Float[Tensor, "3 size size"]:
        """Picture `index`, or the next one for training that can be read."""
        for step in range(self.num_train):
            if (read := self._read(index if step == 0 else (index + step) % self.num_train)) is not None:
                return read.float() / 127.5 - 1
        raise self._nothing_readable()

    def _nothing_readable(self) -> InputError:
        path, why = next(iter(self.skipped.items()))
        return InputError(
            f"None of the pictures in {path.parent} can be read, {len(self.skipped)} files in all; one of them: {why}"
        )

    def _read(self, index: int) -> Tensor | None:
        """A picture as bytes [3 size size], from memory where there is room for all that were read."""
        if index in self._kept:
            return self._kept[index]
        path = self.paths[index]
        if path in self.skipped:
            return None
        try:
            picture = to_uint8(fit_square(load_image(path), self.size))[0].movedim(2, 0).contiguous()
        except LgaError as err:
            self.skipped[path] = str(err)
            warnings.warn(f"Skipped: {err}", stacklevel=2)
            return None
        if (len(self._kept) + 1) * picture.numel() <= CACHE_BYTES:
            self._kept[index] = picture
        return picture

    def _shown(self, pictures: Images) -> Shown:
        codes = self.code.expand(len(pictures), -1, -1)
        return Shown(pictures.to(codes.device), codes, torch.zeros(len(pictures), device=codes.device))

    @property
    def notes(self) -> list[str]:
        return [f"Skipped: {why}" for why in self.skipped.values()]


class MixedFaces:
    """Pictures of `album` at a random `share` of the positions, of `generated` at the others."""

    def __init__(self, generated: GeneratedFaces, album: ImageFolder, share: float) -> None:
        self.generated, self.album, self.share = generated, album, share

    def show(self, rng: torch.Generator, batch: int, positions: Positions, step: int) -> Shown:
        real = torch.rand(batch, generator=rng) < self.share
        seeds = torch.randint(2**62, (2,), generator=rng).tolist()
        parts = []
        for source, chosen, seed in zip((self.generated, self.album), (~real, real), seeds, strict=True):
            own = positions[chosen[positions]]
            if len(own):
                parts.append(source.show(torch.Generator().manual_seed(seed), batch, own, step))
        shown = merged(parts, real[positions])
        return shown._replace(known=shown.known * batch / max(int((~real).sum()), 1))

    def examples(self, num: int) -> dict[str, Shown]:
        return {**self.album.examples(num), **self.generated.examples(num)}

    @property
    def notes(self) -> list[str]:
        return self.album.notes


def merged(parts: Sequence[Shown], second: Bool[Tensor, "m"]) -> Shown:
    """The two parts (or the only one) in the order of positions: `second` says which are the second part's."""
    if len(parts) == 1:
        return parts[0]
    order = torch.cat([(~second).nonzero()[:, 0], second.nonzero()[:, 0]]).argsort()
    return Shown(*(torch.cat(pair)[order.to(pair[0].device)] for pair in zip(*parts, strict=True)))


LARGEST_COMPARED = 256


def compared(pictures: Images) -> Images:
    """Pictures as the losses see them: averaged down to 256 px where they are larger."""
    size = min(pictures.shape[-1], LARGEST_COMPARED)
    return pictures if pictures.shape[-1] == size else F.adaptive_avg_pool2d(pictures, size)
