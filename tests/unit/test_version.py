"""The version is that of `serving/__init__.py`, whoever says it."""

import re
import subprocess
import tomllib

from include.settings import PROJECT
from serving import VERSION


def test_the_command_line_says_it() -> None:
    """Without a spec, a stack or a registry."""
    said = subprocess.run(
        [PROJECT / "ratchet", "--version"], capture_output=True, text=True, check=True, timeout=120
    )
    assert said.stdout == f"Ratchet {VERSION}\n"


def test_no_other_file_has_a_version_of_its_own() -> None:
    """The project's file leaves it open; the label of the image, which cannot ask, is the same."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert "version" not in project
    assert f"\nARG VERSION={VERSION}\n" in (PROJECT / "serving" / "Dockerfile").read_text()


def test_the_changelog_begins_with_it() -> None:
    """What is being made stands above what was released, without the mark of its development."""
    first = re.search(r"^## \[([^]]+)\]", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first
    assert first.group(1) == re.sub(r"\.dev\d+$", "", VERSION)
