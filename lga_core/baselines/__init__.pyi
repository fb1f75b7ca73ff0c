from .mocogan_hd import MocoganConfig as MocoganConfig
from .mocogan_hd import MocoganMotion as MocoganMotion
from .mocogan_hd import reconstruction_loss as reconstruction_loss
from .random_walk import RANDOM_MOTION as RANDOM_MOTION
from .random_walk import random_motion as random_motion
