"""The identity lock: the strength that is found keeps every frame alike, whatever likeness does on the way."""

import math
from types import SimpleNamespace

import pytest
import torch
from factories import tiny_generator_config

from lga_core import Generator, GeneratorConfig, InputError, rendering
from lga_core.metrics.identity_similarity import IdentitySimilarity
from lga_core.motion.identity_lock import farthest, lock_strength
from lga_core.stylegan2.inference import engine

WS = torch.zeros(1, 2, 3)


def plain_generator():
    """Draws the first number of a code as a grey picture."""

    def drawn(ws):
        return ws[:, :1, :1, None].expand(-1, 3, 4, 4)

    return SimpleNamespace(config=GeneratorConfig(4), w_avg=torch.zeros(3), drawn=drawn)


@pytest.fixture(autouse=True)
def plain_generators_draw_by_themselves(monkeypatch):
    def prepared(generator, *args):
        return getattr(generator, "drawn", None) or engine.prepared(generator, *args)

    monkeypatch.setattr(rendering, "prepared", prepared)


def motion(values) -> torch.Tensor:
    """Offsets [1 t 2 3] whose first number is `values` in turn."""
    return torch.as_tensor(values)[None, :, None, None].expand(-1, -1, 2, 3) * torch.tensor([1.0, 0, 0])


def alike_by(curve):
    """A likeness that is `curve` of how bright a frame is."""
    return lambda frames, source: torch.tensor([curve(value.item()) for value in frames[:, 0, 0, 0]])


RAMP = motion(torch.linspace(0, 1, 16))


def test_the_largest_strength_that_keeps_the_threshold_is_found():
    locked = lock_strength(plain_generator(), WS, RAMP, alike_by(lambda v: 1 - v * v), 0.5)
    assert 0.5**0.5 - 1 / 32 <= locked.strength <= 0.5**0.5
    assert locked.similarity == pytest.approx(1 - locked.strength**2, abs=1e-6) and locked.similarity >= 0.5


def test_the_whole_strength_is_kept_where_it_may_be():
    locked = lock_strength(plain_generator(), WS, RAMP, alike_by(lambda v: 1 - 0.1 * v), 0.5, most=2)
    assert locked.strength == 2 and [strength for strength, _ in locked.tried] == [2, 2]


def test_the_most_different_frame_counts_and_not_the_last_one():
    there_and_back = motion([*torch.linspace(0, 1, 9).tolist(), *torch.linspace(0.9, 0, 9).tolist()])
    locked = lock_strength(plain_generator(), WS, there_and_back, alike_by(lambda v: 1 - v), 0.6)
    assert 0.4 - 1 / 32 <= locked.strength <= 0.4 + 1e-6


@pytest.mark.parametrize("seed", range(20))
def test_every_frame_is_alike_enough_even_where_likeness_goes_up_and_down(seed):
    phase = torch.rand(3, generator=torch.Generator().manual_seed(seed)).tolist()

    def curve(value):
        return 1 - 0.6 * value * (1 + math.sin(20 * phase[0] * value + 6 * phase[1])) * (0.5 + phase[2])

    locked = lock_strength(plain_generator(), WS, RAMP, alike_by(curve), 0.7)
    assert min(curve(locked.strength * value) for value in RAMP[0, :, 0, 0].tolist()) >= 0.7 - 1e-6
    assert locked.strength == locked.tried[-1][0] and locked.similarity == locked.tried[-1][1]


def test_it_steps_back_from_what_the_search_did_not_see():
    def curve(value):  # a narrow dip, where no frame of the search lies
        return 0.0 if 0.85 < value < 0.88 else 1.0

    locked = lock_strength(plain_generator(), WS, RAMP, alike_by(curve), 0.5)
    assert 0 < locked.strength < 1
    assert locked.tried[0] == (1, 1.0) and locked.tried[1] == (1, 0.0)


def test_nothing_moves_where_nothing_is_alike_enough():
    locked = lock_strength(plain_generator(), WS, RAMP, alike_by(lambda v: 1 - v), 1.5)
    assert locked.strength == 0 and locked.similarity == 1 and locked.tried[-1] == (0, 1)
    assert lock_strength(plain_generator(), WS, RAMP, alike_by(lambda v: 1 - v), 0.5, most=0).strength == 0


def test_it_takes_few_draws_of_few_frames_and_reports_each():
    seen = []
    locked = lock_strength(
        plain_generator(), WS, RAMP, alike_by(lambda v: 1 - v), 0.5, draws=6, on_try=lambda *step: seen.append(step)
    )
    assert [number for number, _ in seen] == list(range(1, len(locked.tried) + 1))
    assert len(seen) == 7 and [len(frames) for _, frames in seen] == [4] * 6 + [16]
    assert all(frames[0].mean() == frames.mean(dim=(1, 2, 3)).max() for _, frames in seen)
    assert all(f"{strength:.2f}: {found:.3f}" in str(locked) for strength, found in locked.tried)


def test_what_a_try_raises_stops():
    def stop(number, frames):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lock_strength(plain_generator(), WS, RAMP, alike_by(lambda v: 1 - v), 0.5, on_try=stop)


def test_frames_that_are_looked_at_are_the_farthest_one_and_others_spread_evenly():
    offsets = motion([0, 0.1, 5, 0.3, 0.4, 0.5, 0.6, 0.7])[0]
    assert farthest(offsets, 1) == [2]
    chosen = farthest(offsets, 4)
    assert chosen[:2] == [2, 7] and len(set(chosen)) == 4
    assert sorted(farthest(offsets, 20)) == list(range(8))
    assert farthest(offsets[:1], 4) == [0]


def test_what_cannot_be_is_refused():
    alike = alike_by(lambda v: 1 - v)
    with pytest.raises(InputError, match="2 faces and 1 motions"):
        lock_strength(plain_generator(), WS.expand(2, -1, -1), RAMP, alike, 0.5)
    for most, threshold in ((-1.0, 0.5), (math.nan, 0.5), (1.0, math.inf)):
        with pytest.raises(InputError, match="must be finite"):
            lock_strength(plain_generator(), WS, RAMP, alike, threshold, most)


def test_it_draws_with_a_real_generator(rng):
    generator = Generator(tiny_generator_config(), 1).eval()
    ws = generator.broadcast(rng.randn(1, 8).float())
    offsets = torch.linspace(0, 1, 8)[None, :, None, None] * rng.randn(1, 1, 6, 8).float()
    alike = IdentitySimilarity(lambda images: images.flatten(1), "pixels")
    locked = lock_strength(generator, ws, offsets, alike, 0.9, most=2.0)
    with torch.no_grad():
        frames = generator.synthesis(ws + locked.strength * offsets[0])
        assert alike(frames, generator.synthesis(ws)).min() >= 0.9 - 1e-4
    assert 0 < locked.strength < 2
