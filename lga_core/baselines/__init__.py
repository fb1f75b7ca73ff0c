"""The methods that ours is compared with: MoCoGAN-HD, random walks in W, StyleCLIP."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
