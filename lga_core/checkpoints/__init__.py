"""Model files: our own format, and the tables that translate foreign ones. None of it runs foreign code."""

from .containers import read_foreign
from .foreign import FOREIGN_SUFFIXES, as_native, convert, inspect, is_native, open_foreign
from .models import (
    check_fingerprint,
    fingerprint,
    load_encoder,
    load_generator,
    load_latent_mapper,
    load_mocogan,
    load_motion,
    save_encoder,
    save_generator,
    save_latent_mapper,
    save_mocogan,
    save_motion,
)
from .native import Checkpoint, load_checkpoint, read_metadata, save_checkpoint

__all__ = [
    "FOREIGN_SUFFIXES",
    "Checkpoint",
    "as_native",
    "check_fingerprint",
    "convert",
    "fingerprint",
    "inspect",
    "is_native",
    "load_checkpoint",
    "load_encoder",
    "load_generator",
    "load_latent_mapper",
    "load_mocogan",
    "load_motion",
    "open_foreign",
    "read_foreign",
    "read_metadata",
    "save_checkpoint",
    "save_encoder",
    "save_generator",
    "save_latent_mapper",
    "save_mocogan",
    "save_motion",
]
