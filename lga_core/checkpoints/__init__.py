"""Model files: our own format, and the tables that translate foreign ones. None of it runs foreign code."""

from .models import (
    check_fingerprint,
    fingerprint,
    load_encoder,
    load_generator,
    load_motion,
    save_encoder,
    save_generator,
    save_motion,
)
from .native import Checkpoint, load_checkpoint, read_metadata, save_checkpoint

__all__ = [
    "Checkpoint",
    "check_fingerprint",
    "fingerprint",
    "load_checkpoint",
    "load_encoder",
    "load_generator",
    "load_motion",
    "read_metadata",
    "save_checkpoint",
    "save_encoder",
    "save_generator",
    "save_motion",
]
