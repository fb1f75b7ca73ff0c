"""Frames: each is synthesis(ws + motion), drawn when it is asked for."""

import pytest
import torch
from factories import tiny_generator_config
from torch.testing import assert_close

from lga_core import DrawingError, Generator, GeneratorConfig, MismatchError, frames
from lga_core.rendering import chunk_size, draw, frame_bytes, frames_per_face, free_bytes, grid_shape, video_frames
from lga_core.stylegan2.inference.engine import Engine


@pytest.fixture(scope="module")
def generator():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Generator(tiny_generator_config(channel_base=128)).double().eval()


@pytest.fixture
def face(generator):
    return torch.randn(1, generator.num_ws, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def motion(generator):
    motion = torch.randn(1, 7, generator.num_ws, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    motion[:, 0] = 0
    return motion


def test_a_clip_is_the_synthesis_of_face_plus_motion(generator, face, motion):
    with torch.no_grad():
        expected = torch.cat([generator.synthesis(face + motion[:, t]) for t in range(7)])
    for chunk in (1, 3, 8):
        clip = list(frames(generator, face, motion, chunk))
        assert [len(images) for images in clip] == [min(chunk, 7 - start) for start in range(0, 7, chunk)]
        assert_close(torch.cat(clip), expected)


def test_where_the_motion_is_zero_the_frame_is_the_face(generator, face, motion):
    first = next(frames(generator, face, motion, chunk=1))
    with torch.no_grad():
        assert_close(first, generator.synthesis(face))


@pytest.fixture
def drawn(monkeypatch):
    """How many faces were drawn at once, in order."""
    drawn, draw_all = [], Engine.__call__
    monkeypatch.setattr(Engine, "__call__", lambda engine, ws: drawn.append(len(ws)) or draw_all(engine, ws))
    return drawn


def test_a_chunk_is_drawn_when_it_is_asked_for(generator, face, motion, drawn):
    clip = frames(generator, face, motion, chunk=3)
    assert drawn == []
    next(clip)
    assert drawn == [3]


def test_no_graph_is_kept_and_the_callers_mode_is_not_touched(generator, face, motion):
    for images in frames(generator, face, motion.requires_grad_(), chunk=3):
        assert not images.requires_grad and torch.is_grad_enabled()


@pytest.mark.parametrize("wrong", ["rows", "width", "two faces", "two motions", "no batch"])
def test_parts_of_two_domains_are_refused_at_the_call(generator, face, motion, wrong):
    ws, motion = {
        "rows": (face[:, :-1], motion),
        "width": (face, motion[..., :4]),
        "two faces": (face.repeat(2, 1, 1), motion),
        "two motions": (face, motion.repeat(2, 1, 1, 1)),
        "no batch": (face, motion[0]),
    }[wrong]
    with pytest.raises(MismatchError, match="6 style vectors of width 8"):
        frames(generator, ws, motion)


# Several faces


@pytest.fixture
def several(generator):
    """Three faces, and a motion for each."""
    rng = torch.Generator().manual_seed(3)
    ws = torch.randn(3, generator.num_ws, 8, dtype=torch.float64, generator=rng)
    return ws, torch.randn(3, 5, generator.num_ws, 8, dtype=torch.float64, generator=rng)


def alone(generator, ws, motion, index):
    """The clip of one face of several, [t c h w]."""
    own = motion[index : index + 1] if len(motion) > 1 else motion
    return torch.cat(list(frames(generator, ws[index : index + 1], own)))


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 7, 50])
@pytest.mark.parametrize("shared", [False, True])
def test_faces_side_by_side_play_at_the_same_time_on_white(generator, several, chunk, shared):
    ws, motion = several[0], several[1][:1] if shared else several[1]
    clip = torch.cat(list(video_frames(generator, ws, motion, chunk)))
    assert clip.shape == (5, 3, 32, 32)
    for index, (top, left) in enumerate([(0, 0), (0, 16), (16, 0)]):
        assert_close(clip[:, :, top : top + 16, left : left + 16], alone(generator, ws, motion, index))
    assert (clip[:, :, 16:, 16:] == 1).all()


@pytest.mark.parametrize("chunk", [1, 3, 50])
@pytest.mark.parametrize("shared", [False, True])
def test_faces_in_turn_play_one_clip_after_the_other(generator, several, chunk, shared):
    ws, motion = several[0], several[1][:1] if shared else several[1]
    clip = torch.cat(list(video_frames(generator, ws, motion, chunk, side_by_side=False)))
    assert_close(clip, torch.cat([alone(generator, ws, motion, index) for index in range(3)]))


@pytest.mark.parametrize("side_by_side", [False, True])
@pytest.mark.parametrize("chunk", [1, 2, 4, 7])
def test_no_more_faces_are_drawn_at_once_than_the_chunk_allows(generator, several, chunk, side_by_side, drawn):
    clip = video_frames(generator, *several, chunk, side_by_side=side_by_side)
    next(clip)
    assert sum(drawn) <= max(chunk, 3 if side_by_side else 1)  # lazy: one chunk, or one moment of all faces
    list(clip)
    assert max(drawn) <= chunk
    assert sum(drawn) == 15


@pytest.mark.parametrize("n, shape", [(1, (1, 1)), (2, (1, 2)), (3, (2, 2)), (4, (2, 2)), (5, (2, 3)), (7, (3, 3))])
def test_pictures_are_laid_out_as_square_as_may_be(n, shape):
    assert grid_shape(n) == shape


@pytest.mark.parametrize("n", range(1, 65))
def test_a_grid_holds_all_and_has_no_empty_row(n):
    rows, columns = grid_shape(n)
    assert (rows - 1) * columns < n <= rows * columns
    assert 0 <= columns - rows <= 1


# Precision


@pytest.fixture
def single(generator):
    """The generator in float32."""
    single = Generator(generator.config).eval()
    single.load_state_dict({name: tensor.float() for name, tensor in generator.state_dict().items()})
    return single


@pytest.fixture
def spoil(monkeypatch):
    """Makes the engine's pictures `value` where `breaks(dtype)` says so; gives the types that were drawn in."""

    def spoiling(breaks, value=float("inf")):
        seen, drawn = [], Engine.drawn

        def drawing(engine, ws, count):
            seen.append(engine.dtype)
            images = drawn(engine, ws, count)
            return torch.full_like(images, value) if breaks(engine.dtype) else images

        monkeypatch.setattr(Engine, "drawn", drawing)
        return seen

    return spoiling


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_used_where_it_is_asked_for(single, spoil, half):
    seen, ws = spoil(lambda dtype: False), torch.zeros(2, 6, 8)
    for dtype in (half, None, torch.float32):
        assert draw(single, ws, dtype).dtype == torch.float32
    assert seen == [half, torch.float32, torch.float32]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_what_half_precision_cannot_draw_is_drawn_again_in_full(single, spoil, value):
    ws = torch.rand(2, 6, 8)
    full = draw(single, ws)
    spoil(lambda dtype: dtype == torch.bfloat16, value)
    assert_close(draw(single, ws, torch.bfloat16), full, atol=1e-5, rtol=1e-5)


def test_full_precision_is_full_whatever_is_on_around_it(single):
    ws = torch.rand(1, 6, 8)
    with torch.autocast("cpu", torch.bfloat16):
        images = draw(single, ws)
    assert torch.equal(images, draw(single, ws))


@pytest.mark.parametrize("half", [None, torch.float16])
def test_frames_that_cannot_be_drawn_are_counted_and_their_origin_is_named(single, half):
    with torch.no_grad():
        single.synthesis.b16.torgb.bias[0] = float("nan")
    with pytest.raises(DrawingError, match="2 of 2 frames .* in full precision too; the cause is overflow"):
        draw(single, torch.zeros(2, 6, 8), half)
    with torch.no_grad():
        single.synthesis.b16.torgb.bias[0] = 0
    ws = torch.zeros(3, 6, 8)
    ws[1, 0, 0] = float("nan")
    with pytest.raises(DrawingError, match="1 of 3 frames .* the cause is the face or its motion"):
        draw(single, ws, half)


def test_half_precision_makes_nearly_the_same_clip_in_float32(single, face, motion):
    full, half = (
        torch.cat(list(frames(single, face.float(), motion.float(), dtype=dtype))) for dtype in (None, torch.bfloat16)
    )
    assert half.dtype == torch.float32
    assert not torch.equal(half, full)
    assert_close(half, full, atol=0.1, rtol=0.05)


# Memory


LARGE = GeneratorConfig(1024)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_more_memory_draws_more_frames_at_once_within_bounds(device):
    free = [gigabytes * 1e8 for gigabytes in (0, 2, 5, 8, 16, 40, 80, 120, 160, 800, 1e7)]
    sizes = [chunk_size(LARGE, bytes_, device=device) for bytes_ in free]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (1, 8)
    assert len(set(sizes)) > 3


def test_a_chunk_takes_no_more_than_half_of_what_is_free():
    for free in (5e9, 8e9, 16e9):
        size = chunk_size(LARGE, free, device="cuda")
        assert 1 < size < 8
        assert size * frame_bytes(LARGE, device="cuda") <= free / 2 < (size + 1) * frame_bytes(LARGE, device="cuda")


def test_a_frame_takes_eight_of_its_largest_map_and_six_pictures():
    small = GeneratorConfig(16, channel_base=128, channel_max=8)
    assert frame_bytes(small) == frame_bytes(small, device="cuda") == (8 * 8 + 6 * 3) * 4 * 16 * 16
    assert frame_bytes(small, torch.float16) == (8 * 8 * 2 + 6 * 3 * 4) * 16 * 16


def test_a_processor_holds_large_features_of_one_frame_only():
    largest_held, picture = 512 * 64 * 64 * 4, 3 * 1024 * 1024 * 4
    assert frame_bytes(LARGE) == 8 * largest_held + 6 * picture < frame_bytes(LARGE, device="cuda") / 5


def test_free_memory_is_known_or_assumed(monkeypatch):
    assert 1e6 < free_bytes(torch.device("cpu")) < 1e15
    monkeypatch.delattr("os.sysconf")  # Windows
    assert free_bytes(torch.device("cpu")) == 2e9


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
)
@pytest.mark.parametrize("most", [1, 2, 3])
def test_where_memory_does_not_suffice_the_chunk_is_halved_for_good(generator, face, motion, monkeypatch, most, error):
    whole, asked, draw_all = torch.cat(list(frames(generator, face, motion))), [], Engine.__call__

    def scarce(engine, ws):
        asked.append(len(ws))
        if len(ws) > most:
            raise error
        return draw_all(engine, ws)

    monkeypatch.setattr(Engine, "__call__", scarce)
    assert_close(torch.cat(list(frames(generator, face, motion, chunk=6))), whole)
    assert asked == {1: [6, 3, *[1] * 7], 2: [6, 3, *[1] * 7], 3: [6, 3, 3, 1]}[most]
    side_by_side = list(video_frames(generator, face.repeat(2, 1, 1), motion, chunk=6))
    assert_close(torch.cat(side_by_side)[:, :, :, 16:], whole)


def test_one_frame_that_is_too_large_and_other_errors_are_raised(generator, face, motion, monkeypatch):
    for error in (MemoryError("too little"), RuntimeError("a fault")):

        def failing(engine, ws, error=error):
            raise error

        monkeypatch.setattr(Engine, "__call__", failing)
        with pytest.raises(type(error), match=str(error)):
            list(frames(generator, face, motion))


@pytest.fixture
def video(generator):
    """A face's code in four frames."""
    ws = torch.randn(4, generator.num_ws, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    return ws


@pytest.mark.parametrize("chunk", [1, 3, 16, None])
def test_a_face_in_motion_already_moves_by_its_frame_of_the_motion(generator, video, motion, chunk):
    images = torch.cat(list(frames_per_face(generator, video, motion, chunk)))
    assert_close(images, draw(generator, video + motion[0, :4]), rtol=0, atol=1e-9)  # a longer motion is cut


def test_where_the_motion_is_shorter_its_last_frame_holds(generator, video, motion):
    images = torch.cat(list(frames_per_face(generator, video, motion[:, 2:4])))
    assert_close(images, draw(generator, video + motion[0, [2, 3, 3, 3]]), rtol=0, atol=1e-9)


def test_each_moment_of_a_face_may_have_a_motion_of_its_own(generator, video, motion):
    each = torch.cat([motion * scale for scale in (1, 2, 3, 4)])
    images = torch.cat(list(frames_per_face(generator, video, each)))
    assert_close(images, draw(generator, video + each[range(4), range(4)]), rtol=0, atol=1e-9)
