"""Does what we ship work where our source is not? Builds the wheel and animates a demo face from it, once.

The fresh environment holds nothing but the wheel. Torch and the other dependencies are lent to it from the environment
that runs this script: its package folders come last on the path, by a .pth file whose plain lines do not run the .pth
files in those folders, so the editable install there is out of reach. Both halves are asserted.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NUM_FRAMES = 4


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="lga-wheel-") as folder:
        work = Path(folder).resolve()
        wheel = build_wheel(work / "dist")
        python = fresh_environment(work / "env", wheel)
        elsewhere = work / "elsewhere"
        elsewhere.mkdir()
        assert_imported_from(work / "env", python, elsewhere)
        face = elsewhere / "face.png"
        face.write_bytes(sorted((ROOT / "faces").glob("*.png"))[0].read_bytes())
        lga = python.with_name("lga")
        run(lga, "animate", face.name, "smiling", "--out", "clip.mp4", "--frames", NUM_FRAMES, cwd=elsewhere)
        assert_plays(elsewhere / "clip.mp4")
        print(f"{wheel.name} ({wheel.stat().st_size / 2**20:.1f} MB) animates a face on its own.")


def run(*command: object, cwd: Path = ROOT) -> None:
    words = [str(word) for word in command]
    print("$", *words, flush=True)
    subprocess.run(words, cwd=cwd, check=True)


def build_wheel(out: Path) -> Path:
    """The wheel as a user would get it: from the source archive, so that a file the archive lacks is missed here."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out)
    (wheel,) = out.glob("*.whl")
    return wheel


def fresh_environment(folder: Path, wheel: Path) -> Path:
    """A new environment with the wheel in it; its python."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel)
    lent = [path for path in sys.path if path.endswith(("site-packages", "dist-packages")) and Path(path).is_dir()]
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = subprocess.run([python, "-c", where], check=True, capture_output=True, text=True).stdout.strip()
    (Path(own) / "lent.pth").write_text("\n".join(lent) + "\n")
    return python


def assert_imported_from(environment: Path, python: Path, cwd: Path) -> None:
    script = (
        "import lga_core, lga_trainer, sys; from pathlib import Path;"
        "found = [Path(module.__file__).resolve() for module in (lga_core, lga_trainer)];"
        f"strangers = [file for file in found if not file.is_relative_to({str(environment)!r})]"
        f" + [path for path in sys.path if path and Path(path).resolve() == Path({str(ROOT)!r})];"
        "sys.exit(f'not from the wheel: {strangers}' if strangers else 0)"
    )
    run(python, "-c", script, cwd=cwd)


def assert_plays(clip: Path) -> None:
    import av

    with av.open(str(clip)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    if len(frames) != NUM_FRAMES:
        raise SystemExit(f"{clip.name} should have {NUM_FRAMES} frames; {len(frames)} decode.")
    if abs(frames[0].astype(int) - frames[-1].astype(int)).mean() < 0.1:
        raise SystemExit(f"{clip.name} does not move.")


if __name__ == "__main__":
    main()
