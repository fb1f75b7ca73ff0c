"""The inference engine: the same function as `Generator.synthesis`, without gradients, several times faster.

A generator's weights are folded once (`folded_layers`). Low resolutions process all frames together (`batched_block`),
high resolutions frame by frame, in strips (`tiled_block`). Blocks whose ws are equal in all frames run once.
"""

from __future__ import annotations

import logging
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ...shapes import Features, Images, WPlus
from ..generator import Generator
from .batched_block import BatchedBlock
from .cuda_graphs import CudaGraphReplay
from .folded_layers import style_dtype
from .tiled_block import TiledBlock

LOG = logging.getLogger(__name__)
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
BATCH = 8
"""Frames per batch at low resolutions on a CPU; larger batches are not faster there."""
State = tuple[Features | None, Images | None]


def fastest_dtype(device: torch.device) -> torch.dtype:
    """The fastest dtype of features for inference on `device`: half precision if it has the instructions."""
    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu" and torch.backends.mkldnn.is_available():  # pyright: ignore
        asked = [getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")]
        if any(ask is not None and ask() for ask in asked):
            return torch.bfloat16
    return torch.float32


class Engine:
    """`generator.synthesis(ws)` for inference. Weights are copied: later changes to them have no effect.

    Args:
        generator: stays unchanged.
        dtype: of features and convolutions. Styles, demodulation and images are in float32 at least.
        device: runs the engine.
        batched_to: blocks up to this resolution process all frames at once; None: a good choice for the device.
        rows: height of the strips, in pixels, of the blocks above.
        compiled: compile the element-wise passes of the batched blocks at their first use, which takes a while. Without
            a working compiler they run uncompiled, with a warning.
    """

    def __init__(
        self,
        generator: Generator,
        dtype: torch.dtype,
        device: torch.device,
        batched_to: int | None = None,
        rows: int = 64,
        compiled: bool = False,
    ):
        if dtype not in DTYPES:
            raise ValueError(f"dtype is {dtype}; it must be one of {DTYPES}")
        self.config, self.dtype, self.device = generator.config, dtype, device
        self._definition = generator.synthesis
        self._batch = BATCH if device.type == "cpu" else 2**31
        if batched_to is None:
            batched_to = 64 if device.type == "cpu" else self.config.resolution
        self.blocks: list[BatchedBlock | TiledBlock] = []
        with torch.no_grad(), torch.inference_mode(False):
            for resolution in self.config.block_resolutions:
                block, last = self._definition.get_submodule(f"b{resolution}"), resolution == self.config.resolution
                batched = resolution <= max(batched_to, 4)
                if batched:
                    self.blocks.append(BatchedBlock(block, dtype, device, compiled))
                else:
                    first = not self.blocks or isinstance(self.blocks[-1], BatchedBlock)
                    self.blocks.append(TiledBlock(block, dtype, device, rows, first, last))
        self._draw = CudaGraphReplay(self._draw_chunks) if device.type == "cuda" else self._draw_chunks

    @torch.no_grad()
    def __call__(self, ws: WPlus, max_resolution: int | None = None) -> Images:
        """Synthesise: ws [n num_ws w_dim] -> images [n img_channels res res] in -1..1, float32, on the engine's device.

        Noise is the stored, constant noise. Errors and `max_resolution` are those of `Generator.synthesis`. Frames that
        overflow half precision are synthesised again by the generator itself.
        """
        self._definition._check(ws, "const", max_resolution)
        ws = ws.detach().to(self.device, style_dtype(self.dtype))
        count = len(self.config.block_resolutions)
        if max_resolution is not None:
            count = self.config.block_resolutions.index(max_resolution) + 1
        with torch.autocast(self.device.type, enabled=False):
            return self._redraw_overflowed(self.drawn(ws, count), ws, max_resolution)

    def drawn(self, ws: WPlus, count: int) -> Images:
        """Images of the first `count` blocks, in the engine's precision."""
        return self._draw(ws, self._num_shared_blocks(ws, count), count)

    def _draw_chunks(self, ws: WPlus, shared: int, count: int) -> Images:
        """`drawn`, where the first `shared` blocks are equal in all frames."""
        batched = [block for block in self.blocks[:count] if isinstance(block, BatchedBlock)]
        start = self._run((None, None), ws[:1], 0, shared)
        if shared == count:
            return _image(start).repeat(len(ws), 1, 1, 1)
        resolution = self.config.block_resolutions[count - 1]
        images = ws.new_empty(len(ws), self.config.img_channels, resolution, resolution)
        for first in range(0, len(ws), self._batch):
            part = ws[first : first + self._batch]
            x, image = self._run(start, part, shared, len(batched))
            if image is not None and len(batched) == count:
                images[first : first + len(part)] = image
                continue
            for index, w in enumerate(part.split(1)):
                state = self._run((_frame(x, index), _frame(image, index)), w, max(shared, len(batched)), count)
                images[first + index] = _image(state)[0]
        return images

    def _run(self, state: State, ws: WPlus, first: int, end: int) -> State:
        """Run blocks `first` up to, not including, `end`."""
        for index in range(first, end):
            block, row = self.blocks[index], max(0, 2 * index - 1)
            state = block(*state, ws[:, row : row + (2 if index == 0 else 3)])  # pyright: ignore
        return state

    def _num_shared_blocks(self, ws: WPlus, count: int) -> int:
        """How many of the first `count` blocks are equal in all frames, because their rows of ws are."""
        if len(ws) <= 1:
            return 0
        same = (ws == ws[:1]).flatten(2).all(dim=2).all(dim=0).tolist()
        rows = same.index(False) if False in same else len(same)
        return min(count, rows // 2)  # Block b reads rows up to 2 b + 1.

    def _redraw_overflowed(self, images: Images, ws: WPlus, max_resolution: int | None) -> Images:
        if self.dtype.itemsize > 2:
            return images
        good = images.sum(dim=(1, 2, 3)).isfinite().tolist()  # A sum shows it as well, in one pass.
        weight = next(self._definition.parameters())
        bad = [index for index, fine in enumerate(good) if not fine]
        if bad:
            LOG.info("%d of %d frames overflow %s: synthesised in full precision.", len(bad), len(good), self.dtype)
        for index in bad:
            image = self._definition(ws[index : index + 1].to(weight), max_resolution=max_resolution)
            images[index] = image[0].to(images)
        return images


def _image(state: State) -> Images:
    assert state[1] is not None
    return state[1]


def _frame(x: Tensor | None, index: int) -> Tensor | None:
    """Features of frame `index`, or those that all frames share."""
    return x if x is None or len(x) == 1 else x[index : index + 1]


_PREPARED: WeakKeyDictionary[Generator, tuple[tuple, dict[tuple, Engine]]] = WeakKeyDictionary()
"""Cached engines of the existing generators, and the state of the weights that they were made from."""


def prepared(
    generator: Generator,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    compiled: bool = False,
) -> Engine:
    """The cached inference engine of a generator: prepared(generator)(ws) is generator.synthesis(ws), faster.

    It is made at the first call, lives as long as the generator, and is made again when weights change or move.

    Args:
        dtype: of features; None: the fastest of the device, see `fastest_dtype`.
        device: None: the generator's device.
        compiled: see `Engine`; it pays on a GPU, in long runs.
    """
    device = next(generator.synthesis.parameters()).device if device is None else torch.device(device)
    dtype = fastest_dtype(device) if dtype is None else dtype
    state = tuple(map(_state, generator.synthesis.state_dict(keep_vars=True).values()))
    known, engines = _PREPARED.get(generator, (None, {}))
    if known != state:
        _PREPARED[generator] = state, (engines := {})
    if (dtype, device, compiled) not in engines:
        engines[dtype, device, compiled] = Engine(generator, dtype, device, compiled=compiled)
    return engines[dtype, device, compiled]


def _state(tensor: Tensor) -> tuple[int, int]:
    """A value that changes when the tensor is written to or moved."""
    return tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version
