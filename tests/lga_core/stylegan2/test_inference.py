"""The engine draws what the generator's synthesis draws: strips of any height, any number of frames, any precision."""

import copy
import dataclasses
import gc
import logging
import weakref

import pytest
import torch
from factories import tiny_generator_config
from torch.testing import assert_close

from lga_core import Generator, InputError
from lga_core.stylegan2 import upsampling_conv as doubling
from lga_core.stylegan2.fused_ops import Passes
from lga_core.stylegan2.inference import batched_block as batched
from lga_core.stylegan2.inference import tiled_block as strips
from lga_core.stylegan2.inference.cuda_graphs import MAX_RECORDINGS, CudaGraphReplay
from lga_core.stylegan2.inference.engine import Engine, fastest_dtype, prepared

CPU = torch.device("cpu")
TINY = tiny_generator_config(32, z_dim=6, mapping_layers=2)
KINDS = [
    {},
    {"architecture": "resnet"},
    {"architecture": "orig"},
    {"conv_clamp": 0.5},
    {"architecture": "resnet", "conv_clamp": 0.5},
    {"architecture": "orig", "img_channels": 1},
    {"resolution": 4},
]


def make(dtype: torch.dtype = torch.float64, **changes) -> Generator:
    """A tiny generator, with noise and biases that matter."""
    generator = Generator(dataclasses.replace(TINY, **changes)).to(dtype)
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in generator.state_dict().items():
            if name.endswith(("noise_strength", "bias")):
                tensor.add_(torch.randn(tensor.shape, generator=rng, dtype=tensor.dtype), alpha=0.3)
    return generator


def plain(generator: Generator, ws: torch.Tensor, **options) -> torch.Tensor:
    with torch.no_grad():
        return generator.synthesis(ws, **options)


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Root mean square, in standard deviations of the picture."""
    return float((found - expected).square().mean().sqrt() / expected.std())


@pytest.fixture
def counted(monkeypatch):
    """Frames that each block was asked for, in order: ("batched" or "strips", resolution, frames)."""
    calls = []
    for name, kind in (("batched", batched.BatchedBlock), ("strips", strips.TiledBlock)):

        def counting(self, x, image, ws, name=name, draw=kind.__call__):
            features, drawn = draw(self, x, image, ws)
            calls.append((name, drawn.shape[-1], len(ws)))
            return features, drawn

        monkeypatch.setattr(kind, "__call__", counting)
    return calls


@pytest.mark.parametrize("rows", [2, 4, 8, 16, 64])
@pytest.mark.parametrize("changes", KINDS, ids=str)
def test_pictures_are_the_generators_whatever_the_height_of_a_strip(rng, changes, rows):
    generator = make(**changes)
    ws = rng.randn(3, generator.num_ws, 8)
    for batched_to in (4, 8, 32):
        engine = Engine(generator, torch.float64, CPU, batched_to, rows)
        assert_close(engine(ws), plain(generator, ws), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("batched_to", [8, 32])
def test_many_channels_are_doubled_by_phases(rng, monkeypatch, batched_to):
    monkeypatch.setattr(doubling, "PHASES_FROM", 1)
    generator, ws = make(), rng.randn(2, 8, 8)
    engine = Engine(generator, torch.float64, CPU, batched_to=batched_to)
    assert engine.blocks[1].convs[0].up_conv.phases
    assert_close(engine(ws), plain(generator, ws), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 9, 17])
def test_any_number_of_frames(rng, n):
    generator = make()
    ws = rng.randn(n, generator.num_ws, 8)
    images = Engine(generator, torch.float64, CPU, 8, 8)(ws)
    assert images.shape == (n, 3, 32, 32)
    assert_close(images, torch.cat([images[:0], *(plain(generator, w) for w in ws.split(1))]))


def test_single_precision_is_equal_but_for_rounding_and_half_is_close(rng):
    generator = make()
    ws = rng.randn(3, generator.num_ws, 8)
    expected = plain(generator, ws)
    for dtype, bound in ((torch.float32, 2e-6), (torch.float16, 2e-3), (torch.bfloat16, 1.2e-2)):
        for batched_to in (4, 32):
            images = Engine(generator, dtype, CPU, batched_to, 8)(ws)
            assert images.dtype == torch.float32
            assert bound / 1000 < error(images, expected) < bound


@pytest.mark.parametrize("resolution", [4, 8, 16, 32])
def test_a_preview_stops_at_its_resolution(rng, resolution):
    generator = make()
    ws = rng.randn(2, generator.num_ws, 8)
    for batched_to in (4, 32):
        engine = Engine(generator, torch.float64, CPU, batched_to, 8)
        assert_close(engine(ws, max_resolution=resolution), plain(generator, ws, max_resolution=resolution))


def test_wrong_inputs_are_refused_as_by_the_generator(rng):
    engine = prepared(make(architecture="orig"))
    with pytest.raises(InputError, match=r"needs \[n 8 8\]"):
        engine(rng.randn(1, 3, 8))
    with pytest.raises(ValueError, match="max_resolution is 16"):
        engine(rng.randn(1, 8, 8), max_resolution=16)
    with pytest.raises(ValueError, match="dtype is torch.int8"):
        prepared(make(), torch.int8)


# What is the same in all frames


@pytest.mark.parametrize("kind", [{}, {"architecture": "resnet"}, {"architecture": "orig"}], ids=str)
@pytest.mark.parametrize("shared", range(9))
def test_frames_that_share_leading_rows_are_drawn_right(rng, kind, shared):
    generator = make(**kind)
    ws = rng.randn(3, generator.num_ws, 8)
    ws[:, :shared] = ws[:1, :shared]
    for batched_to in (4, 8, 32):
        assert_close(Engine(generator, torch.float64, CPU, batched_to, 8)(ws), plain(generator, ws))


@pytest.mark.parametrize(
    "shared, frames",
    [(0, [3, 3, 1, 1, 1]), (1, [3, 3, 1, 1, 1]), (2, [1, 3, 1, 1, 1]), (4, [1, 1, 1, 1, 1]), (6, [1, 1, 1])],
)
def test_blocks_whose_rows_are_the_same_in_all_frames_are_drawn_once(rng, counted, shared, frames):
    generator = make(resolution=16)
    ws = rng.randn(3, generator.num_ws, 8)
    ws[:, :shared] = ws[:1, :shared]
    Engine(generator, torch.float64, CPU, 8, 8)(ws)
    places = [("batched", 4), ("batched", 8), *[("strips", 16)] * 3]
    assert counted == [(*place, n) for place, n in zip(places, frames, strict=False)]


def test_pictures_of_equal_frames_may_be_written_on(rng):
    generator = make()
    images = prepared(generator, torch.float64)(rng.randn(1, 8, 8).expand(3, -1, -1))
    images[0] = 0
    assert images[1].abs().sum() > 0


# Precision


def test_frames_that_half_precision_cannot_hold_are_drawn_by_the_generator_and_only_those(rng, monkeypatch, caplog):
    generator = make(torch.float32)
    ws = rng.randn(3, generator.num_ws, 8).float()
    with torch.no_grad():
        generator.synthesis.get_submodule("b8").get_submodule("conv1").bias[:] = 1e5  # more than float16 can say
    engine = prepared(generator, torch.float16)
    spoilt = engine.drawn(ws, 4)
    assert not spoilt.isfinite().all()
    with caplog.at_level(logging.INFO):
        assert_close(engine(ws), plain(generator, ws), rtol=1e-3, atol=1.0)
    assert [record.getMessage() for record in caplog.records] == [
        "3 of 3 frames overflow torch.float16: synthesised in full precision."
    ]
    fine = engine.__class__(make(torch.float32), torch.bfloat16, CPU)
    drawn = fine.drawn(ws, 4)
    drawn[1, 0, 3, 3] = torch.inf
    monkeypatch.setattr(fine, "drawn", lambda *_: drawn.clone())
    mended = fine(ws)
    assert torch.equal(mended[[0, 2]], drawn[[0, 2]])
    assert torch.equal(mended[1:2], plain(make(torch.float32), ws[1:2]))


def test_styles_of_any_size_fit_into_float16(rng):
    """Demodulation takes a style's size away, so that it never needs to reach the features."""
    generator = make(torch.float32)
    with torch.no_grad():
        for name, tensor in generator.synthesis.named_parameters():
            if "conv" in name and "affine" in name:
                tensor *= 1e6
    ws = rng.randn(2, generator.num_ws, 8).float()
    images = prepared(generator, torch.float16).drawn(ws, 4)
    assert error(images, plain(generator, ws)) < 5e-3


def test_autocast_around_it_changes_nothing(rng):
    generator = make(torch.float32)
    ws = rng.randn(1, generator.num_ws, 8).float()
    images = prepared(generator, torch.float32)(ws)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(prepared(generator, torch.float32)(ws), images)


@pytest.mark.parametrize(
    "amx, avx, dtype",
    [
        (True, True, torch.bfloat16),
        (False, True, torch.bfloat16),
        (False, False, torch.float32),
        (None, None, torch.float32),
    ],
)
def test_the_processor_is_asked_what_it_has(monkeypatch, amx, avx, dtype):
    for name, answer in (("_is_amx_tile_supported", amx), ("_is_avx512_bf16_supported", avx)):
        if answer is None:  # an older torch, which cannot say
            monkeypatch.delattr(torch.cpu, name)
        else:
            monkeypatch.setattr(torch.cpu, name, lambda answer=answer: answer)
    assert fastest_dtype(CPU) == dtype
    assert fastest_dtype(torch.device("cuda")) == torch.float16
    assert fastest_dtype(torch.device("mps")) == torch.float32


# Preparing


def test_a_generator_is_prepared_once_for_each_type_and_leaves_the_gradients_mode_alone(rng):
    generator = make(torch.float32)
    assert prepared(generator, torch.float32) is prepared(generator, torch.float32, "cpu")
    assert prepared(generator, torch.float32) is not prepared(generator, torch.bfloat16)
    images = prepared(generator)(rng.randn(1, 8, 8).float().requires_grad_())
    assert not images.requires_grad and torch.is_grad_enabled()


@pytest.mark.parametrize("change", ["write", "load", "move"])
def test_weights_that_change_are_prepared_anew(rng, change):
    generator, other = make(), Generator(TINY, seed=5).double()
    ws = rng.randn(1, generator.num_ws, 8)
    before = prepared(generator, torch.float64)
    if change == "write":
        with torch.no_grad():
            generator.synthesis.get_submodule("b16").get_submodule("torgb").bias += 1
    elif change == "load":
        generator.load_state_dict(other.state_dict())
    else:
        generator.float().double()  # what moving does: other storage, the same version
    assert prepared(generator, torch.float64) is not before
    assert_close(prepared(generator, torch.float64)(ws), plain(generator, ws))


def test_the_engine_is_freed_with_its_generator_and_outlives_it_where_it_is_held(rng):
    generator, ws = make(torch.float32), rng.randn(1, 8, 8).float()
    held, expected = prepared(generator, torch.float32), plain(generator, ws)
    known = weakref.ref(prepared(generator, torch.bfloat16))
    copied = copy.deepcopy(generator)
    del generator
    gc.collect()
    assert known() is None
    assert_close(held(ws), expected, atol=1e-5, rtol=1e-5)
    assert prepared(copied, torch.float32) is not held


def test_prepared_in_inference_mode_it_draws_outside_of_it(rng):
    with torch.inference_mode():
        generator = make(torch.float32)
        engine = prepared(generator, torch.float32)
        assert prepared(generator, torch.float32) is engine
    ws = rng.randn(2, generator.num_ws, 8).float()
    assert_close(engine(ws), plain(generator, ws), atol=1e-5, rtol=1e-5)


# Cards, as far as a processor can tell


@pytest.mark.parametrize("changes", KINDS, ids=str)
def test_with_passes_of_their_own_pictures_are_the_same(rng, changes, monkeypatch):
    """What would be compiled, without a compiler."""
    monkeypatch.setattr(batched, "compiled_passes", lambda *_: Passes())
    generator = make(**changes)
    ws = rng.randn(3, generator.num_ws, 8)
    assert_close(Engine(generator, torch.float64, CPU, 32, compiled=True)(ws), plain(generator, ws))


@pytest.fixture
def recorder():
    """In the place of CUDA graphs: notes for how many frames was recorded; a recording is for that number only."""
    notes = []

    def record(draw, ws):
        notes.append(len(ws))

        def replay(given):
            assert given.shape == ws.shape
            return draw(given)

        return replay

    return record, notes


def test_work_is_recorded_once_for_each_number_of_frames_and_kind_of_work(rng, recorder):
    generator = make()
    engine = Engine(generator, torch.float64, CPU, 32)
    engine._draw = CudaGraphReplay(engine._draw_chunks, recorder[0])
    three, two = rng.randn(3, 8, 8), rng.randn(2, 8, 8)
    alike = three.clone()
    alike[:, :4] = alike[:1, :4]
    for ws in (three, two, three + 1, alike, two, alike):
        assert_close(engine(ws), plain(generator, ws))
    assert recorder[1] == [3, 2, 3]
    assert_close(engine(two, max_resolution=8), plain(generator, two, max_resolution=8))
    assert recorder[1] == [3, 2, 3, 2]
    assert engine(two[:0]).shape == (0, 3, 32, 32)


def test_few_recordings_are_kept_and_those_in_use_longest(recorder):
    replayed = CudaGraphReplay(lambda ws: ws, recorder[0])
    for n in range(1, MAX_RECORDINGS + 1):
        replayed(torch.zeros(n, 1))
    replayed(torch.zeros(1, 1))
    replayed(torch.zeros(99, 1))
    assert len(replayed.recordings) == MAX_RECORDINGS
    replayed(torch.zeros(1, 1))
    assert recorder[1] == [1, 2, 3, 4, 99]
    replayed(torch.zeros(2, 1))
    assert recorder[1] == [1, 2, 3, 4, 99, 2]


def test_where_recording_fails_work_goes_on_and_the_log_says_so_once(caplog):
    def failing(draw, ws):
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    replayed = CudaGraphReplay(lambda ws: ws + 1, failing)
    with caplog.at_level(logging.WARNING):
        for n in (1, 2, 2):
            assert torch.equal(replayed(torch.zeros(n, 1)), torch.ones(n, 1))
    assert len(caplog.records) == 1
    assert caplog.records[0].getMessage().endswith("slower: operation not permitted when stream is capturing")


def test_too_little_memory_for_a_recording_is_left_to_who_can_draw_fewer_frames():
    def failing(draw, ws):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    replayed = CudaGraphReplay(lambda ws: ws, failing)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        replayed(torch.zeros(1, 1))
    assert replayed.works
