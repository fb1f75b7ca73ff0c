from .frozen_synthesis import FrozenSynthesis as FrozenSynthesis
from .generator import truncate as truncate
from .pca import Principal as Principal
from .pca import principal_directions as principal_directions
from .pca import random_w as random_w
from .stylespace import StyleSpace as StyleSpace
from .stylespace import for_motion as for_motion
from .stylespace import moves_styles as moves_styles
