"""Face detection in pictures of any size: detectors, landmarks, which face, tracking."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
