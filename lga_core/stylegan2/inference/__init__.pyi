from .engine import Engine as Engine
from .engine import fastest_dtype as fastest_dtype
from .engine import prepared as prepared
