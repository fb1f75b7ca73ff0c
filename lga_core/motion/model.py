"""Words to motion: the recurrent motion generator and the mappers to W+ (Hang et al. 2023, "Language-Guided Face
Animation by Recurrent StyleGAN-based Generator", section III-C and III-D).

A motion code z starts at the sentence's (and the picture's) CLIP embedding and takes one small step per frame; a mapper
H turns codes into offsets to a face's W+. The paper and its code differ in many places. Each difference is a field of
`MotionConfig`, and three sets of fields have names:

    anchored  offset = H(z_i) - H(z_1), so frame 1 is the source face exactly; any frame count moves as much.
    paper     offset = H(z_i), as printed.
    official  offset = H(z_i - z_1), as in the authors' code.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import InputError, MismatchError
from ..shapes import Codes, Embedding, Hidden, Motion, Rates, WPlus
from ..stylegan2.ops import EqualLinear, initialize, leaky_relu, normalize_second_moment

Anchor = Literal["output", "code", "none"]
Head = Literal["per_layer", "shared"]
Schedule = Literal["const", "linear", "sqrt", "exp"]
ScheduleRule = Literal["normalised", "paper", "official"]

TRAINING_STEPS = 3  # the published step size 0.2 belongs to clips of four frames: three steps, 0.6 in all


@dataclass(frozen=True)
class MotionConfig:
    """What distinguishes one motion model from another. Raises ValueError for values no model can have.

    Attributes:
        code_dim: width of a motion code: the embedding size of the CLIP model it is made with.
        num_ws, w_dim: W+ of the generator it moves.
        hidden_dim: width of the recurrent hidden state.
        mapper_dim: width of the mappers' two inner layers.
        head: `per_layer` gives every W+ row its own offset (the paper's); `shared` gives all rows the same one, which
            leaves less room to please CLIP with what no one would call the expression.
        anchor: what an offset is measured from: `output` H(z_i) - H(z_1), `code` H(z_i - z_1), `none` H(z_i).
        visual_offset: a second mapper adds an offset of the picture's embedding to every frame.
        slope: negative slope of the recurrence's leaky ReLUs.
        h0_std: standard deviation of the first hidden state.
        schedule: shape of the step sizes over a clip: see `rates`.
        schedule_rule: how the step sizes depend on the number of frames: see `rates`.
        schedule_sum: total of the step sizes over a four-frame clip of constant steps (published: 3 x 0.2).
        last_activation: a leaky ReLU after the mappers' last layer, as after the others.
        output_gain: factor on the mappers' output.
    """

    code_dim: int
    num_ws: int
    w_dim: int = 512
    hidden_dim: int = 384
    mapper_dim: int = 1024
    head: Head = "per_layer"
    anchor: Anchor = "output"
    visual_offset: bool = False
    slope: float = 0.1
    h0_std: float = 0.01
    schedule: Schedule = "const"
    schedule_rule: ScheduleRule = "normalised"
    schedule_sum: float = 0.6
    last_activation: bool = True
    output_gain: float = 1.0

    def __post_init__(self) -> None:
        limits = {"code_dim": 16384, "num_ws": 64, "w_dim": 8192, "hidden_dim": 16384, "mapper_dim": 16384}
        for name, most in limits.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= most:
                raise ValueError(f"{name} is {value!r}; it must be a whole number from 1 to {most}")
        for name, choice in _CHOICES.items():
            if getattr(self, name) not in get_args(choice):
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be one of {get_args(choice)}")
        for name in ("visual_offset", "last_activation"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be true or false")
        for name in ("slope", "h0_std"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be a number, not negative")
        for name in ("schedule_sum", "output_gain"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be a positive number")

    @classmethod
    def anchored(cls, code_dim: int, num_ws: int, **overrides) -> "MotionConfig":
        """Our default: starts at the source face, the same motion at any frame count."""
        return cls(code_dim, num_ws, **overrides)

    @classmethod
    def paper(cls, code_dim: int, num_ws: int, **overrides) -> "MotionConfig":
        """As printed: Eq. 3-7, and steps that shrink linearly at inference (training: schedule `const`)."""
        fields = {
            "anchor": "none",
            "visual_offset": True,
            "h0_std": 0.1,  # h^(1) ~ N(0, 0.01 I)
            "schedule": "linear",
            "schedule_rule": "paper",
        }
        return cls(code_dim, num_ws, **{**fields, **overrides})

    @classmethod
    def official(cls, code_dim: int, num_ws: int, **overrides) -> "MotionConfig":
        """As in the authors' code (training: schedule `const`)."""
        fields = {
            "anchor": "code",
            "visual_offset": True,
            "slope": 0.01,
            "schedule": "linear",
            "schedule_rule": "official",
        }
        return cls(code_dim, num_ws, **{**fields, **overrides})


_CHOICES = {"head": Head, "anchor": Anchor, "schedule": Schedule, "schedule_rule": ScheduleRule}

# Step size at frame t = 1 .. T-1 of a clip of T frames, before any scaling.
_CURVES: dict[str, Callable[[Rates, int], Rates]] = {
    "const": lambda t, num_frames: torch.ones_like(t),
    "linear": lambda t, num_frames: (num_frames - t) / num_frames,
    "sqrt": lambda t, num_frames: ((num_frames - t) / num_frames).sqrt(),
    "exp": lambda t, num_frames: 1 - (t / num_frames - 1).exp(),
}


def rates(config: MotionConfig, num_frames: int, schedule: Schedule | None = None) -> Rates:
    """Step sizes r_t for t = 1 .. T-1, float64 [num_frames - 1].

    `schedule` (default: the configuration's) is the curve g: `const` 1, `linear` (T-t)/T, `sqrt` its root, `exp`
    1 - e^(t/T - 1). With s = schedule_sum / 3, the step of a four-frame clip, the configuration's rule says:

        normalised  schedule_sum g / sum(g): the same total at any T, hence the same amount of motion.
        paper       s g, so that `linear` is the paper's 0.2 (T+1-i)/T for i = 2 .. T. Totals grow with T.
        official    4 s g / T.

    Raises InputError for fewer than one frame.
    """
    if not isinstance(num_frames, int) or num_frames < 1:
        raise InputError(f"A clip of {num_frames!r} frames was asked for; it needs a whole number of at least 1.")
    schedule = config.schedule if schedule is None else schedule
    if schedule not in _CURVES:
        raise ValueError(f"schedule is {schedule!r}; it must be one of {get_args(Schedule)}")
    curve = _CURVES[schedule](torch.arange(1, num_frames, dtype=torch.float64), num_frames)
    if config.schedule_rule == "normalised":
        return config.schedule_sum * curve / curve.sum()
    step = config.schedule_sum / TRAINING_STEPS
    return step * curve if config.schedule_rule == "paper" else 4 * step / num_frames * curve


class Recurrent(nn.Module):
    """The recurrence of Eq. 3-5; torch.nn.Linear with biases and its default range of initial weights."""

    def __init__(self, config: MotionConfig):
        super().__init__()
        self.slope = config.slope
        code, hidden = config.code_dim, config.hidden_dim
        self.fc1 = nn.Linear(code, hidden)
        self.fc2 = nn.Linear(2 * hidden, code)
        self.fc3 = nn.Linear(2 * hidden, hidden)

    def forward(self, code: Embedding, h: Hidden, rate: float) -> tuple[Embedding, Hidden]:
        """One step: u = [leaky(fc1 z); h], z + r leaky(fc2 u), h + r leaky(fc3 u)."""
        u = torch.cat([F.leaky_relu(self.fc1(code), self.slope), h], dim=1)
        code = code + rate * F.leaky_relu(self.fc2(u), self.slope)
        return code, h + rate * F.leaky_relu(self.fc3(u), self.slope)


class Mapper(nn.ModuleList):
    """H: codes -> offsets in W+. Pixel norm and three equalised linear layers (the reference code's)."""

    def __init__(self, config: MotionConfig):
        self.rows = config.num_ws if config.head == "per_layer" else 1
        widths = [config.code_dim, config.mapper_dim, config.mapper_dim, config.w_dim * self.rows]
        super().__init__([EqualLinear(i, o) for i, o in zip(widths, widths[1:], strict=False)])
        self.config = config

    def forward(self, codes: Embedding) -> WPlus:
        x = normalize_second_moment(codes)
        for layer in self:
            x = layer(x)
            if layer is not self[-1] or self.config.last_activation:
                x = leaky_relu(x)
        x = x.unflatten(1, (self.rows, self.config.w_dim)) * self.config.output_gain
        return x.expand(-1, self.config.num_ws, -1)  # a shared head moves all rows alike


class Mappers(nn.Module):
    """H_t, for motion codes, and H_v, for the picture's embedding (where the model has it)."""

    def __init__(self, config: MotionConfig):
        super().__init__()
        self.motion = Mapper(config)
        self.visual = Mapper(config) if config.visual_offset else None


class MotionModel(nn.Module):
    """The motion generator with its mappers. `seed` draws its initial weights.

    Usage: motion = model(text_embedding, image_embedding, num_frames=16); generator.synthesis(ws + motion[:, t])
    """

    def __init__(self, config: MotionConfig, seed: int = 0):
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):  # torch.nn.Linear draws from the global state, which stays as it was
            torch.manual_seed(seed)
            self.recurrent = Recurrent(config)
        self.mapper = Mappers(config)
        initialize(self, seed)

    def first_state(self, n: int, seed: int | Sequence[int] | torch.Generator = 0) -> Hidden:
        """h_1 ~ N(0, h0_std^2), [n hidden_dim], drawn on the CPU so that it is the same for every device.

        A seed gives every sample the same state, so that a face moves in a batch as it moves alone. A sequence of n
        seeds gives each its own, and a CPU torch.Generator (for training) n fresh ones.
        """
        if isinstance(seed, torch.Generator):
            return self.config.h0_std * torch.randn(n, self.config.hidden_dim, generator=seed)
        seeds = [seed] * n if isinstance(seed, int) else list(seed)
        if len(seeds) != n:
            raise InputError(f"{len(seeds)} seeds were given for {n} faces; give one seed, or one for each face.")
        draws = [torch.randn(self.config.hidden_dim, generator=torch.Generator().manual_seed(s)) for s in seeds]
        return self.config.h0_std * torch.stack(draws)

    def rollout(self, code: Embedding, num_frames: int, h0: Hidden, schedule: Schedule | None = None) -> Codes:
        """Motion codes z_1 .. z_T, [n num_frames c], from the first code z_1 [n c] and the first state [n hidden]."""
        codes, h = [code], h0
        for rate in rates(self.config, num_frames, schedule).tolist():
            code, h = self.recurrent(code, h, rate)
            codes.append(code)
        return torch.stack(codes, dim=1)

    def offsets(self, codes: Codes) -> Motion:
        """Codes [n t c] -> offsets to a face's W+, [n t num_ws w_dim]; frame 0 is exactly zero with anchor `output`."""
        n, t, _ = codes.shape
        if self.config.anchor == "code":
            codes = codes - codes[:, :1]
        motion = self.mapper.motion(codes.flatten(0, 1)).unflatten(0, (n, t))
        return motion - motion[:, :1] if self.config.anchor == "output" else motion

    def visual(self, image_embedding: Embedding) -> WPlus:
        """The constant offset of the picture's embedding, [n num_ws w_dim]; zero for a model without it."""
        if self.mapper.visual is None:
            return image_embedding.new_zeros(image_embedding.shape[0], self.config.num_ws, self.config.w_dim)
        return self.mapper.visual(image_embedding)

    def forward(
        self,
        text_embedding: Embedding,
        image_embedding: Embedding | None = None,
        num_frames: int = 16,
        strength: float = 1.0,
        seed: int | Sequence[int] | torch.Generator = 0,
        *,
        h0: Hidden | None = None,
        schedule: Schedule | None = None,
        visual_strength: float = 1.0,
    ) -> Motion:
        """The motion of a sentence, to be added to a face's ws.

        Args:
            text_embedding: unit CLIP embedding of the sentence, [n c] or [1 c] for all pictures.
            image_embedding: unit CLIP embedding of each face's picture, [n c] or [1 c]. Without it the sentence alone
                starts the motion. No gradient reaches it through z_1, as in the reference code.
            num_frames: T, at least 1.
            strength: factor on the motion.
            seed: of the first hidden state, see `first_state`; `h0` [n hidden_dim] gives the state itself.
            schedule: other than the configuration's, for example `const` in training.
            visual_strength: factor on the constant visual offset, where the model has it.

        Returns:
            [n num_frames num_ws w_dim].

        Raises:
            InputError: fewer than one frame.
            MismatchError: embeddings of another CLIP model.
        """
        self._check(text_embedding, "text")
        code = text_embedding
        if image_embedding is not None:
            self._check(image_embedding, "image")
            code = text_embedding + image_embedding.detach()
        h0 = self.first_state(code.shape[0], seed) if h0 is None else h0
        motion = strength * self.offsets(self.rollout(code, num_frames, h0.to(code), schedule))
        if image_embedding is not None and self.mapper.visual is not None:
            motion = motion + visual_strength * self.visual(image_embedding)[:, None]
        return motion

    def _check(self, embedding: Embedding, what: str) -> None:
        if embedding.ndim != 2 or embedding.shape[1] != self.config.code_dim:
            raise MismatchError(
                f"A {what} embedding of shape {list(embedding.shape)} was given, but this motion model was made with a "
                f"CLIP model whose embeddings have shape [n {self.config.code_dim}]. Use that CLIP model."
            )
