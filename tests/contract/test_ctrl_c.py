"""Ctrl-C on `./ratchet`: one line and exit code 130, from the first moment on."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from include.settings import PROJECT
from tests.contract.bank import SPEC

INTERRUPTED = (130, "", "Interrupted.\n")


def start(home: Path, url: str, *command: str) -> "subprocess.Popen[str]":
    """Start `./ratchet promotions bank`, or another program, with MLflow at an address."""
    (home / "specs").mkdir(exist_ok=True)
    (home / "specs" / "bank.toml").write_text(SPEC)
    variables = {"RATCHET_HOME": str(home), "RATCHET_SPECS": str(home / "specs")}
    return subprocess.Popen(
        command or [PROJECT / "ratchet", "promotions", "bank"],
        env=os.environ | variables | {"RATCHET_MLFLOW_URL": url, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupted(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Send what Ctrl-C sends; return how the process ended and what it said."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def hears(process: "subprocess.Popen[str]") -> bool:
    """Say whether it catches the signal or holds it back by now."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    masks = [line.split()[1] for line in status.splitlines() if line.startswith("Sig")]
    bit = 1 << (signal.SIGINT - 1)
    return any(int(mask, 16) & bit for mask in masks[2:] if "/" not in mask)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("seconds", [0.03, 0.1, 0.4])
def test_while_it_starts(tmp_path: Path, seconds: float) -> None:
    """In the middle of imports too: no traceback of whichever library was on its way."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # however quickly it has started
        process = start(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}")
        while not hears(process):
            time.sleep(0.001)
        time.sleep(seconds)
        assert interrupted(process) == INTERRUPTED


def test_while_it_waits_for_an_answer(tmp_path: Path) -> None:
    """A server that took the question is not waited for."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = start(tmp_path, f"http://127.0.0.1:{server.getsockname()[1]}")
        connection, _ = server.accept()
        with connection:
            assert interrupted(process) == INTERRUPTED


def test_in_a_call_that_lets_no_signal_through(tmp_path: Path) -> None:
    """A library in C may work on for minutes; the command ends all the same."""
    deaf = tmp_path / "deaf.py"
    deaf.write_text(
        "import signal, sys, time\n"
        "import include.cli.main as command, include.cli.start as start\n"
        "def work():\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n"
        "    print('works', file=sys.stderr, flush=True)\n"
        "    time.sleep(90)\n"
        "command.main = work\n"
        "start.main()\n"
    )
    process = start(tmp_path, "http://127.0.0.1:9", sys.executable, str(deaf))
    assert process.stderr is not None
    assert process.stderr.readline() == "works\n"
    began = time.monotonic()
    assert interrupted(process) == INTERRUPTED
    assert time.monotonic() - began < 30


def test_who_reads_only_the_first_lines_gets_them(tmp_path: Path) -> None:
    """`./ratchet --help | head -1` is no error."""
    process = start(tmp_path, "http://127.0.0.1:9", str(PROJECT / "ratchet"), "--help")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as errors:
        assert "BrokenPipe" not in errors.read()
    process.wait()
