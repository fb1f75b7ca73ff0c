"""What a graphics card wants beside half precision: few launches. Work is recorded once and replayed (CUDA graphs)."""

import logging
from collections import OrderedDict
from collections.abc import Callable

import torch

from ...shapes import Images, WPlus

LOG = logging.getLogger(__name__)
MAX_RECORDINGS = 4
"""Each holds the memory that it works in."""
WARM_UPS = 3
Draw = Callable[[WPlus], Images]


class CudaGraphReplay:
    """`draw(ws, *what)`, recorded once for each number of frames and each `what`.

    Where recording fails, work is launched as ever, for good, and the log says so once.
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
                self.recordings.popitem(last=False)  # the one that was not used for longest
            try:
                self.recordings[key] = self.record(lambda ws: self.draw(ws, *what), ws)
            except torch.cuda.OutOfMemoryError:
                raise  # fewer frames may fit
            except RuntimeError as error:
                self.works = False
                self.recordings.clear()
                LOG.warning("Drawing is not recorded, which is slower: %s", str(error).partition("\n")[0])
                return self.draw(ws, *what)
        self.recordings.move_to_end(key)
        return self.recordings[key](ws)


def record_graph(draw: Draw, ws: WPlus) -> Draw:
    """`draw` as a CUDA graph for so many frames as `ws` has."""
    given = ws.clone()
    stream = torch.cuda.Stream(ws.device)
    stream.wait_stream(torch.cuda.current_stream(ws.device))
    with torch.cuda.stream(stream):  # Libraries choose and prepare what they run, which must not be recorded.
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
