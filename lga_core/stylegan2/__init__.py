"""StyleGAN2 in plain PyTorch: the generator, its W and StyleSpace, and two faster ways to synthesise."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
