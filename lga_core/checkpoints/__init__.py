"""Model files: our classes to and from native files, and the conversion of foreign ones."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
