"""Where things lie in the repository, for tests in any folder."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
FACES = ROOT / "faces"
GOLDEN = TESTS / "golden"
KEYS = GOLDEN / "keys"
