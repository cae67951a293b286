"""What tests start in a container engine is gone after them, however they ended."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from include.settings import PROJECT
from tests.containers.abandoned import own_name, remove_abandoned

_USES_A_NAME = """
import sys, time
from pathlib import Path
from tests.containers.abandoned import own_name
try:
    with own_name(Path(sys.argv[1])) as name:
        print(name, flush=True)
        time.sleep(600)
except KeyboardInterrupt:
    print("taken down", flush=True)
"""


class EngineStandIn:
    """Lists one thing of each kind under the names that it is given, and notes what is removed."""

    def __init__(self, *names: str) -> None:
        """Have a container, a volume and a network of each stack."""
        self.names = names
        self.removed: list[tuple[str, ...]] = []

    def __call__(self, *command: str) -> str:
        """List what belongs to a stack, or note a removal."""
        if "--filter" not in command:
            self.removed.append(command)
            return ""
        return next(
            (f"{command[0]}-of-{name}" for name in self.names if command[-1].endswith(f"={name}")),
            "",
        )


@contextmanager
def another_run(locks: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Give a process that has started something, and the name of that."""
    process = subprocess.Popen(
        [sys.executable, "-c", _USES_A_NAME, str(locks)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """Containers first, then volumes and networks; once, and not while the run lives."""
    with another_run(tmp_path) as (process, name):
        engine = EngineStandIn(name)
        assert remove_abandoned(engine, tmp_path) == []
        process.kill()
        process.wait()
        assert remove_abandoned(engine, tmp_path) == [name]
    assert engine.removed == [
        ("rm", "--force", "--volumes", f"ps-of-{name}"),
        ("volume", "rm", "--force", f"volume-of-{name}"),
        ("network", "rm", f"network-of-{name}"),
    ]
    assert remove_abandoned(engine, tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_ended_takes_down_what_it_started(
    tmp_path: Path, number: signal.Signals
) -> None:
    """As on Ctrl-C: `timeout` and a closed terminal send these."""
    with another_run(tmp_path) as (process, _):
        process.send_signal(number)
        told, _ = process.communicate(timeout=30)
    assert told == "taken down\n"


def test_a_name_that_was_given_back_is_not_looked_for(tmp_path: Path) -> None:
    """A run that took its things down leaves nothing to remove."""
    with own_name(tmp_path) as name:
        assert list(tmp_path.iterdir()) == [tmp_path / f"{name}.lock"]
    assert list(tmp_path.iterdir()) == []
