from .frozen_synthesis import FrozenSynthesis as FrozenSynthesis
from .pca import PrincipalComponents as PrincipalComponents
from .pca import covariance_power as covariance_power
from .pca import principal_components as principal_components
from .pca import random_w as random_w
from .stylespace import StyleSpace as StyleSpace
from .stylespace import generator_for_motion as generator_for_motion
from .stylespace import is_stylespace_motion as is_stylespace_motion
