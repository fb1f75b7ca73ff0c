"""StyleCLIP (Patashnik et al. 2021), three ways to edit a face by words; each gives a motion as ours does."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
