"""Reading golden files: numbers of published implementations, on synthetic weights made by a rule (golden/README.md).

A golden file's metadata says everything a test needs: what to build, how its weights follow from their names, the
inputs and the tolerance. Nothing about a particular file is written in a test.
"""

import json
import math
import re
import zlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor


def u1(name: str, shape: Iterable[int], mean: float, std: float, k: int) -> Tensor:
    """Rule U1: a float32 tensor of uniform values with this mean and standard deviation, from its name and `k`."""
    shape = tuple(shape)
    seed = zlib.crc32(name.encode()) + k * 2**32
    raw = np.random.PCG64(seed).random_raw(math.prod(shape))
    unit = (raw >> np.uint64(11)) * 2.0**-53  # float64 in [0, 1)
    values = mean + std * ((2 * unit - 1) * 1.7320508075688772)
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def number(text: str, width: int | None = None) -> float:
    """`0.8`, `1/sqrt(3)` and the like, as the metadata writes standard deviations; `width` is what stands for a name
    in `1/sqrt(z_dim)`."""
    match = re.fullmatch(r"([\d.]+)/sqrt\((?:([\d.]+)|\w+)\)", text)
    if not match:
        return float(text)
    under = width if match[2] is None else float(match[2])
    assert under is not None, f"{text} needs a width"
    return float(match[1]) / math.sqrt(under)


class GoldenFile:
    """One golden file: `file["img_const"]` is a stored tensor, the methods make what the file only describes."""

    def __init__(self, path: Path):
        self.path = path
        with safe_open(path, "pt") as f:
            self.metadata: dict[str, str] = f.metadata()
            self.names: list[str] = list(f.keys())

    def __repr__(self) -> str:
        return self.path.name

    def __getitem__(self, name: str) -> Tensor:
        with safe_open(self.path, "pt") as f:
            return f.get_tensor(name)

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def get(self, name: str) -> Tensor | None:
        return self[name] if name in self else None  # noqa: SIM401

    @property
    def kind(self) -> str:
        return self.metadata["kind"]

    @property
    def k(self) -> int:
        return int(self.metadata["k"])

    def json(self, key: str):
        return json.loads(self.metadata[key])

    def image_names(self) -> list[str]:
        """The images it holds, each whole or in parts."""
        parts = re.compile(r"\.(down\d+|crop_\w+|stats_\w+)$")
        return sorted({parts.sub("", name) for name in self.names if name.startswith("img_")})

    def parameter(self, name: str, shape: Iterable[int]) -> Tensor | None:
        """The stored (raw) parameter of this official name, or None where the rule makes none (filters, counters)."""
        shape = tuple(shape)
        for pattern, mean, std in self._param_table:
            if re.fullmatch(pattern, name):
                if mean is None:
                    return None
                if isinstance(std, str):  # "F:a": a / sqrt(fan in)
                    std = float(std.removeprefix("F:")) / math.sqrt(math.prod(shape[1:]))
                return u1(name, shape, mean, std, self.k)
        raise KeyError(f"{self}: no row of param_table matches {name}")

    @cached_property
    def _param_table(self) -> list[tuple[str, float | None, float | str | None]]:
        return self.json("param_table")

    def input_rules(self) -> dict[str, tuple[str, str, str, str]]:
        """The `inputs` metadata: {input: (rule name, shape, mean, std)}, as text."""
        rule = re.compile(r"(\w+)\s*=\s*U1\('([^']+)',\[([^\]]*)\],([^,]+),(.+?),k\)")
        return {name: tuple(fields) for name, *fields in rule.findall(self.metadata.get("inputs", ""))}

    def input(self, name: str, shape: Iterable[int] | None = None) -> Tensor:
        """An input of the network: stored, or made by its rule. `shape` where the rule has letters for it."""
        return self[name] if name in self else self.made_by_rule(name, shape)

    def made_by_rule(self, name: str, shape: Iterable[int] | None = None) -> Tensor:
        """An input as its rule makes it, stored or not. The metadata says what the rule calls it: `input.z.5`."""
        rule_name, letters, mean, std = self.input_rules()[name]
        sizes = tuple(map(int, letters.split(",")) if shape is None else shape)
        return u1(rule_name, sizes, number(mean), number(std, sizes[-1]), self.k)

    def rule_name(self, part: str) -> str:
        """What the rule calls an input that the metadata does not name, by a part of it: `input.image.noise`."""
        (found,) = {name for name in re.findall(r"U1\('([^']+)'", self.metadata["inputs"]) if part in name.split(".")}
        return found

    def tolerance(self, what: str = "") -> dict[str, float]:
        """atol and rtol for assert_close, from `atol 1e-4, rtol 1e-3 on images (fp32, CPU); atol 1e-5 on w`."""
        clauses = self.metadata["tolerance"].split(";")
        clause = next((c for c in clauses if re.search(rf" on {what}\b", c)), clauses[0])
        found = {key: float(value) for key, value in re.findall(r"([ar]tol) ([\d.e+-]+)", clause)}
        return {"atol": found.get("atol", 0.0), "rtol": found.get("rtol", 0.0)}

    def check(self, name: str, actual: Tensor, what: str = "") -> None:
        """Assert that `actual` is the stored tensor `name`, within this file's tolerance for `what`."""
        expected, limits = self[name], self.tolerance(what)
        assert actual.shape == expected.shape, f"{self}: {name} is {list(actual.shape)}, not {list(expected.shape)}"
        torch.testing.assert_close(actual, expected, **limits, msg=lambda text: f"{self}: {name}\n{text}")

    def check_image(self, name: str, image: Tensor) -> None:
        """Assert an image, stored whole or, where it is large, as block means, windows and statistics."""
        parts = [part for part in self.names if part == name or part.startswith(f"{name}.")]
        assert parts, f"{self} has nothing of {name}"
        for part in parts:
            view = image if part == name else _view(image, part.removeprefix(f"{name}."), self[part].shape)
            self.check(part, view, "images")


def _view(image: Tensor, view: str, shape: torch.Size) -> Tensor:
    """What a large image is stored as: `down64`, `crop_tl_y0_x0` or `stats_mean_std_min_max`."""
    if view.startswith("down"):
        return torch.nn.functional.avg_pool2d(image, image.shape[-1] // shape[-1])
    if view.startswith("stats_"):
        return torch.stack([getattr(image, statistic)() for statistic in view.split("_")[1:]])
    y, x = map(int, re.search(r"_y(\d+)_x(\d+)$", view).groups())
    return image[..., y : y + shape[-2], x : x + shape[-1]]
