"""Faces in pictures: align, crop, carry details along, blend back, read expressions."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
