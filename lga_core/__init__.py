"""Words make a still face move: the method, as tensors and paths in, tensors out.

`__init__.pyi` beside this file lists what may be imported from here; each room (`lga_core.motion`, `lga_core.faces`)
has a list of its own. A name's module is imported when the name is first used, so that `import lga_core` is quick.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
