import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from include.settings import PROJECT
from include.spec.model_spec import Spec
from tests.faults import history

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, spec: Spec) -> dict[str, Any]:
    """Return the state after a history in which nothing fails."""
    home = tmp_path_factory.mktemp("undisturbed")
    history.lay_out(home, spec)
    history.take_in(home, spec, None, again=False)
    state: dict[str, Any] = json.loads(json.dumps(history.state(home, spec)))
    return state


@pytest.fixture(scope="module", autouse=True)
def _may_mount() -> None:
    """Skip where the system lets nobody mount a file system of their own."""
    if subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system allows no mount namespace")


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_disk_that_takes_nothing_more_costs_nothing(
    undisturbed: dict[str, Any], tmp_path: Path, spec_file: Path, fault: str
) -> None:
    """Each run fails with the system's own reason; with the disk mended the end is the same."""
    home = tmp_path / "home"
    home.mkdir()
    command = [*NAMESPACE, sys.executable, "-m", "tests.faults.on_a_small_disk"]
    done = subprocess.run(
        [*command, home, spec_file, fault], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert any(told["errors"])
    reason = "No space left" if fault == "full" else "Read-only file system"
    assert all(reason in error for error in told["errors"] if error)
    assert told["state"] == undisturbed


def test_a_command_names_the_disk_that_is_full(tmp_path: Path, spec_file: Path) -> None:
    """`./ratchet drop` of more than there is room for: one sentence with the place, and no file."""
    home = tmp_path / "home"
    home.mkdir()
    file = tmp_path / "large.csv"
    file.write_bytes(bytes(3 << 20))
    script = (
        f"mount -t tmpfs -o size=1m none {home} && {sys.executable} -m include drop "
        f"{spec_file.stem} {file}; echo $?; ls {home}/landing/{spec_file.stem}"
    )
    variables = {"RATCHET_HOME": str(home), "RATCHET_SPECS": str(spec_file.parent)}
    done = subprocess.run(
        [*NAMESPACE, "sh", "-c", script],
        env=os.environ | variables,
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "1\n"
    assert done.stderr.startswith(f"no space is left on the disk with {home}")
    assert done.stderr.count("\n") == 1
