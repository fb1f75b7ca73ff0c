"""How far a clip moves, whether it stays the same person, what it shows: ACD, ArcFace, LPIPS, CLIP."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
