"""StyleGAN2 in plain PyTorch: nothing is compiled, and it runs wherever PyTorch runs."""

from .frozen import FrozenSynthesis
from .generator import Generator, GeneratorConfig, truncate

__all__ = ["FrozenSynthesis", "Generator", "GeneratorConfig", "truncate"]
