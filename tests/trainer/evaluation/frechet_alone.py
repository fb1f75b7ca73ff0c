"""One of several processes takes a Fréchet distance while the others wait for it; run by a launcher."""

import torch

from lga_trainer.evaluation.fid import FrechetDistance, Moments
from lga_trainer.training.distributed import Workers

if __name__ == "__main__":
    workers = Workers("cpu", 1)
    if workers.is_first:
        x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
        print(f"{FrechetDistance([x])(Moments.of(x + 1)):.3f}")
    workers.wait()
    workers.end()
