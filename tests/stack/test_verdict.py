"""The exit codes of `python -m stack status`, and why something restarts."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from include.settings import PROJECT
from stack.components import Health
from stack.processes import marks
from stack.state import read_state
from stack.verdict import ExitCode
from tests.stack.standins import (
    SLEEP,
    Held,
    command_environment,
    component,
    pids,
    restarts,
    until,
)

FALLING = """
import pathlib, sys, time
while not pathlib.Path({file!r}).exists():
    time.sleep(0.05)
print("the model file is empty")
sys.exit(3)
"""


def status(home: Path, *words: str) -> tuple[int, str]:
    """Run `python -m stack status` in a home; return its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "stack", "status", *words],
        env=command_environment(home),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_stack_that_was_never_started_is_down(home: Path) -> None:
    """It says how to start it."""
    assert status(home) == (ExitCode.DOWN, "Down. `make up` starts it.\n")


def test_what_a_killed_supervisor_left_are_orphans(held: Held, home: Path) -> None:
    """They are counted, and `make down` is named."""
    with held(component("one", SLEEP)) as stack:
        os.kill(stack.supervisor.pid, signal.SIGKILL)
        stack.supervisor.wait()
        code, said = status(home)
        assert len(pids(home)) == 1
    assert code == ExitCode.ORPHANS
    assert said == "Down, but 1 process is left of it: `make down` ends that.\n"


def test_a_process_of_an_earlier_stack_beside_one_that_runs(held: Held, home: Path) -> None:
    """It writes to the same places, and its number is told; to scripts as well."""
    command = [sys.executable, "-c", SLEEP]
    with subprocess.Popen(command, env=os.environ | marks(home, "mlflow")) as old:
        time.sleep(0.1)  # the system tells when a process began in hundredths of a second
        with held(component("one", SLEEP)):
            code, said = status(home, "--json")
        old.kill()
    shown = json.loads(said)
    assert (code, shown["healthy"]) == (ExitCode.ORPHANS, False)
    assert [one["code"] for one in shown["findings"]] == [ExitCode.ORPHANS]
    assert f"(pid {old.pid})" in shown["findings"][0]["sentence"]


def test_an_endpoint_that_does_not_answer(held: Held, home: Path) -> None:
    """Its process lives, and callers get nothing: a code of its own, with address and log."""
    server = http.server.HTTPServer(("127.0.0.1", 0), _Healthy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    with held(replace(component("serving", SLEEP), health=Health(url))):
        well, _ = status(home)
        server.shutdown()
        thread.join()
        server.server_close()
        code, said = status(home)
    assert (well, code) == (ExitCode.FINE, ExitCode.SERVING_DOWN)
    assert f"The endpoint at {url} does not answer: see {home}/logs/serving.log." in said


@pytest.mark.parametrize("how", ["ended", "killed"])
def test_why_something_restarts_is_told(held: Held, home: Path, how: str) -> None:
    """Its last exit code and the lines that it wrote before, also once the next process runs."""
    file = home / "die"
    with held(component("one", FALLING.format(file=str(file)))):
        if how == "ended":
            file.touch()
        else:
            state = read_state(home)
            assert state is not None
            os.kill(state.components[0].pid, signal.SIGKILL)
        assert until(lambda: restarts(home, "one") > 0)
        file.unlink(missing_ok=True)
        code, said = status(home)
    assert code == ExitCode.RESTARTING
    reason = "it ended with 3" if how == "ended" else "it was killed"
    assert f"one was restarted once, last because {reason}" in said
    assert ("\n  the model file is empty\n" in said) == (how == "ended")
    assert f"{home}/logs/one.log" in said


class _Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer as a healthy one does."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
