"""Text to motion: the recurrent motion generator (Eq. 3-5), the text-aware and visual mappers to W+ (Eq. 6-7), and the
residual schedule (Hang et al. 2023, "Language-Guided Face Animation by Recurrent StyleGAN-based Generator", III-C, D).

A motion code z starts at the CLIP embedding of the text (plus that of the image) and takes one residual step per frame;
a mapper H turns codes into offsets to a face's W+. The paper and its code differ in many places. Each difference is a
field of `MotionConfig`, and three sets of fields have names:

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
    """Architecture of a motion model. Raises ValueError for values outside the allowed ranges.

    Attributes:
        code_dim: width of a motion code, the embedding size of the CLIP model.
        num_ws, w_dim: shape of the generator's W+.
        hidden_dim: width of the recurrent hidden state.
        mapper_dim: width of the mappers' two hidden layers.
        head: `per_layer` gives every row of W+ its own offset (the paper's); `shared` gives all rows the same offset,
            which leaves CLIP fewer ways to be satisfied without the expression.
        anchor: reference of the offsets: `output` H(z_i) - H(z_1), `code` H(z_i - z_1), `none` H(z_i).
        visual_offset: add the visual mapper's offset w_v = H_v(z_v) to every frame.
        slope: negative slope of the recurrent generator's leaky ReLUs.
        h0_std: standard deviation of the initial hidden state h^(1).
        schedule: curve of the residual step sizes over a clip, see `residual_schedule`.
        schedule_rule: how the step sizes depend on the number of frames, see `residual_schedule`.
        schedule_sum: total of the step sizes over a four-frame clip of constant steps (published: 3 x 0.2).
        last_activation: a leaky ReLU after the mappers' last layer, as after the others.
        output_gain: factor on the mappers' outputs.
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
        """Our default: frame 1 is the source face, and the amount of motion does not depend on the number of frames."""
        return cls(code_dim, num_ws, **overrides)

    @classmethod
    def paper(cls, code_dim: int, num_ws: int, **overrides) -> "MotionConfig":
        """The paper's model, Eq. 3-7, with its inference schedule; train with schedule `const`."""
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
        """The model of the authors' code, with its inference schedule; train with schedule `const`."""
        fields = {
            "anchor": "code",
            "visual_offset": True,
            "slope": 0.01,
            "schedule": "linear",
            "schedule_rule": "official",
        }
        return cls(code_dim, num_ws, **{**fields, **overrides})


_CHOICES = {"head": Head, "anchor": Anchor, "schedule": Schedule, "schedule_rule": ScheduleRule}

# Curve of the residual schedule: step size at frame t = 1 .. T-1 of a clip of T frames, before scaling.
_SCHEDULE_CURVES: dict[str, Callable[[Rates, int], Rates]] = {
    "const": lambda t, num_frames: torch.ones_like(t),
    "linear": lambda t, num_frames: (num_frames - t) / num_frames,
    "sqrt": lambda t, num_frames: ((num_frames - t) / num_frames).sqrt(),
    "exp": lambda t, num_frames: 1 - (t / num_frames - 1).exp(),
}


def residual_schedule(config: MotionConfig, num_frames: int, schedule: Schedule | None = None) -> Rates:
    """Residual schedule: the step sizes r of Eq. 3-5, for t = 1 .. T-1, float64 [num_frames - 1].

    `schedule` (default: the configuration's) is the curve g: `const` 1, `linear` (T-t)/T, `sqrt` its square root, `exp`
    1 - e^(t/T - 1). With s = schedule_sum / 3, the step of a four-frame clip, `schedule_rule` gives:

        normalised  schedule_sum g / sum(g): the same total at any T, hence the same amount of motion.
        paper       s g, so that `linear` is the paper's 0.2 (T+1-i)/T for i = 2 .. T. Totals grow with T.
        official    4 s g / T.

    Raises InputError for fewer than one frame.
    """
    if not isinstance(num_frames, int) or num_frames < 1:
        raise InputError(f"num_frames is {num_frames!r}; a clip needs a whole number of frames, at least 1.")
    schedule = config.schedule if schedule is None else schedule
    if schedule not in _SCHEDULE_CURVES:
        raise ValueError(f"schedule is {schedule!r}; it must be one of {get_args(Schedule)}")
    curve = _SCHEDULE_CURVES[schedule](torch.arange(1, num_frames, dtype=torch.float64), num_frames)
    if config.schedule_rule == "normalised":
        return config.schedule_sum * curve / curve.sum()
    step = config.schedule_sum / TRAINING_STEPS
    return step * curve if config.schedule_rule == "paper" else 4 * step / num_frames * curve


class RecurrentGenerator(nn.Module):
    """Recurrent motion generator, Eq. 3-5: motion code z and hidden state h take one residual step per frame.

    W1, W2 and W3 of the paper are `fc1`, `fc2` and `fc3`, with biases and PyTorch's initialisation.
    """

    def __init__(self, config: MotionConfig):
        super().__init__()
        self.slope = config.slope
        code, hidden = config.code_dim, config.hidden_dim
        self.fc1 = nn.Linear(code, hidden)
        self.fc2 = nn.Linear(2 * hidden, code)
        self.fc3 = nn.Linear(2 * hidden, hidden)

    def forward(self, code: Embedding, h: Hidden, rate: float) -> tuple[Embedding, Hidden]:
        """One frame, Eq. 3-5: c = [leaky(W1 z); h], z + r leaky(W2 c), h + r leaky(W3 c).

        code: [n code_dim]. h: [n hidden_dim]. rate: r, from `residual_schedule`. Returns the next code and state.
        """
        c = torch.cat([F.leaky_relu(self.fc1(code), self.slope), h], dim=1)
        code = code + rate * F.leaky_relu(self.fc2(c), self.slope)
        return code, h + rate * F.leaky_relu(self.fc3(c), self.slope)


class Mapper(nn.ModuleList):
    """A mapper to W+ (Eq. 6-7), text-aware or visual: codes [n code_dim] -> offsets [n num_ws w_dim].

    Pixel norm and three equalised linear layers, as in the authors' code; the paper gives no architecture.
    """

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
        return x.expand(-1, self.config.num_ws, -1)  # a shared head has one row


class Mappers(nn.Module):
    """The text-aware mapper H_t of motion codes and the visual mapper H_v of image embeddings (Eq. 6-7).

    `motion` is H_t, `visual` is H_v, None in a model without `visual_offset`.
    """

    def __init__(self, config: MotionConfig):
        super().__init__()
        self.motion = Mapper(config)
        self.visual = Mapper(config) if config.visual_offset else None


class MotionModel(nn.Module):
    """Text-guided motion model: recurrent motion generator and mappers. `seed` draws the initial weights.

    Usage: motion = model(text_embedding, image_embedding, num_frames=16); generator.synthesis(ws + motion[:, t])
    """

    def __init__(self, config: MotionConfig, seed: int = 0):
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):  # torch.nn.Linear draws from the global state, which stays as it was
            torch.manual_seed(seed)
            self.recurrent = RecurrentGenerator(config)
        self.mapper = Mappers(config)
        initialize(self, seed)

    def initial_hidden_state(self, n: int, seed: int | Sequence[int] | torch.Generator = 0) -> Hidden:
        """Initial hidden state h^(1) ~ N(0, h0_std^2), [n hidden_dim], drawn on the CPU: equal on every device.

        seed: one seed gives all n samples the same state, so that a face moves alike alone and in a batch; a sequence
        of n seeds gives each sample its own; a CPU torch.Generator (for training) draws n states.

        Raises InputError for a number of seeds other than 1 or n.
        """
        if isinstance(seed, torch.Generator):
            return self.config.h0_std * torch.randn(n, self.config.hidden_dim, generator=seed)
        seeds = [seed] * n if isinstance(seed, int) else list(seed)
        if len(seeds) != n:
            raise InputError(f"{len(seeds)} seeds for {n} faces: give one seed, or one for each face.")
        draws = [torch.randn(self.config.hidden_dim, generator=torch.Generator().manual_seed(s)) for s in seeds]
        return self.config.h0_std * torch.stack(draws)

    def rollout(self, code: Embedding, num_frames: int, h0: Hidden, schedule: Schedule | None = None) -> Codes:
        """Motion codes z^(1) .. z^(T) (Eq. 3-5), [n num_frames c], from z^(1) [n c] and h^(1) [n hidden_dim]."""
        codes, h = [code], h0
        for rate in residual_schedule(self.config, num_frames, schedule).tolist():
            code, h = self.recurrent(code, h, rate)
            codes.append(code)
        return torch.stack(codes, dim=1)

    def offsets(self, codes: Codes) -> Motion:
        """Offsets to a face's W+ by the text-aware mapper (Eq. 6-7): codes [n t c] -> [n t num_ws w_dim].

        Frame 0 is exactly zero with anchor `output`.
        """
        n, t, _ = codes.shape
        if self.config.anchor == "code":
            codes = codes - codes[:, :1]
        motion = self.mapper.motion(codes.flatten(0, 1)).unflatten(0, (n, t))
        return motion - motion[:, :1] if self.config.anchor == "output" else motion

    def visual(self, image_embedding: Embedding) -> WPlus:
        """Constant offset w_v of the visual mapper (Eq. 6-7): image embedding [n c] -> [n num_ws w_dim].

        Zero for a model without a visual mapper.
        """
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
        """Offsets to a face's W+, frame by frame: w^(i) = w_inv + w_v + strength Delta w^(i) (III-D).

        Args:
            text_embedding: z_t, unit CLIP embedding of the text, [n c], or [1 c] for all images.
            image_embedding: z_v, unit CLIP embedding of each face's image, [n c] or [1 c]; z^(1) = z_t + z_v. None:
                z^(1) = z_t. No gradient flows to it through z^(1), as in the authors' code.
            num_frames: T, at least 1.
            strength: factor on the motion Delta w.
            seed: seed of the initial hidden state, see `initial_hidden_state`.
            h0: the initial hidden state itself, [n hidden_dim]; overrides `seed`.
            schedule: residual schedule to use instead of the configuration's, for example `const` in training.
            visual_strength: factor on w_v, in models with a visual mapper.

        Returns:
            [n num_frames num_ws w_dim].

        Raises:
            InputError: fewer than one frame.
            MismatchError: embeddings of another size than the configuration's `code_dim`.
        """
        self._check(text_embedding, "text")
        code = text_embedding
        if image_embedding is not None:
            self._check(image_embedding, "image")
            code = text_embedding + image_embedding.detach()
        h0 = self.initial_hidden_state(code.shape[0], seed) if h0 is None else h0
        motion = strength * self.offsets(self.rollout(code, num_frames, h0.to(code), schedule))
        if image_embedding is not None and self.mapper.visual is not None:
            motion = motion + visual_strength * self.visual(image_embedding)[:, None]
        return motion

    def _check(self, embedding: Embedding, what: str) -> None:
        if embedding.ndim != 2 or embedding.shape[1] != self.config.code_dim:
            raise MismatchError(
                f"The {what} embedding has shape {list(embedding.shape)}, but this motion model needs "
                f"[n {self.config.code_dim}]. Use the CLIP model that it was trained with."
            )
