"""The recurrent motion model and what is done with motions: prompts, editing, identity lock, plots."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
