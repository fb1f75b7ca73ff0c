"""StyleGAN2 in plain PyTorch: nothing is compiled, and it runs wherever PyTorch runs."""

from .engine import Engine, fastest_dtype
from .frozen import FrozenSynthesis
from .generator import Generator, GeneratorConfig, truncate

__all__ = ["Engine", "FrozenSynthesis", "Generator", "GeneratorConfig", "fastest_dtype", "truncate"]
