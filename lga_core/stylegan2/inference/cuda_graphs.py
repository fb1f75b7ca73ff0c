"""CUDA graphs: kernels are recorded once and replayed with one launch."""

import logging
from collections import OrderedDict
from collections.abc import Callable

import torch

from ...shapes import Images, WPlus

LOG = logging.getLogger(__name__)
MAX_RECORDINGS = 4
"""Recordings at a time; each keeps its own working memory."""
WARM_UPS = 3
Draw = Callable[[WPlus], Images]


class CudaGraphReplay:
    """`draw(ws, *what)`, recorded once per number of frames and `what`.

    If recording fails, kernels are launched normally from then on, with one warning in the log.
    """

    def __init__(self, draw: Callable[..., Images], record: Callable[[Draw, WPlus], Draw] | None = None):
        self.draw, self.record = draw, record or record_graph
        self.recordings: OrderedDict[tuple, Draw] = OrderedDict()
        self.works = True

    def __call__(self, ws: WPlus, *what: int) -> Images:
        if not self.works or not len(ws):
            return self.draw(ws, *what)
        key = (len(ws), *what)
        if key not in self.recordings:
            while len(self.recordings) >= MAX_RECORDINGS:
                self.recordings.popitem(last=False)  # the least recently used one
            try:
                self.recordings[key] = self.record(lambda ws: self.draw(ws, *what), ws)
            except torch.cuda.OutOfMemoryError:
                raise  # fewer frames may fit
            except RuntimeError as error:
                self.works = False
                self.recordings.clear()
                LOG.warning("Synthesis runs without CUDA graphs, which is slower: %s", str(error).partition("\n")[0])
                return self.draw(ws, *what)
        self.recordings.move_to_end(key)
        return self.recordings[key](ws)


def record_graph(draw: Draw, ws: WPlus) -> Draw:
    """`draw` as a CUDA graph for the number of frames in `ws`."""
    given = ws.clone()
    stream = torch.cuda.Stream(ws.device)
    stream.wait_stream(torch.cuda.current_stream(ws.device))
    with torch.cuda.stream(stream):  # Warm up: libraries select their kernels, which must not be recorded.
        for _ in range(WARM_UPS):
            draw(given)
    torch.cuda.current_stream(ws.device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        drawn = draw(given)

    def replay(ws: WPlus) -> Images:
        given.copy_(ws)
        graph.replay()
        return drawn.clone()

    return replay
