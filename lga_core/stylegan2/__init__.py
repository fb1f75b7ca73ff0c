"""StyleGAN2 in plain PyTorch: nothing is compiled, and it runs wherever PyTorch runs."""

from .generator import Generator, GeneratorConfig, truncate

__all__ = ["Generator", "GeneratorConfig", "truncate"]
