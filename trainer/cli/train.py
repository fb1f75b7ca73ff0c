"""`lga train KIND`: the options are the fields of the kind's settings class.

Settings come from a preset, then from a file (--config, JSON with any of the fields), then from options: each overrides
the one before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, ArgumentCollection, Parameter
from cyclopts.config import Dict

from lga_core import InputError

from ..baselines.mocogan_hd import config as mocogan_config
from ..baselines.mocogan_hd.config import MocoganRun
from ..baselines.styleclip_mapper import config as mapper_config
from ..baselines.styleclip_mapper.config import MapperRun
from ..encoder.config import EncoderRun
from ..motion import config as motion_config
from ..motion.config import MotionRun
from ..training.config import settings_in
from .arguments import FILE, whole_numbers

SETTINGS = Parameter("*")
ConfigFile = Annotated[
    Path | None,
    FILE,
    Parameter(help="JSON file of settings, such as config.json of another run. Options override it."),
]

train = App(
    "train",
    help="Train a motion model, an encoder or a baseline for your own generator.\n\n"
    "lga train motion --help lists every setting.",
    usage="usage: lga train {motion,encoder,mapper,mocogan} --generator G [options]",
    help_flags=(),
    version_flags=(),
)


Presets = Mapping[str, Callable[[], dict[str, object]]]


def _kind(what: str, settings: type, presets: Presets | None = None, usual: str = "") -> Callable[..., Any]:
    """Registers a kind of training, with its class of `settings`; `usual` is the preset if none is named."""
    order = "the preset, then from --config FILE, then from options" if presets else "--config FILE, then from options"
    listed = f" Presets: {', '.join(presets)}." if presets else ""
    help = f"{what}\n\nSettings come from {order}: each overrides the one before.{listed}"
    return train.command(help=help, config=(_filled(settings, presets or {"": dict}, usual), whole_numbers))


def _filled(settings: type, presets: Presets, usual: str) -> Callable[[App, tuple[str, ...], ArgumentCollection], None]:
    """What fills in the settings that no option gives: from the --config file, then from the preset.

    Without the last, cyclopts would fill a section that is given in part from the section's class alone.
    """

    def fill(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        if path := _given(arguments, "--config"):
            _fill(app, arguments, read_config(Path(path)), path)
        preset = _given(arguments, "--preset") or usual
        if preset not in presets:
            raise InputError(f"There is no preset {preset!r}. Presets: {', '.join(presets)}.")
        named = {"preset": preset} if preset else {}
        _fill(app, arguments, {**_defaults(settings), **_plain(presets[preset]()), **named}, "the preset")

    return fill


def _defaults(settings: type) -> dict[str, Any]:
    made = {field.name: field.default_factory() for field in fields(settings) if field.default_factory is not MISSING}
    return _plain({field.name: field.default for field in fields(settings) if field.default is not MISSING} | made)


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: asdict(value) if is_dataclass(value) else value for name, value in settings.items()}  # pyright: ignore


def _fill(app: App, arguments: ArgumentCollection, settings: dict[str, Any], source: str) -> None:
    Dict(settings, source=source, use_commands_as_keys=False)(app, (), arguments)
    for argument in arguments:
        if argument.children and argument.tokens:
            part = next(iter(argument.children)).name
            raise InputError(f"{argument.name} is a group of settings. Set them one by one, such as {part}.")


def _given(arguments: ArgumentCollection, name: str) -> str:
    tokens = arguments[name].tokens if name in arguments else []
    return tokens[-1].value if tokens else ""


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a file. Raises InputError."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise InputError(f"{path} cannot be read ({err.strerror or err}). Check --config.") from err
    except ValueError as err:
        raise InputError(f"{path} is not JSON ({err}). Correct it, or leave --config out.") from err
    if not isinstance(settings, dict):
        raise InputError(f'{path} must hold a JSON object with settings by name, such as {{"steps": 2000}}.')
    return settings_in(settings)


@_kind(
    "Train a motion model: text to motion for one generator. No images are needed.",
    MotionRun,
    motion_config.PRESETS,
    "anchored",
)
def motion(*, run: Annotated[MotionRun, SETTINGS], config: ConfigFile = None) -> None:
    from ..motion.train import train_motion

    _until_stopped("motion model", run.out, lambda: train_motion(run))


@_kind("Train an encoder: images to W+ codes of one generator.", EncoderRun)
def encoder(*, run: Annotated[EncoderRun, SETTINGS], config: ConfigFile = None) -> None:
    from ..encoder.train import train_encoder

    _until_stopped("encoder", run.out, lambda: train_encoder(run))


@_kind(
    "Train a baseline: StyleCLIP's latent mapper, for one prompt.",
    MapperRun,
    mapper_config.PRESETS,
    "quick",
)
def mapper(*, run: Annotated[MapperRun, SETTINGS], config: ConfigFile = None) -> None:
    from ..baselines.styleclip_mapper.train import train_mapper

    _until_stopped("mapper", run.out, lambda: train_mapper(run))


@_kind(
    "Train a baseline: MoCoGAN-HD's motion generator, from videos.",
    MocoganRun,
    mocogan_config.PRESETS,
    "quick",
)
def mocogan(*, run: Annotated[MocoganRun, SETTINGS], config: ConfigFile = None) -> None:
    from ..baselines.mocogan_hd.train import train_mocogan

    _until_stopped("motion generator", run.out, lambda: train_mocogan(run))


def _until_stopped(what: str, out: str, work: Callable[[], Path]) -> None:
    """Train, and say where that has left the model and its report."""
    from ..training.loop import Stopped

    try:
        path = work()
    except Stopped as stopped:
        print(f"Stopped after step {stopped.step}, all of it saved. Run the same command again to go on.")
        raise KeyboardInterrupt from stopped
    width = len(what) + 1
    for name, place in ((what, path), ("report", Path(out) / "report.html")):
        print(f"{f'{name}:':<{width}} {place.resolve()}")
