"""`python -m stack` as a person types it."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from include.settings import PROJECT
from stack.state import read_state
from tests.stack.standins import (
    SLEEP,
    Held,
    command_environment,
    component,
    gone,
    pids,
    until,
)


def _start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "stack", *arguments],
        env=environment,
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _run(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    process = _start(environment, *arguments)
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def test_ctrl_c_in_the_middle_of_up_leaves_nothing(home: Path) -> None:
    """The real components are on their way up when Ctrl-C comes: exit 130, one sentence."""
    process = _start(command_environment(home), "up")
    assert until(lambda: len(pids(home)) >= 4, seconds=30)
    seen = pids(home)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip().startswith("Interrupted")
    assert "Traceback" not in errors
    assert gone(seen)
    assert pids(home) == set()


def test_a_taken_port_is_a_sentence_and_exit_1(home: Path) -> None:
    """`up` names the port and the variable, and starts nothing."""
    environment = command_environment(home)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(environment["RATCHET_AIRFLOW_PORT"])))
        taken.listen()
        code, _, errors = _run(environment, "up")
    assert code == 1
    assert "RATCHET_AIRFLOW_PORT" in errors
    assert "Traceback" not in errors
    assert read_state(home) is None


def test_a_port_that_is_no_number_is_a_sentence(home: Path) -> None:
    """A mistyped variable is named."""
    code, _, errors = _run(command_environment(home) | {"RATCHET_MLFLOW_PORT": "5oo0"}, "up")
    assert code == 1
    assert errors == "RATCHET_MLFLOW_PORT is '5oo0': it must be a whole number\n"


def test_down_and_status_of_a_home_without_a_stack(home: Path) -> None:
    """Down has nothing to do and says so; status exits 3, for people and for scripts."""
    environment = command_environment(home)
    code, output, _ = _run(environment, "down")
    assert code == 0
    assert output.startswith("Nothing runs")
    code, output, _ = _run(environment, "status", "--json")
    assert code == 3
    assert json.loads(output)["healthy"] is False


def test_status_of_a_running_stack(held: Held, home: Path) -> None:
    """The table for scripts has state, pid, restarts and memory of every component."""
    with held(component("one", SLEEP)):
        code, output, _ = _run(command_environment(home), "status", "--json")
        shown = json.loads(output)
        state = read_state(home)
    assert code == 0
    assert state is not None
    row = shown["components"][0]
    assert (row["component"], row["state"], row["restarts"]) == ("one", "healthy", 0)
    assert row["pid"] == state.components[0].pid
    assert shown["memory_bytes"] >= row["memory_bytes"] > 1_000_000


@pytest.mark.parametrize("command", [("status",), ("status", "--json"), ("logs",)])
def test_whoever_reads_the_first_line_only_ends_nothing_badly(
    held: Held, home: Path, command: tuple[str, ...]
) -> None:
    """As in `make status | head -1`: the exit code is that of the command, and logs end."""
    with held(component("one", SLEEP)):
        folder = home / "logs"
        folder.mkdir(exist_ok=True)
        (folder / "one.log").write_text("a line\n" * 10_000)
        process = _start(command_environment(home), *command)
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        process.stderr.close()
        assert (process.wait(30), errors) == (0, "")


def test_up_finds_a_stack_that_runs_already(held: Held, home: Path) -> None:
    """`up` on a running home says so and exits 0 without touching it."""
    with held(component("one", SLEEP)):
        before = pids(home)
        code, output, _ = _run(command_environment(home), "up")
        assert code == 0
        assert output.startswith("Already running")
        assert pids(home) == before
