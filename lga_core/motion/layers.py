"""Layer masks: which rows of W+ a motion or a blend of two faces may change."""

import re
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..shapes import Motion, WPlus
from .editing import broadcast_faces
from .keyframes import MAX_VALUE, NUMBER, entries

EXAMPLE = "4-7:1, 8-:0.2"
SMALL = 12
"""Rows of W+ of a 128 px generator. Up to this size expressions need the 8 px rows: on the doodle domain rows 2-7 keep
.79 of an expression's .83, rows 4-7 only .52."""
LAYERS: dict[str, Callable[[int], slice] | None] = {
    "everything": lambda num_ws: slice(0, None),
    "expression only": lambda num_ws: slice(2 if num_ws <= SMALL else 4, 8),
    "colour only": lambda num_ws: slice(8, None),  # 64 px and finer
    "custom": None,
}
"""Presets: num_ws -> the rows of W+ that may move; `custom` reads the rows from text."""
ROWS = {"everything": slice(0, None), "coarse": slice(0, 4), "middle": slice(4, 8), "fine": slice(8, None)}
"""Rows of W+ by StyleGAN's names: coarse (up to 8 px), middle (16 and 32 px), fine (64 px and up)."""

_ROWS = re.compile(
    rf"(?P<first>[0-9]{{1,9}})(?: ?(?P<dash>[-–]) ?(?P<last>[0-9]{{1,9}})?)?(?: ?: ?(?P<weight>{NUMBER}))?"
)


def layer_weights(layers: str, num_ws: int, custom: str = "") -> Float[Tensor, "num_ws"]:
    """Layer mask: a factor for each row of W+, float32 [num_ws], 1 for the rows of the preset `layers`, 0 for others.

    The preset `custom` parses the text `custom`, such as "4-7:1, 8-:0.2": rows or ranges of rows (both ends included;
    an open end reaches the last row), each with a weight, by default 1. Rows that are not named get 0; the later of two
    entries for one row counts.

    Raises InputError for an unknown preset, a preset whose rows this generator lacks, and an entry of `custom` that
    cannot be parsed.
    """
    if layers not in LAYERS:
        raise InputError(f'"{layers}" is not a choice of layers. Use one of: {", ".join(LAYERS)}.')
    preset, weights = LAYERS[layers], torch.zeros(num_ws)
    if preset is None:
        for entry in entries(custom):
            named, weight = _named_rows(entry, num_ws)
            weights[named] = weight
        if not entries(custom):
            raise InputError(f"The custom layers are empty. Name rows from 0 to {num_ws - 1}, for example: {EXAMPLE}")
        return weights
    rows = preset(num_ws)
    weights[rows] = 1
    if not weights.any():
        raise InputError(
            f'"{layers}" begins at row {rows.start}, but this generator has only the rows 0 to {num_ws - 1}: nothing '
            "would move. Choose everything or custom."
        )
    return weights


def _named_rows(entry: str, num_ws: int) -> tuple[slice, float]:
    """Rows and weight of one entry such as "4-7:0.5", "8-" or "3"."""
    match = _ROWS.fullmatch(entry)
    if match is None:
        raise InputError(
            f'The layers "{entry}" cannot be read. Write rows from 0 to {num_ws - 1} and a weight, decimals with a '
            f"point, for example: {EXAMPLE}"
        )
    first = int(match["first"])
    last = int(match["last"]) if match["last"] else num_ws - 1 if match["dash"] else first
    if not first <= last < num_ws:
        raise InputError(
            f'The layers "{entry}" do not fit: this generator has the rows 0 to {num_ws - 1}, and a range runs upward. '
            f"For example: {EXAMPLE}"
        )
    weight = float(match["weight"] or 1)
    if abs(weight) > MAX_VALUE:
        raise InputError(f'The weight of the layers "{entry}" is too large. For example: {EXAMPLE}')
    return slice(first, last + 1), weight


def blend_faces(a: WPlus, b: WPlus, amount: float, rows: str = "everything") -> WPlus:
    """Style mixing of faces [n num_ws w_dim]: (1 - amount) a + amount b on the named `rows` (see `ROWS`), else a.

    One face of a or b is broadcast to the other's. Raises MismatchError for other numbers of faces, and InputError for
    rows that this generator does not have.
    """
    if not range(a.shape[1])[ROWS[rows]]:
        raise InputError(
            f'The "{rows}" rows begin at row {ROWS[rows].start}, but this generator has only the rows 0 to '
            f"{a.shape[1] - 1}: nothing would be mixed. Choose other rows, or everything."
        )
    a, b = (faces[:, 0] for faces in broadcast_faces(a[:, None], b[:, None]))
    mixed = a.clone()
    mixed[:, ROWS[rows]] = (1 - amount) * a[:, ROWS[rows]] + amount * b[:, ROWS[rows]]
    return mixed


def mask_layers(motion: Motion, weights: Float[Tensor, "num_ws"]) -> Motion:
    """Layer mask: each row of W+ times its weight [num_ws]."""
    return motion * weights.to(motion)[:, None]
