"""Words make a still face move: the method, as tensors and paths in, tensors out.

All that may be imported from outside is named here.
"""

from .animate import frames
from .checkpoints import (
    check_fingerprint,
    fingerprint,
    load_encoder,
    load_generator,
    load_motion,
    save_encoder,
    save_generator,
    save_motion,
)
from .clip import ClipModel, load_clip, save_clip
from .domain import Domain, load_domain
from .errors import CheckpointError, InputError, LgaError, MismatchError, OutputError
from .images import fit_square, load_image, to_nchw, to_nhwc, to_uint8
from .inversion import Encoder, EncoderConfig, refine
from .motion import MotionConfig, MotionModel, rates
from .stylegan2 import Generator, GeneratorConfig, truncate
from .video import check_writable, contact_sheet, evenly, write_clip, write_contact_sheet

__all__ = [
    "CheckpointError",
    "ClipModel",
    "Domain",
    "Encoder",
    "EncoderConfig",
    "Generator",
    "GeneratorConfig",
    "InputError",
    "LgaError",
    "MismatchError",
    "MotionConfig",
    "MotionModel",
    "OutputError",
    "check_fingerprint",
    "check_writable",
    "contact_sheet",
    "evenly",
    "fingerprint",
    "fit_square",
    "frames",
    "load_clip",
    "load_domain",
    "load_encoder",
    "load_generator",
    "load_image",
    "load_motion",
    "rates",
    "refine",
    "save_clip",
    "save_encoder",
    "save_generator",
    "save_motion",
    "to_nchw",
    "to_nhwc",
    "to_uint8",
    "truncate",
    "write_clip",
    "write_contact_sheet",
]
