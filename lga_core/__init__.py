"""Words make a still face move: the method, as tensors and paths in, tensors out.

All that may be imported from outside is named here; each module loads when one of its names is first used.
"""

from importlib import import_module

_HOMES = {
    "errors": ("CheckpointError", "InputError", "LgaError", "MismatchError", "OutputError"),
    "stylegan2": ("Generator", "GeneratorConfig", "truncate"),
    "motion": ("MotionConfig", "MotionModel", "rates"),
    "inversion": ("Encoder", "EncoderConfig"),
    "clip": ("ClipModel", "load_clip", "save_clip"),
    "checkpoints": (
        "check_fingerprint",
        "fingerprint",
        "load_encoder",
        "load_generator",
        "load_motion",
        "save_encoder",
        "save_generator",
        "save_motion",
    ),
    "images": ("fit_square", "load_image", "to_nchw", "to_nhwc", "to_uint8"),
    "animate": ("frames",),
    "video": ("check_writable", "contact_sheet", "evenly", "write_clip", "write_contact_sheet"),
    "domain": ("Domain", "load_domain"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)


def __getattr__(name: str):
    if name not in _HOME_OF:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
