from .fingerprints import check_fingerprint as check_fingerprint
from .fingerprints import fingerprint as fingerprint
from .foreign import read_foreign as read_foreign
from .header import read_metadata as read_metadata
from .native import Checkpoint as Checkpoint
from .native import load_checkpoint as load_checkpoint
from .native import save_checkpoint as save_checkpoint
