"""Images and videos as tensors and files: loading, resizing, colour, optical flow, encoding."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
