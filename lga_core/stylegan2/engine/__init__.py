"""Drawing fast: a generator's weights, prepared once. The definition is `Generator.synthesis`."""

from .engine import Engine, fastest_dtype, prepared

__all__ = ["Engine", "fastest_dtype", "prepared"]
