"""`python -m demo` as a user runs it: to its end, and interrupted in the middle."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from include.settings import PROJECT
from stack.processes import marked_processes


def test_the_demo_ends_well_and_leaves_nothing_running(tmp_path: Path) -> None:
    """Three slices reach the endpoint, the repeated one is a no-op, everything is stopped."""
    home = tmp_path / "demo"
    demo = _start(home)
    told, _ = demo.communicate(timeout=400)
    assert demo.returncode == 0, told
    assert "PROMOTE" in told
    assert "no row is new" in told
    assert "The endpoint answers" in told
    assert marked_processes(home) == []


def test_an_interrupted_demo_leaves_nothing_running(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a run ends with one sentence and without an orphan."""
    home = tmp_path / "demo"
    demo = _start(home)
    _await_line(demo, "data.split")
    demo.send_signal(signal.SIGINT)
    told, _ = demo.communicate(timeout=120)
    assert demo.returncode == 130, told
    assert "everything the demo had started is stopped" in told
    assert "Traceback" not in told
    assert marked_processes(home) == []


def _start(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "demo", "--rows", "2000", "--home", str(home)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _await_line(demo: subprocess.Popen[str], words: str) -> None:
    assert demo.stdout is not None
    deadline = time.monotonic() + 200
    for line in demo.stdout:
        if words in line:
            return
        assert time.monotonic() < deadline, f"{words} was not told in time"
    raise AssertionError(f"the demo ended before it told {words}")
