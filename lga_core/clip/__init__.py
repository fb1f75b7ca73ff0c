"""CLIP as text and image encoder, its own small files, and open_clip weights."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
