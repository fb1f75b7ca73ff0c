"""Motion arithmetic against its definitions, written here frame by frame, and against what an artist may rely on."""

import inspect
import math

import pytest
import torch
from torch.testing import assert_close

from lga_core import InputError, MismatchError, blend, chain, keyframes, loop, mask_layers, scale, speed
from lga_core.motion import chaining, editing, layers
from lga_core.motion.chaining import neutral
from lga_core.motion.editing import add, inbetween, ping_pong, retime, rms_offsets, rms_steps, stretch
from lga_core.motion.keyframes import EASES
from lga_core.motion.layers import LAYERS, blend_faces, layer_weights

DTYPES = [torch.float32, torch.float64]


def same(a, b):
    """Equal to the last bit."""
    assert_close(a, b, rtol=0, atol=0)


def ramp(num_frames, n=1):
    """Frame i moves everything by i."""
    return torch.arange(num_frames, dtype=torch.float64)[None, :, None, None].expand(n, -1, 6, 8).contiguous()


def rollout(rng, num_frames, n=1, speed_at_the_end=0.1):
    """A way from zero that slows down, as a motion model's does, in a direction of its own."""
    x = torch.linspace(0, 1, num_frames, dtype=torch.float64)
    way = (1 - speed_at_the_end**x) / (1 - speed_at_the_end)
    return way[None, :, None, None] * rng.randn(n, 1, 6, 8)


def largest(motion):
    return rms_steps(motion).square().mean(dim=-1).sqrt().max()


def values(text, num_frames, **options):
    return keyframes(text, num_frames, **options).tolist()


# Eases


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16])
@pytest.mark.parametrize("name", EASES)
def test_an_ease_goes_from_zero_to_one_exactly_without_jumps(name, dtype):
    ends = torch.tensor([0.0, 1.0], dtype=dtype)
    same(EASES[name](ends), ends)
    way = EASES[name](torch.linspace(0, 1, 4001, dtype=torch.float64))
    assert way.min() >= 0
    assert way.max() <= (1.2 if name == "overshoot" else 1)
    assert way.diff().abs().max() < (0.26 if name == "steps" else 0.002)
    assert (way.diff() >= -1e-12).all() == (name not in ("overshoot", "bounce"))


def test_eases_are_what_their_names_say():
    assert list(EASES) == ["linear", "ease in", "ease out", "ease in and out", "overshoot", "bounce", "steps"]
    x = torch.linspace(0, 1, 1001, dtype=torch.float64)
    first, last = {}, {}
    for name, ease in EASES.items():
        speeds = ease(x).diff() * 1000
        first[name], last[name] = speeds[0].item(), speeds[-1].item()
    assert first["ease in"] < 0.01 < 1.9 < last["ease in"]
    assert last["ease out"] < 0.01 < 1.9 < first["ease out"]
    assert first["ease in and out"] < 0.01
    assert last["ease in and out"] < 0.01
    assert_close(EASES["ease out"](x), 1 - EASES["ease in"](1 - x))
    assert 1.05 < EASES["overshoot"](x).max() < 1.15
    assert EASES["steps"](x[::125]).tolist() == [0, 0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1]
    touches = x[(EASES["bounce"](x) > 0.999) & (x < 0.99)]  # on the ground: at 4/11, 8/11 and 10/11
    assert {round(11 * touch) for touch in touches.tolist()} == {4, 8, 10}


# Keyframes


def test_keyframes_are_hit_and_joined_by_lines():
    assert values("0:0, 4:1, 8:0", 10) == [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0, 0]
    assert values("2:0.5, 3:-1.5", 6) == [0.5, 0.5, 0.5, -1.5, -1.5, -1.5]
    assert keyframes("0:0", 3).dtype == torch.float32


@pytest.mark.parametrize("text", ["", "  ", ",", ";\n,", "\r\n"])
def test_no_keyframes_leave_the_motion_as_it_is(text):
    assert values(text, 3) == [1, 1, 1]


@pytest.mark.parametrize(
    "text",
    [
        "0:0, 5:1, 10:-2.5",
        "10:-2.5,0:0,5:1",
        "0:0;5:1;10:-2.5;",
        "0:0\n5:1\r\n10:-2.5\n\n",
        " ,, 0 : 0 ,\t5:  1 , 10 :-2.5 , ",
        "0:0, 50%:1, end:-2.5",
        "0 %:0, 50 % : 1, 100%:-2.5",
        "0:+0., 5:1e0, END:-25e-1",
        "0.0:.0, 5.0:1.0, 10.00:-2.50",
        "0:(0), 5:(1.0), 10:( -2.5 )",
        "０：０，５：１；１００％：-2.5",
    ],
)
def test_ways_to_write_the_same_keyframes(text):
    same(keyframes(text, 11), keyframes("0:0, 5:1, 10:-2.5", 11))


def test_keyframes_may_lie_between_frames_and_beyond_the_clip():
    assert values("1.5:0, 2.5:1", 5) == [0, 0, 0.5, 1, 1]
    assert values("0:0, 8:1", 5) == [0, 0.125, 0.25, 0.375, 0.5]
    assert values("8:3, 9:4", 3) == [3, 3, 3]
    assert values("50%:1, end:0", 2) == [1, 0]
    assert values("200%:1, 0:0", 3) == [0, 0.25, 0.5]
    assert values("0:7", 1) == values("end:7", 1) == [7]


@pytest.mark.parametrize("name", EASES)
def test_a_keyframe_names_the_ease_of_the_way_that_leads_to_it(name):
    curve = keyframes(f"0:0 steps, 10:2 {name.upper().replace(' ', '  ')}, 20:0", 21)
    x = torch.arange(11, dtype=torch.float64) / 10
    assert_close(curve[:11], 2 * EASES[name](x).float())
    assert_close(curve[10:], 2 - 2 * x.float())
    same(keyframes(f"0:0, 10:2, 20:0 {name}", 21, ease=name), keyframes(f"0:0, 10:2{name}, 20:0 {name}", 21))


@pytest.mark.parametrize("name", EASES)
def test_the_values_at_keyframes_are_exact(name):
    keys = {0: 0.1, 3: -1.7, 10: 1e9, 20: 0.3, 29: 0.7}
    curve = keyframes(", ".join(f"{frame}:{value}" for frame, value in keys.items()), 30, ease=name)
    same(curve[list(keys)], torch.tensor(list(keys.values())))


@pytest.mark.parametrize(
    "entry",
    ["5", "a:1", "5:", ":1", "5:1:2", "5:x", "5:nan", "5:inf", "5:1e39", "-1:0", "-1%:0", "1e999:0", "5:1 boing"]
    + ["5:50%", "end%:1", "5:(1", "5:1)", "5-7:1", "5:1_0", "middle:1", "5:1 2", "%:1", "five:1"],
)
def test_a_keyframe_that_cannot_be_read_is_named(entry):
    with pytest.raises(InputError) as caught:
        keyframes(f"0:0, {entry}, end:1", 24)
    assert f'"{entry}"' in str(caught.value)
    assert "For example" in str(caught.value) or "for example" in str(caught.value) or "bounce" in str(caught.value)


@pytest.mark.parametrize("text", ["5:0, 5:1", "5:1, 5.0:1", "23:0, end:1", "0:1, 0%:2", "0:1, -0:2", "50%:1, 11.5:2"])
def test_two_keyframes_on_one_frame_are_refused_by_name(text):
    with pytest.raises(InputError) as caught:
        keyframes(text, 24)
    assert all(f'"{entry.strip()}"' in str(caught.value) for entry in text.split(","))


def test_a_decimal_comma_is_answered_with_the_decimal_point():
    with pytest.raises(InputError, match="decimals with a point"):
        keyframes("0:0, 12:0,5", 24)


def test_an_unknown_ease_lists_the_known_ones():
    with pytest.raises(InputError, match="ease in and out"):
        keyframes("", 3, ease="boing")
    with pytest.raises(InputError, match="ease in and out"):
        chain(None, ramp(3), ease="boing")


# Strength per frame and per layer


def test_scale_multiplies_each_frame(rng):
    motion, curve = rng.randn(2, 5, 6, 8), torch.tensor([0.0, 0.5, 1.0, -1.0, 2.0])
    scaled = scale(motion, curve)
    for index, value in enumerate(curve.tolist()):
        same(scaled[:, index], value * motion[:, index])


def test_presets_take_the_rows_of_their_resolutions():
    assert list(LAYERS) == ["everything", "expression only", "colour only", "custom"]
    assert layer_weights("everything", 6).tolist() == [1] * 6
    assert layer_weights("expression only", 18).nonzero()[:, 0].tolist() == [4, 5, 6, 7]
    assert layer_weights("colour only", 18).nonzero()[:, 0].tolist() == list(range(8, 18))
    assert layer_weights("expression only", 14).nonzero()[:, 0].tolist() == [4, 5, 6, 7]
    assert layer_weights("expression only", 12).nonzero()[:, 0].tolist() == [2, 3, 4, 5, 6, 7]  # 128 px and below
    assert layer_weights("expression only", 6).tolist() == [0, 0, 1, 1, 1, 1]
    for num_ws, shape in ((10, "0-1"), (18, "0-3")):
        parts = [layer_weights(layers, num_ws) for layers in ("expression only", "colour only")]
        same(sum(parts) + layer_weights("custom", num_ws, shape), layer_weights("everything", num_ws))


@pytest.mark.parametrize(
    "custom, expected",
    [
        ("4-7:1, 8-:0.2, 0:0", [0, 0, 0, 0, 1, 1, 1, 1, 0.2, 0.2]),
        ("0-:0.5, 4 - 5 : -2,", [0.5, 0.5, 0.5, 0.5, -2, -2, 0.5, 0.5, 0.5, 0.5]),
        ("9", [0] * 9 + [1]),
        ("3-3;\n9-:.25", [0, 0, 0, 1, 0, 0, 0, 0, 0, 0.25]),
        ("2–3", [0, 0, 1, 1, 0, 0, 0, 0, 0, 0]),
        ("0-9:1, 5:0", [1, 1, 1, 1, 1, 0, 1, 1, 1, 1]),
    ],
)
def test_custom_layers_are_read(custom, expected):
    same(layer_weights("custom", 10, custom), torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize("entry", ["10", "4-10:1", "7-4:1", "-3:1", "4-7:", "4-7:nan", "4-7:1e39", "x", "4.5", "4:1:2"])
def test_custom_layers_that_cannot_be_used_are_named_with_the_valid_rows(entry):
    with pytest.raises(InputError) as caught:
        layer_weights("custom", 10, f"0:1, {entry}")
    assert f'"{entry}"' in str(caught.value)
    assert "0 to 9" in str(caught.value) or "too large" in str(caught.value)


def test_layers_that_would_move_nothing_are_refused():
    with pytest.raises(InputError, match="0 to 7"):
        layer_weights("colour only", 8)
    with pytest.raises(InputError, match="0 to 9"):
        layer_weights("custom", 10, " , ")
    with pytest.raises(InputError, match="expression only"):
        layer_weights("hair", 10)


def test_mask_layers_multiplies_each_row(rng):
    motion, weights = rng.randn(2, 3, 6, 8), torch.tensor([0.0, 1.0, 0.5, -1.0, 0.0, 2.0])
    masked = mask_layers(motion, weights)
    for row, weight in enumerate(weights.tolist()):
        same(masked[:, :, row], weight * motion[:, :, row])


# Time


@pytest.mark.parametrize("dtype", DTYPES)
def test_retime_is_exact_at_whole_positions(rng, dtype):
    motion = (rng.randn(2, 5, 6, 8) * 10 ** rng.randn(2, 5, 6, 8)).to(dtype)
    order = [3, 0, 4, 4, 1]
    same(retime(motion, torch.tensor(order, dtype=torch.float32)), motion[:, order])


def test_retime_goes_straight_between_frames_and_on_beyond_the_ends(rng):
    positions = torch.tensor([-1.5, 0.0, 0.25, 2.5, 4.0, 5.5], dtype=torch.float64)
    assert_close(retime(ramp(5, n=2), positions)[1, :, 2, 3], positions)
    motion = rng.randn(2, 5, 6, 8)
    moved = retime(motion, positions)
    assert_close(moved[:, 3], (motion[:, 2] + motion[:, 3]) / 2)
    assert_close(moved[:, 5], motion[:, 4] + 1.5 * (motion[:, 4] - motion[:, 3]))
    assert_close(moved[:, 0], motion[:, 0] - 1.5 * (motion[:, 1] - motion[:, 0]))


def test_a_motion_of_one_frame_stays(rng):
    motion = rng.randn(2, 1, 6, 8)
    same(retime(motion, torch.tensor([-1.0, 0.0, 0.5, 3.0])), motion.expand(-1, 4, -1, -1))
    for unchanged in (speed(motion, 0.1), speed(motion, 10), inbetween(motion, 3), loop(motion), ping_pong(motion)):
        same(unchanged, motion)
    same(stretch(motion, 3), motion.expand(-1, 3, -1, -1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("num_frames", [2, 3, 7, 24, 50])
@pytest.mark.parametrize("factor", [0.1, 0.3, 0.5, 1, 1.7, 2, 10, 1000])
def test_speed_keeps_the_first_and_the_last_frame(rng, num_frames, factor, dtype):
    motion = rng.randn(1, num_frames, 6, 8).to(dtype)
    faster = speed(motion, factor)
    assert faster.shape[1] == max(round((num_frames - 1) / factor), 1) + 1
    same(faster[:, [0, -1]], motion[:, [0, -1]])
    assert faster.dtype == dtype
    if factor == 1:
        same(faster, motion)


def test_half_the_speed_passes_every_frame(rng):
    motion = rng.randn(1, 12, 6, 8)
    same(speed(motion, 0.5)[:, ::2], motion)
    same(speed(speed(motion, 0.5), 2), motion)


@pytest.mark.parametrize("factor", [0, -1, math.nan, math.inf])
def test_an_impossible_speed_is_refused(factor):
    with pytest.raises(InputError, match="above 0"):
        speed(ramp(3), factor)


@pytest.mark.parametrize("between", [0, 1, 2, 6])
def test_inbetween_puts_even_steps_between_the_frames(rng, between):
    motion = rng.randn(2, 5, 6, 8)
    smooth = inbetween(motion, between)
    assert smooth.shape[1] == 4 * (between + 1) + 1
    same(smooth[:, :: between + 1], motion)
    assert_close(rms_steps(smooth) * (between + 1), rms_steps(motion).repeat_interleave(between + 1, dim=1))


def test_stretch_spreads_the_frames_evenly():
    assert_close(stretch(ramp(5), 9)[0, :, 0, 0], torch.arange(9, dtype=torch.float64) / 2)
    same(stretch(ramp(5), 3), ramp(5)[:, ::2])
    same(stretch(ramp(5), 1), ramp(1))


def test_counts_below_the_least_are_refused():
    for call in (
        lambda: stretch(ramp(3), 0),
        lambda: inbetween(ramp(3), -1),
        lambda: chain(None, ramp(3), hold=-1),
        lambda: neutral(None, -1, 6, 8),
    ):
        with pytest.raises(InputError, match=r"at least 1|0 or more"):
            call()


@pytest.mark.parametrize("fade", [0, 0.05, 0.25, 0.5])
@pytest.mark.parametrize("num_frames", [4, 5, 6, 8, 13, 24, 100])
@pytest.mark.parametrize("speed_at_the_end", [0.02, 0.5, 0.999])
def test_a_loop_returns_without_a_step_larger_than_those_within_it(rng, num_frames, fade, speed_at_the_end):
    motion = rollout(rng, num_frames, speed_at_the_end=speed_at_the_end) + rng.randn(1, 1, 6, 8)
    looped = loop(motion, fade)
    assert looped.shape == motion.shape
    same(looped[:, 0], motion[:, 0])
    seam = largest(torch.cat([looped[:, -1:], looped[:, :1]], dim=1))
    assert seam <= largest(looped) * (1 + 1e-9)


def test_a_loop_changes_only_its_flanks_and_settles_at_the_seam(rng):
    motion = rng.randn(2, 40, 6, 8)
    looped = loop(motion, 0.2)
    same(looped[:, 8:33], motion[:, 8:33])
    for index in (*range(8), *range(33, 40)):
        x = min(index, 40 - index) / 8
        window = x * x * (3 - 2 * x)
        assert_close(looped[:, index], motion[:, 0] + window * (motion[:, index] - motion[:, 0]))
    steps_around_the_seam = torch.cat([loop(ramp(400))] * 2, dim=1)[0, 399:402, 0, 0].diff().abs()
    assert steps_around_the_seam.max() < 0.2 * largest(loop(ramp(400)))  # value and slope vanish there: no kink
    same(loop(ramp(400))[:, 12:389], ramp(400)[:, 12:389])  # of a long clip only the ends are touched


def test_loops_of_two_and_three_frames():
    same(loop(ramp(2)), ramp(2))
    looped = loop(ramp(3))
    same(looped[:, 0], ramp(3)[:, 0])
    assert looped.isfinite().all()


@pytest.mark.parametrize("fade", [-0.1, 0.51, math.nan])
def test_a_fade_that_leaves_no_middle_is_refused(fade):
    with pytest.raises(InputError, match=r"0 to 0\.5"):
        loop(ramp(8), fade)


@pytest.mark.parametrize("num_frames, order", [(1, [0]), (2, [0, 1]), (3, [0, 1, 2, 1]), (5, [0, 1, 2, 3, 4, 3, 2, 1])])
def test_ping_pong_doubles_no_end(num_frames, order):
    assert ping_pong(ramp(num_frames))[0, :, 0, 0].tolist() == order


# Two motions


def test_blend_and_add_are_their_formulas_and_the_shorter_holds_its_end(rng):
    a, b = rng.randn(1, 3, 6, 8), rng.randn(4, 5, 6, 8)
    long = torch.cat([a, a[:, -1:], a[:, -1:]], dim=1).expand(4, -1, -1, -1)
    assert_close(blend(a, b, 0.3), 0.7 * long + 0.3 * b)
    assert_close(blend(b, a, 1.5), -0.5 * b + 1.5 * long)
    assert_close(add(a, b, -0.3), long - 0.3 * b)
    assert_close(add(b, a), b + long)
    same(blend(a, b, 0), long)
    same(blend(a, b, 1), b)
    same(blend(b, b, 0.37), b)
    same(add(b, a, 0), b)


@pytest.mark.parametrize("join", [lambda a, b: blend(a, b, 0.5), add, chain])
def test_motions_that_do_not_belong_together_are_refused_in_words(join):
    for other, words in [
        ((2, 3, 5, 8), "5 of width 8"),
        ((2, 3, 6, 7), "6 of width 7"),
        ((3, 3, 6, 8), "the other 3. Both"),
    ]:
        with pytest.raises(MismatchError, match=words):
            join(torch.zeros(2, 3, 6, 8), torch.zeros(other))


# One expression after another


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("ease", EASES)
def test_chain_is_its_definition_frame_by_frame(rng, ease, accumulate):
    previous, path = rng.randn(2, 4, 6, 8), rng.randn(2, 8, 6, 8)
    chained = chain(previous, path, hold=2, ease=ease, accumulate=accumulate)
    assert chained.shape == (2, 4 + 7 + 2, 6, 8)
    same(chained[:, :4], previous)
    for i in range(1, 8):
        e = EASES[ease](torch.tensor([i / 7], dtype=torch.float64))
        f = e.clamp(max=1).item()
        kept = 1 if accumulate else 1 - f
        expected = kept * previous[:, -1] + retime(path, 7 * e)[:, 0] - (1 - f) * path[:, 0]
        assert_close(chained[:, 3 + i], expected)
    same(chained[:, -2:], chained[:, [10, 10]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ease", EASES)
def test_nothing_of_earlier_expressions_is_left_ten_in_a_row(rng, ease, dtype):
    motion = None
    for k in (12, 1, 7, 49, 3, 12, 10, 6, 23, 2):
        path = rng.randn(2, k + 1, 6, 8).to(dtype) * 1000
        motion = chain(motion, path, hold=3, ease=ease)
        same(motion[:, -4:], path[:, -1:].expand(-1, 4, -1, -1))


def test_accumulated_expressions_end_at_their_sum(rng):
    paths = [rollout(rng, k + 1) for k in (5, 1, 8)]
    motion = None
    for path in paths:
        motion = chain(motion, path, accumulate=True)
    assert motion is not None
    assert_close(motion[:, -1], sum(path[:, -1] for path in paths))


@pytest.mark.parametrize("accumulate", [False, True])
def test_a_chain_begins_with_the_path_and_goes_on_without_a_jump(rng, accumulate):
    path = rng.randn(1, 9, 6, 8)  # its first frame is not the source face
    begun = chain(None, path, hold=2, ease="linear", accumulate=accumulate)
    assert_close(begun, torch.cat([path, path[:, [-1, -1]]], dim=1))
    same(begun[:, 0], path[:, 0])
    slow = chain(begun, rollout(rng, 200) + path[:, :1], accumulate=accumulate)
    assert rms_steps(slow[:, 10:13]).max() < 0.05


def test_no_transition_is_a_cut_and_no_hold_holds_nothing(rng):
    previous, end = rng.randn(1, 3, 6, 8), rng.randn(1, 1, 6, 8)
    same(chain(previous, end), previous)
    same(chain(previous, end, hold=2), torch.cat([previous, end, end], dim=1))
    same(chain(None, end), end)
    same(chain(None, end, hold=1), torch.cat([end, end], dim=1))
    assert_close(chain(previous, end, hold=1, accumulate=True)[:, -1:], previous[:, -1:] + end)
    path = torch.cat([torch.zeros_like(end), end], dim=1)
    same(chain(previous, path), torch.cat([previous, end], dim=1))


@pytest.mark.parametrize("ease", EASES)
def test_neutral_ends_at_the_source_face_exactly(rng, ease):
    previous = rng.randn(2, 5, 6, 8) * 1000
    back = neutral(previous, 6, 6, 8, hold=2, ease=ease)
    assert back.shape == (2, 5 + 6 + 2, 6, 8)
    same(back[:, -3:], torch.zeros(2, 3, 6, 8, dtype=torch.float64))
    for i in range(1, 7):
        f = EASES[ease](torch.tensor(i / 6, dtype=torch.float64)[None]).clamp(max=1).item()
        assert_close(back[:, 4 + i], (1 - f) * previous[:, -1])
    same(neutral(previous, 0, 6, 8, hold=1)[:, -1], torch.zeros(2, 6, 8, dtype=torch.float64))
    same(neutral(None, 3, 6, 8, hold=1), torch.zeros(1, 5, 6, 8))
    with pytest.raises(MismatchError):
        neutral(previous, 3, 10, 8)


def test_one_face_is_chained_with_many(rng):
    one, many = rng.randn(1, 4, 6, 8), rng.randn(3, 4, 6, 8)
    for previous, path in ((one, many), (many, one)):
        chained = chain(previous, path, hold=1)
        assert len(chained) == 3
        for face in range(3):
            alone = chain(previous[[face % len(previous)]], path[[face % len(path)]], hold=1)
            assert_close(chained[[face]], alone)


# Measures


def test_amounts_and_steps_are_root_mean_squares(rng):
    motion = rng.randn(2, 4, 6, 8)
    assert_close(rms_offsets(motion), motion.square().mean(dim=-1).sqrt())
    assert_close(rms_steps(motion), (motion[:, 1:] - motion[:, :-1]).square().mean(dim=-1).sqrt())
    assert_close(rms_offsets(-2 * ramp(5))[0, :, 3], 2 * torch.arange(5, dtype=torch.float64))
    assert rms_steps(motion[:, :1]).shape == (2, 0, 6)


# Every function

CALLS = {
    "scale": lambda m, o: scale(m, torch.linspace(0, 1, m.shape[1])),
    "mask_layers": lambda m, o: mask_layers(m, torch.linspace(0, 1, m.shape[2])),
    "retime": lambda m, o: retime(m, torch.tensor([0.5, 7.5])),
    "speed": lambda m, o: speed(m, 1.3),
    "stretch": lambda m, o: stretch(m, 9),
    "inbetween": lambda m, o: inbetween(m, 2),
    "loop": lambda m, o: loop(m),
    "ping_pong": lambda m, o: ping_pong(m),
    "blend": lambda m, o: blend(m, o, 0.3),
    "add": lambda m, o: add(m, o, 0.3),
    "chain": lambda m, o: chain(m, o, hold=1),
    "neutral": lambda m, o: neutral(m, 3, 6, 8),
    "rms_offsets": lambda m, o: rms_offsets(m),
    "rms_steps": lambda m, o: rms_steps(m),
}


def test_every_function_of_motions_is_listed_here():
    functions = [
        name
        for module in (chaining, editing, layers)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    ]
    assert {*CALLS, "blend_faces", "broadcast_faces", "layer_weights"} == set(functions)


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", CALLS)
def test_inputs_stay_as_they_are_and_outputs_have_their_dtype(rng, name, dtype):
    motion, other = rng.randn(2, 6, 6, 8).to(dtype), rng.randn(2, 4, 6, 8).float()
    before = motion.clone(), other.clone()
    made = CALLS[name](motion, other)
    assert made.dtype == dtype
    same(made, CALLS[name](motion, other))
    made.fill_(9)  # shares no memory with what went in
    same((motion, other), before)


@pytest.mark.parametrize("name", CALLS)
def test_faces_of_a_batch_move_as_they_would_alone(rng, name):
    motion, other = rng.randn(3, 6, 6, 8), rng.randn(3, 4, 6, 8)
    together = CALLS[name](motion, other)
    for face in range(3):
        assert_close(together[[face]], CALLS[name](motion[[face]], other[[face]]))


# Faces


@pytest.mark.parametrize("rows, taken", [("everything", range(10)), ("coarse", range(4)), ("middle", range(4, 8))])
@pytest.mark.parametrize("amount", [-1.0, 0.0, 0.3, 1.0, 2.0])
def test_a_blend_of_faces_is_linear_on_the_rows_it_takes_and_leaves_the_others(rng, rows, taken, amount):
    a, b = rng.randn(2, 10, 8), rng.randn(2, 10, 8)
    kept = a.clone(), b.clone()
    mixed = blend_faces(a, b, amount, rows)
    for row in range(10):
        assert_close(mixed[:, row], (1 - amount) * a[:, row] + amount * b[:, row] if row in taken else a[:, row])
    same(a, kept[0]), same(b, kept[1])


def test_the_groups_of_rows_are_the_whole_face_without_overlap(rng):
    a, b = rng.randn(1, 14, 8), rng.randn(1, 14, 8)
    mixed = a
    for rows in ("coarse", "middle", "fine"):
        mixed = blend_faces(mixed, b, 1.0, rows)
    same(mixed, b)
    same(blend_faces(a, b, 1.0, "fine")[:, :8], a[:, :8])


def test_one_face_blends_with_many(rng):
    one, many = rng.randn(1, 6, 8), rng.randn(3, 6, 8)
    assert_close(blend_faces(one, many, 0.25), 0.75 * one + 0.25 * many)
    assert_close(blend_faces(many, one, 0.25), 0.75 * many + 0.25 * one)
    with pytest.raises(MismatchError, match="2 faces, the other 3"):
        blend_faces(many[:2], many, 0.5)


def test_rows_that_a_small_generator_does_not_have_are_named(rng):
    with pytest.raises(InputError, match='"fine" rows begin at row 8, but this generator has only the rows 0 to 7'):
        blend_faces(rng.randn(1, 8, 8), rng.randn(1, 8, 8), 0.5, "fine")
