"""Tiny models for tests: everything a real one has, drawn in milliseconds."""

from typing import Any

from lga_core import GeneratorConfig


def tiny_generator_config(resolution: int = 16, width: int = 8, **changes: Any) -> GeneratorConfig:
    """z and W of `width` numbers, as many channels where the picture is small and half of them where it is largest."""
    sizes = {"z_dim": width, "w_dim": width, "channel_base": resolution * width // 2, "channel_max": width}
    return GeneratorConfig(resolution, **{**sizes, **changes})
