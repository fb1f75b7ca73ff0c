"""StyleCLIP (Patashnik et al. 2021): three methods to edit a face by text; each result is a motion like ours."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
