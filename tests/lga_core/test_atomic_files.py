"""A file is the old one or the new one, whole, whatever happens while it is written."""

from __future__ import annotations

import stat

import pytest

from lga_core import OutputError
from lga_core.atomic_files import written_aside


def test_what_is_written_aside_takes_the_place_at_the_end(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("old")
    with written_aside(path) as part:
        assert part.parent == tmp_path and part.suffix == ".png"
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()])
def test_what_was_there_stays_whatever_is_raised(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(error)), written_aside(path) as part:
        part.write_text("half")
        raise error
    assert path.read_text() == "old" and [*tmp_path.iterdir()] == [path]


def test_a_full_disk_and_a_missing_folder_are_named(tmp_path):
    path = tmp_path / "a.txt"
    full = r"a.txt cannot be written \(No space left on device\). Make room"
    with pytest.raises(OutputError, match=full), written_aside(path):
        raise OSError(28, "No space left on device")
    missing = tmp_path / "missing" / "a.txt"
    with pytest.raises(OutputError, match="there is no folder .*missing. Create it first"), written_aside(missing):
        pass


def test_others_may_read_it_as_they_may_any_new_file(tmp_path):
    (tmp_path / "usual").write_text("")
    with written_aside(tmp_path / "a") as part:
        part.touch(mode=0o600)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)
