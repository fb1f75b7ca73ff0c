"""Arithmetic on motions: when they happen, how strongly, in which layers, and one after another.

A motion is a tensor of offsets to a face's W+, [n t num_ws w_dim], so a curve is a product per frame, a layer mask a
product per row, another speed a look-up between frames, and a chain of expressions a concatenation in which each
starts where the last one ended. Every function leaves its inputs as they are and follows their dtype and device.
"""

import math
import re
import unicodedata
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError, MismatchError
from ..shapes import Motion, WPlus

EXAMPLE_KEYS = "0:0, 50%:1 bounce, end:0"
EXAMPLE_ROWS = "4-7:1, 8-:0.2"
MAX_VALUE = torch.finfo(torch.float32).max
STEPS = 4
"""Jumps of the ease `steps`."""
LEAST_FLANK, MOST_FLANK = 3, 12
"""Frames that a loop takes to return to its first frame, at least (where the clip has room for them) and at most."""


# Eases


def _overshoot(x: Float[Tensor, "k"]) -> Float[Tensor, "k"]:
    """Passes 1 by a tenth at about three fifths of the way, and returns. Numbers chosen so that 0 and 1 are exact."""
    return 1 + (x - 1).square() * (2.75 * (x - 1) + 1.75)


def _bounce(x: Float[Tensor, "k"]) -> Float[Tensor, "k"]:
    """A ball that falls on 1 and bounces three times: the lowest of four parabolas, which meet where v is 1, 2, 2.5."""
    v = 2.75 * x
    falls = [v.square(), (v - 1.5).square() + 0.75, (v - 2.25).square() + 0.9375, (v - 2.625).square() + 0.984375]
    return torch.stack(falls).amin(dim=0)


EASES: dict[str, Callable[[Float[Tensor, "k"]], Float[Tensor, "k"]]] = {
    "linear": lambda x: x,
    "ease in": lambda x: x.square(),
    "ease out": lambda x: x * (2 - x),
    "ease in and out": lambda x: x.square() * (3 - 2 * x),
    "overshoot": _overshoot,
    "bounce": _bounce,
    "steps": lambda x: (STEPS * x).floor() / STEPS,
}
"""How a way from 0 to 1 is gone, for times in 0..1. Each takes 0 to 0 and 1 to 1 exactly; only `overshoot` leaves 0..1
in between."""


def _ease(name: str, entry: str = "") -> Callable[[Float[Tensor, "k"]], Float[Tensor, "k"]]:
    if name not in EASES:
        where = f'In the entry "{entry}", "{name}"' if entry else f'"{name}"'
        raise InputError(f"{where} is not the name of an ease. Use one of: {', '.join(EASES)}.")
    return EASES[name]


# Curves from text

_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?"
_KEY = re.compile(
    rf"(?:(?P<end>end)|(?P<frame>{_NUMBER}) ?(?P<percent>%)?) ?: ?"
    rf"(?P<bracket>\( ?)?(?P<value>{_NUMBER})(?(bracket) ?\)) ?(?P<ease>[a-z ]*)"
)
_ROWS = re.compile(
    rf"(?P<first>[0-9]{{1,9}})(?: ?(?P<dash>[-–]) ?(?P<last>[0-9]{{1,9}})?)?(?: ?: ?(?P<weight>{_NUMBER}))?"
)


def keyframes(text: str, num_frames: int, ease: str = "linear") -> Float[Tensor, "t"]:
    """A value for each of `num_frames` frames, float32, from keyframes written as text: "0:0, 12:1, 24:0".

    Entries are frame:value, separated by commas, semicolons or new lines, in any order. A frame is a number (from 0,
    fractions too, beyond the clip too), a percentage of the clip ("50%", 100% being the last frame) or "end". An entry
    may name the ease of the way that leads to it ("12:1 bounce"); other ways take `ease`. Before the first key the
    curve has its value, after the last one that one's. Empty text is the value 1 throughout.

    Brackets around a value, as in "12:(1)", and full-width punctuation are read as well.

    Raises InputError for an entry that cannot be read, a frame that is named twice, and an unknown ease.
    """
    _ease(ease)
    keys: dict[float, tuple[float, str, str]] = {}  # frame -> value, ease, entry
    for entry in _entries(text):
        frame, value, own_ease = _key(entry, num_frames)
        if frame in keys:
            raise InputError(
                f'The keyframes "{keys[frame][2]}" and "{entry}" name the same frame, {frame:g}, of a clip of '
                f"{num_frames} frames (the last is {num_frames - 1}). Keep one of them."
            )
        keys[frame] = value, own_ease or ease, entry
    if not keys:
        return torch.ones(num_frames)

    frames = torch.arange(num_frames, dtype=torch.float64)
    order = sorted(keys)
    curve = torch.full_like(frames, keys[order[0]][0])
    for start, end in zip(order, order[1:], strict=False):
        (before, _, _), (after, name, _) = keys[start], keys[end]
        way = EASES[name](((frames - start) / (end - start)).clamp(0, 1))
        curve = torch.where(frames > start, (1 - way) * before + way * after, curve)
    return curve.float()


def _entries(text: str) -> list[str]:
    """What stands between commas, semicolons and new lines, in lower case, single spaces, blanks left out."""
    parts = re.split(r"[,;\n\r]", unicodedata.normalize("NFKC", text))
    return [entry for part in parts if (entry := " ".join(part.lower().split()))]


def _key(entry: str, num_frames: int) -> tuple[float, float, str]:
    """Frame, value and ease ("" for none) of one entry such as "50% : 1 ease in"."""
    match = _KEY.fullmatch(entry)
    if match is None:
        raise InputError(
            f'The keyframe "{entry}" cannot be read. Write frame:value, decimals with a point, for example: '
            f"{EXAMPLE_KEYS}"
        )
    last = num_frames - 1
    frame = last if match["end"] else float(match["frame"])
    if match["percent"]:
        frame = frame * last / 100
    value = float(match["value"])
    if not 0 <= frame < math.inf:
        raise InputError(
            f'The keyframe "{entry}" names frame {frame:g}; frames count from 0. For example: {EXAMPLE_KEYS}'
        )
    if abs(value) > MAX_VALUE:
        raise InputError(f'The value of the keyframe "{entry}" is too large. For example: {EXAMPLE_KEYS}')
    if match["ease"]:
        _ease(match["ease"], entry)
    return frame, value, match["ease"]


# Strength per frame and per layer


def scale(motion: Motion, curve: Float[Tensor, "t"]) -> Motion:
    """Each frame times its value of `curve`."""
    return motion * curve.to(motion)[:, None, None]


SMALL = 12
"""Rows of W+ of a 128 px generator. Up to there features are drawn from 8 px on, in larger ones from 16 px on: on the
doodle domain rows 2-7 keep .79 of an expression's .83 and rows 4-7 only .52."""
LAYERS: dict[str, Callable[[int], slice] | None] = {
    "everything": lambda num_ws: slice(0, None),
    "expression only": lambda num_ws: slice(2 if num_ws <= SMALL else 4, 8),
    "colour only": lambda num_ws: slice(8, None),  # 64 px and finer
    "custom": None,
}
"""The rows of W+ that a preset lets move in a generator with num_ws of them; `custom` reads them from text."""
ROWS = {"everything": slice(0, None), "coarse": slice(0, 4), "middle": slice(4, 8), "fine": slice(8, None)}
"""Rows of W+ by what StyleGAN's authors call them: to 8 px, 16 and 32 px, 64 px and finer."""


def layer_weights(layers: str, num_ws: int, custom: str = "") -> Float[Tensor, "num_ws"]:
    """A factor for each row of W+, float32: 1 for the rows of the preset `layers`, 0 for others.

    The preset `custom` reads "4-7:1, 8-:0.2" from the text `custom`: rows or ranges of rows (both ends included, an
    open end reaches to the last row), each with a weight or else 1. Rows that are not named get 0; of two entries for
    one row the later counts.

    Raises InputError for an unknown preset, for one whose rows this generator does not have, and for an entry of
    `custom` that cannot be read.
    """
    if layers not in LAYERS:
        raise InputError(f'"{layers}" is not a choice of layers. Use one of: {", ".join(LAYERS)}.')
    preset, weights = LAYERS[layers], torch.zeros(num_ws)
    if preset is None:
        for entry in _entries(custom):
            named, weight = _named_rows(entry, num_ws)
            weights[named] = weight
        if not _entries(custom):
            raise InputError(f"Custom layers need rows that move, from 0 to {num_ws - 1}; for example: {EXAMPLE_ROWS}")
        return weights
    rows = preset(num_ws)
    weights[rows] = 1
    if not weights.any():
        raise InputError(
            f'"{layers}" begins at row {rows.start}, but this generator has the rows 0 to {num_ws - 1} only: nothing '
            "would move. Choose everything or custom."
        )
    return weights


def _named_rows(entry: str, num_ws: int) -> tuple[slice, float]:
    """Rows and weight of one entry such as "4-7:0.5", "8-" or "3"."""
    match = _ROWS.fullmatch(entry)
    if match is None:
        raise InputError(
            f'The layers "{entry}" cannot be read. Write rows from 0 to {num_ws - 1} and a weight, decimals with a '
            f"point, for example: {EXAMPLE_ROWS}"
        )
    first = int(match["first"])
    last = int(match["last"]) if match["last"] else num_ws - 1 if match["dash"] else first
    if not first <= last < num_ws:
        raise InputError(
            f'The layers "{entry}" do not fit: this generator has the rows 0 to {num_ws - 1}, and a range runs upward. '
            f"For example: {EXAMPLE_ROWS}"
        )
    weight = float(match["weight"] or 1)
    if abs(weight) > MAX_VALUE:
        raise InputError(f'The weight of the layers "{entry}" is too large. For example: {EXAMPLE_ROWS}')
    return slice(first, last + 1), weight


def blend_faces(a: WPlus, b: WPlus, amount: float, rows: str = "everything") -> WPlus:
    """Faces (1 - amount) a + amount b on the named `rows` of W+ (see `ROWS`), and a on the others.

    One face of a or b serves for all of the other's. Raises MismatchError for other numbers of faces, and InputError
    for rows that this generator does not have.
    """
    if not range(a.shape[1])[ROWS[rows]]:
        raise InputError(
            f'The "{rows}" rows begin at row {ROWS[rows].start}, but this generator has the rows 0 to {a.shape[1] - 1} '
            "only: nothing would be mixed. Choose others, or everything."
        )
    a, b = (faces[:, 0] for faces in _same_faces(a[:, None], b[:, None]))
    mixed = a.clone()
    mixed[:, ROWS[rows]] = (1 - amount) * a[:, ROWS[rows]] + amount * b[:, ROWS[rows]]
    return mixed


def mask_layers(motion: Motion, weights: Float[Tensor, "num_ws"]) -> Motion:
    """Each row of W+ times its weight."""
    return motion * weights.to(motion)[:, None]


# Time


def retime(motion: Motion, positions: Float[Tensor, "k"]) -> Motion:
    """The motion at fractional frame numbers, [n k num_ws w_dim]: linear between frames, exact at whole ones.

    Beyond its ends the motion goes on as between its two frames there; a motion of one frame stays.
    """
    num_frames = motion.shape[1]
    positions = positions.to(motion.device)
    if num_frames == 1:
        return motion[:, torch.zeros_like(positions, dtype=torch.long)]
    before = positions.floor().long().clamp(0, num_frames - 2)
    # lerp is exact for the weights 0 and 1, and between two equal frames.
    return torch.lerp(motion[:, before], motion[:, before + 1], (positions - before).to(motion)[:, None, None])


def stretch(motion: Motion, num_frames: int) -> Motion:
    """The same motion in `num_frames` frames, evenly spread, the first and the last kept exactly.

    One frame is the first one. Raises InputError for fewer.
    """
    if num_frames < 1:
        raise InputError(f"A motion of {num_frames} frames was asked for; it needs at least 1.")
    whole = torch.arange(num_frames, dtype=torch.float64) * (motion.shape[1] - 1)
    return retime(motion, whole / max(num_frames - 1, 1))


def speed(motion: Motion, factor: float) -> Motion:
    """The motion `factor` times as fast: round((t - 1) / factor) + 1 frames, the first and the last kept exactly.

    More than one frame never become one. Raises InputError unless the factor is positive.
    """
    if not 0 < factor < math.inf:
        raise InputError(f"The speed is {factor}; it must be more than 0. 2 is twice as fast, 0.5 half as fast.")
    last = motion.shape[1] - 1
    return stretch(motion, max(round(last / factor), min(last, 1)) + 1)


def inbetween(motion: Motion, steps: int) -> Motion:
    """`steps` frames put between each two, (t - 1) (steps + 1) + 1 in all; raises InputError for fewer than 0."""
    if steps < 0:
        raise InputError(f"{steps} frames between each two were asked for; it must be 0 or more.")
    return stretch(motion, (motion.shape[1] - 1) * (steps + 1) + 1)


def loop(motion: Motion, fade: float = 0.25) -> Motion:
    """A motion of as many frames that repeats without a jump: the frame after its last would be its first.

    m(0) + W(i) (m(i) - m(0)), with W a window that rises from 0 at i = 0 to 1 and falls to 0 again at i = t, flat at
    both ends. Each flank takes the share `fade` of the clip: no more than twelve frames, so that of a long story only
    the ends are touched, and no fewer than three where there are six, so that a motion that does not speed up returns
    without a step larger than those within it (of 3 frames, none can). The first frame is unchanged, and so are those
    between the flanks.

    Raises InputError for a `fade` outside 0..0.5.
    """
    if not 0 <= fade <= 0.5:
        raise InputError(f"The fade of a loop is {fade}; it must be from 0 to 0.5, the share of the clip for each end.")
    num_frames = motion.shape[1]
    flank = min(max(min(fade * num_frames, MOST_FLANK), LEAST_FLANK), num_frames / 2)
    frames = torch.arange(num_frames, dtype=torch.float64)
    to_the_seam = torch.minimum(frames, num_frames - frames)
    window = EASES["ease in and out"]((to_the_seam / flank).clamp(max=1))
    return torch.lerp(motion[:, :1], motion, window.to(motion)[:, None, None])


def ping_pong(motion: Motion) -> Motion:
    """There and back: 2 t - 2 frames that repeat without doubled ends (1 and 2 frames stay as they are)."""
    return torch.cat([motion, motion[:, 1:-1].flip(1)], dim=1)


# Two motions


def blend(a: Motion, b: Motion, amount: float) -> Motion:
    """(1 - amount) a + amount b, frame by frame; exactly `a` at 0 and `b` at 1.

    The shorter one holds its last frame. A motion for one face goes with one for many.
    Raises MismatchError for motions of generators with other rows or widths, and for different numbers of faces.
    """
    a, b = _side_by_side(a, b)
    return torch.lerp(a, b, amount)


def add(a: Motion, b: Motion, amount: float = 1.0) -> Motion:
    """a + amount b, frame by frame; lengths, faces and errors as for `blend`."""
    a, b = _side_by_side(a, b)
    return a + amount * b


def _side_by_side(a: Motion, b: Motion) -> tuple[Motion, Motion]:
    """Both with the dtype and device of `a`, the same faces and the same number of frames."""
    a, b = _same_faces(a, b)
    num_frames = max(a.shape[1], b.shape[1])
    return _held(a, num_frames), _held(b, num_frames)


def _same_faces(a: Motion, b: Motion) -> tuple[Motion, Motion]:
    if a.shape[2:] != b.shape[2:]:
        raise MismatchError(
            f"One has {a.shape[2]} style vectors of width {a.shape[3]}, the other {b.shape[2]} of width {b.shape[3]}: "
            "they were made for different generators. Take both from one domain."
        )
    n = max(len(a), len(b))
    if {len(a), len(b)} - {1, n}:
        raise MismatchError(
            f"One is of {len(a)} faces, the other of {len(b)}. Both need the same number, or one of them 1."
        )
    return a.expand(n, -1, -1, -1), b.to(a).expand(n, -1, -1, -1)


def _held(motion: Motion, num_frames: int) -> Motion:
    """The motion with its last frame repeated until there are `num_frames`."""
    last = motion[:, -1:].expand(-1, num_frames - motion.shape[1], -1, -1)
    return torch.cat([motion, last], dim=1)


# One expression after another


def chain(
    previous: Motion | None, path: Motion, *, hold: int = 0, ease: str = "ease in and out", accumulate: bool = False
) -> Motion:
    """`previous`, then the way to the expression that `path` leads to, then `hold` frames of it.

    Args:
        previous: what came before; without it the clip begins with the first frame of `path`.
        path: [n k+1 num_ws w_dim], the expression alone, from the source face (frame 0) on. It adds k frames, its steps
            gone in the time of `ease`. k = 0 adds none: a cut, seen if `hold` is 1 or more.
        hold: frames for which the end stays.
        ease: name in `EASES`.
        accumulate: False replaces what came before: with P the last frame of `previous`, e = ease(i / k) and
            f = min(e, 1), frame i is (1 - f) P + path(e k) - (1 - f) path(0), so that the end is path(k) exactly,
            however many expressions came before. True adds to it: P + path(e k) - (1 - f) path(0).

    Raises InputError for a negative `hold` and an unknown ease, MismatchError as `blend`.
    """
    if hold < 0:
        raise InputError(f"{hold} frames to hold were asked for; it must be 0 or more.")
    curve, num_steps = _ease(ease), path.shape[1] - 1
    if previous is not None:
        previous, path = _same_faces(previous, path)
    eased = curve(torch.arange(num_steps + 1, dtype=torch.float64) / max(num_steps, 1))
    way, end = retime(path, eased * num_steps), path[:, -1:]
    if previous is not None:
        start, rest = previous[:, -1:], (1 - eased.clamp(0, 1)).to(path)[:, None, None]
        way = (start if accumulate else rest * start) + way - rest * path[:, :1]
        end = start + end if accumulate else end
        way = torch.cat([previous, way[:, 1:]], dim=1)
    return torch.cat([way, end.expand(-1, hold, -1, -1)], dim=1)


def neutral(
    previous: Motion | None, num_steps: int, num_ws: int, w_dim: int, *, hold: int = 0, ease: str = "ease in and out"
) -> Motion:
    """`previous`, then `num_steps` frames back to the source face, where the offset is exactly zero, and `hold` of it.

    Without `previous` the face is still from the first frame on. Errors as for `chain`.
    """
    if num_steps < 0:
        raise InputError(f"{num_steps} frames of transition were asked for; it must be 0 or more.")
    return chain(previous, torch.zeros(1, num_steps + 1, num_ws, w_dim), hold=hold, ease=ease)


# Measures


def amounts(motion: Motion) -> Float[Tensor, "n t num_ws"]:
    """How far each row of each frame is from the face: root mean square of its offset, in units of w."""
    return torch.linalg.vector_norm(motion, dim=-1) / math.sqrt(motion.shape[-1])


def steps(motion: Motion) -> Float[Tensor, "n t-1 num_ws"]:
    """How far each row moves from each frame to the next: root mean square, in units of w."""
    return amounts(motion.diff(dim=1))
