"""A copy of parts of the project, for recipes that are followed on it, and programs that use it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from include.settings import PROJECT


def copied_tree(folder: Path, *packages: str) -> Path:
    """Copy some packages of the project into a folder and return it."""
    for package in packages:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / package, folder / package, ignore=ignored)
    return folder


def with_line(path: Path, before: str, line: str) -> None:
    """Put a line in front of another one, which stands in the file once."""
    text = path.read_text()
    assert text.count(before) == 1, before
    path.write_text(text.replace(before, line + before))


def printed(tree: Path, script: str, **variables: str) -> str:
    """Run a script by the code of a copy and return what it prints; AssertionError if it fails.

    In a process of its own, because modules of this one are the project's.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
