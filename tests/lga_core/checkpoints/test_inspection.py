"""What a file of ours is, at once: by its header, without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lga_core


def test_a_file_of_ours_is_told_without_torch():
    motion = Path(lga_core.__file__).parent / "demo" / "motion.safetensors"
    script = (
        "import sys; from lga_core import inspect\n"
        f"(model,) = inspect({str(motion)!r})['models']\n"
        "assert model['kind'] == 'animator' and model['code_dim'] == 512 and 'smiling' in str(model['prompts'])\n"
        "heavy = {'torch', 'numpy', 'PIL', 'safetensors'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
