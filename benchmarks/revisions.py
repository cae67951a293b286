"""The tree of another revision of this project, for whoever runs its code beside this one's."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

PROJECT = Path(__file__).parent.parent


def checked_out(revision: str, folder: Path) -> Path:
    """Unpack a revision of this project into a folder, which is made, and return that."""
    git = shutil.which("git") or "git"
    packed = subprocess.run(  # noqa: S603 - a revision of this very repository
        [git, "-C", str(PROJECT), "archive", "--format=tar", revision],
        check=True,
        capture_output=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder
