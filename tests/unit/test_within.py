"""A command ends in time however it was started, and says with its exit code how it ended."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from include.settings import PROJECT

WITHIN = [sys.executable, str(PROJECT / "tests" / "within.py")]
LEAVES_ONE = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
    "print(child.pid, flush=True)\n"
    "try:\n    time.sleep(600)\n"
    "except KeyboardInterrupt:\n    print('stopped', flush=True)\n"
)


def test_the_exit_code_is_the_commands_own() -> None:
    """A command that ends in time is only watched."""
    done = subprocess.run([*WITHIN, "1", sys.executable, "-c", "exit(3)"], check=False)
    assert done.returncode == 3


@pytest.mark.long
def test_a_command_that_hangs_is_ended_with_all_that_it_started() -> None:
    """It may say how far it came, even where Ctrl-C was ignored when it was started."""
    ignoring = ["sh", "-c", 'trap "" INT HUP QUIT; exec "$@"', "sh", *WITHIN]
    done = subprocess.run(
        [*ignoring, "0.1", sys.executable, "-c", LEAVES_ONE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 124
    pid, *rest = done.stdout.split()
    assert rest == ["stopped"]
    assert "did not end within 0.1 minutes" in done.stderr
    _await_end(int(pid))


def test_a_termination_reaches_the_command() -> None:
    """Whoever ends the guard ends what it guards."""
    guard = subprocess.Popen(
        [*WITHIN, "5", sys.executable, "-c", LEAVES_ONE.replace("600", "20")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert guard.stdout is not None
    guard.stdout.readline()
    guard.send_signal(signal.SIGTERM)
    guard.stdout.close()
    assert guard.wait(30) != 0


def _await_end(pid: int) -> None:
    deadline = time.monotonic() + 20
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.05)
