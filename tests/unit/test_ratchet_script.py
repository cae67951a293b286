"""The script `ratchet` before a Python of the project is there, and from elsewhere."""

import shutil
import subprocess
from pathlib import Path

import pytest

from include.settings import PROJECT

SCRIPT = PROJECT / "ratchet"


@pytest.mark.parametrize("half_made", [False, True])
def test_before_the_set_up_it_says_make_setup(tmp_path: Path, *, half_made: bool) -> None:
    """No environment, or one whose set-up was interrupted: one sentence, no traceback."""
    shutil.copy(SCRIPT, tmp_path)
    if half_made:
        (tmp_path / ".venv/main/bin").mkdir(parents=True)
        (tmp_path / ".venv/main/bin/python").symlink_to("/bin/false")
    done = subprocess.run(
        [tmp_path / "ratchet", "--help"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("run: make setup\n")
    assert done.stderr.count("\n") == 1


def test_a_link_to_it_works_from_anywhere(tmp_path: Path) -> None:
    """As one on a search path does."""
    (tmp_path / "ratchet").symlink_to(SCRIPT)
    (tmp_path / "again").symlink_to("ratchet")
    done = subprocess.run(
        ["./again", "--help"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "promotions" in done.stdout
