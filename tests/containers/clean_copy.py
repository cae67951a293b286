"""The project as a clone has it."""

import shutil
import subprocess
from pathlib import Path

from include.settings import PROJECT


def copy_of_the_project(folder: Path) -> Path:
    """Copy what is committed and what is not yet, and nothing that git ignores, into a folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    return folder
