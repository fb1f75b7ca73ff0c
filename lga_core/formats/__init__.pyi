from .fingerprints import fingerprint as fingerprint
from .header import read_metadata as read_metadata
from .native import load_checkpoint as load_checkpoint
from .native import save_checkpoint as save_checkpoint
