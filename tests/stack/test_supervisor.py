"""What the supervisor does with components that die, and with a client that does."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from include.settings import PROJECT
from stack.client import stop
from stack.errors import AlreadyRunningError, StackError
from stack.processes import marked_processes, sweep
from stack.rotation import rotate
from stack.state import read_state, take_lock
from tests.stack.standins import SLEEP, Held, component, gone, pids, restarts, until

_PARENT = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {SLEEP!r}])
subprocess.Popen([sys.executable, "-c", {SLEEP!r}], start_new_session=True)
time.sleep(600)
"""

_CLIENT = f"""
import sys, time
from pathlib import Path
from stack.client import supervised_stack
from stack.state import take_lock
from tests.stack.standins import component
home = Path(sys.argv[1])
with supervised_stack(home, [component("one", {SLEEP!r})], {{}}, take_lock(home)) as stack:
    if sys.argv[2] == "detach":
        stack.detach()
    else:
        print("healthy", flush=True)
        time.sleep(600)
"""


_FINISHING = """
import pathlib, signal, time
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
pathlib.Path("listens").touch()
while not asked:
    time.sleep(0.05)
time.sleep(3.5)
pathlib.Path("asked").write_text(str(len(asked)))
"""


def _client(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _CLIENT, str(home), *arguments],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_killed_component_is_started_again(held: Held, home: Path) -> None:
    """A component killed with -9 runs again as another process, and the restart is counted."""
    with held(component("one", SLEEP), component("two", SLEEP)):
        before = pids(home, "one")
        other = pids(home, "two")
        os.kill(next(iter(before)), signal.SIGKILL)
        assert until(lambda: restarts(home, "one") == 1 and bool(pids(home, "one") - before))
        assert pids(home, "two") == other


def test_what_a_killed_component_leaves_is_killed_before_its_restart(
    held: Held, home: Path
) -> None:
    """Grandchildren die with their killed parent, in its group or in a session of their own."""
    with held(component("parent", _PARENT)):
        assert until(lambda: len(pids(home, "parent")) == 3)
        family = pids(home, "parent")
        state = read_state(home)
        assert state is not None
        os.kill(state.components[0].pid, signal.SIGKILL)
        assert until(lambda: gone(family))
        assert until(lambda: len(pids(home, "parent")) == 3)


def test_the_end_of_the_with_stops_everything(held: Held, home: Path) -> None:
    """Leaving the context, an exception included, leaves no process."""
    seen: set[int] = set()

    def fail() -> None:
        with held(component("parent", _PARENT)):
            until(lambda: len(pids(home, "parent")) == 3)
            seen.update(pids(home))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert len(seen) == 4
    assert gone(seen)


def test_a_component_that_ignores_sigterm_is_killed_after_its_grace(held: Held, home: Path) -> None:
    """A deaf component delays the stop by its grace and no more."""
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
    with held(component("deaf", deaf)):
        seen = pids(home)
    assert gone(seen)


def test_what_finishes_its_work_is_asked_once(held: Held, home: Path) -> None:
    """A component whose second SIGTERM means "at once" gets one, and its grace to end in."""
    one = replace(component("one", _FINISHING), grace_seconds=20.0, asked_once=True)
    with held(one):
        assert until((home / "listens").exists)
    assert (home / "asked").read_text() == "1"


def test_a_killed_client_takes_its_stack_with_it(home: Path) -> None:
    """The lifeline breaks when the client is killed with -9: the supervisor stops everything."""
    client = _client(home, "stay")
    assert client.stdout is not None
    with client.stdout as output:
        assert output.readline() == "healthy\n"
    seen = pids(home)
    assert len(seen) == 2
    client.kill()
    client.wait()
    assert until(lambda: gone(seen))


def test_a_detached_stack_outlives_its_client_until_it_is_stopped(home: Path) -> None:
    """After `detach` the client may go; `stop` ends the stack, and a second one finds nothing."""
    client = _client(home, "detach")
    client.communicate()
    seen = pids(home)
    assert len(seen) == 2
    assert stop(home) == []
    assert gone(seen)
    assert stop(home) is None


def test_a_killed_supervisor_leaves_orphans_that_a_sweep_finds(held: Held, home: Path) -> None:
    """The mark finds re-sessioned grandchildren after the supervisor itself was killed."""
    with held(component("parent", _PARENT)):
        assert until(lambda: len(pids(home, "parent")) == 3)
        state = read_state(home)
        assert state is not None
        psutil.Process(state.supervisor).kill()
        assert until(lambda: gone({state.supervisor}))
        down = read_state(home)
        assert down is not None
        assert down.phase == "stopped"
        assert len(sweep(home)) == 3
        assert marked_processes(home) == []


def test_two_homes_do_not_see_each_other(held: Held, home: Path, tmp_path: Path) -> None:
    """Sweeping another home leaves this one's processes alone."""
    with held(component("one", SLEEP)):
        assert sweep(tmp_path / "another") == []
        assert stop(tmp_path / "another") is None
        assert len(pids(home)) == 2


def test_a_component_that_dies_while_starting_ends_the_start(held: Held, home: Path) -> None:
    """The error carries the exit code and the component's last words; nothing is left."""
    dying = "import sys; print('no such table'); sys.exit(4)"
    with (
        pytest.raises(StackError, match=r"(?s)dying ended with 4.*no such table"),
        held(component("one", SLEEP), component("dying", dying, once=True)),
    ):
        pass
    assert pids(home) == set()


def test_a_preparation_ends_well_and_is_not_started_again(held: Held, home: Path) -> None:
    """A component that runs once counts as done."""
    with held(component("migrate", "pass", once=True), component("one", SLEEP)):
        state = read_state(home)
        assert state is not None
        assert [one.state for one in state.components] == ["done", "running"]


def test_a_home_has_one_stack(held: Held, home: Path) -> None:
    """A second start in the same home is refused in a sentence while the first one runs."""
    with (
        held(component("one", SLEEP)),
        pytest.raises(AlreadyRunningError, match="make status"),
    ):
        take_lock(home)


def test_a_full_log_is_cut_under_its_writer(tmp_path: Path) -> None:
    """Rotation keeps the older part beside it, and a writer goes on at the start of the file."""
    path = tmp_path / "one.log"
    with path.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 30)
        rotate(tmp_path, limit=100)
        writer.write(b"new\n")
    assert path.read_bytes() == b"new\n"
    assert (tmp_path / "one.log.1").read_bytes() == b"old\n" * 30
