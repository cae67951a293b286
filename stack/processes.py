"""Start process groups and find them again, whatever became of them.

Every process of a stack carries a mark in its environment, derived from the stack's home. Children
inherit it, a new session or a new parent does not lose it, and no other stack has it: so an orphan
can be found after its supervisor was killed, and nothing else is ever touched.
"""

import contextlib
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "RATCHET_STACK"
ROLE = "RATCHET_STACK_COMPONENT"

_SWEEP_SECONDS = 10.0


@dataclass(frozen=True)
class MarkedProcess:
    """A live process of a stack and the component that it belongs to."""

    process: psutil.Process
    component: str


def mark_of(home: Path) -> str:
    """Return the mark of the stack that lives in this home."""
    return hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:16]


def marks(home: Path, component: str) -> dict[str, str]:
    """Return the variables that make a process findable as a part of this home's stack.

    SPT_NOENV keeps setproctitle, which Airflow's processes call, from writing over the mark.
    """
    return {MARK: mark_of(home), ROLE: component, "SPT_NOENV": "1"}


def start_group(
    command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path
) -> subprocess.Popen[bytes]:
    """Start a command as the leader of a session of its own, appending its output to a log.

    The log is opened for appending, so that it can be truncated under a running process.
    """
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - the commands are the stack's own component list
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def signal_group(leader: int, number: signal.Signals) -> None:
    """Send a signal to a process group, which may already be gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def marked_processes(home: Path, component: str | None = None) -> list[MarkedProcess]:
    """Return the live processes of this home's stack, or of one component of it."""
    mark = mark_of(home)
    found = []
    for process in psutil.process_iter():
        environment = _environment(process)
        if environment.get(MARK) == mark and component in {None, environment.get(ROLE)}:
            found.append(MarkedProcess(process, environment.get(ROLE, "")))
    return found


def sweep(home: Path, component: str | None = None) -> list[MarkedProcess]:
    """Kill what carries this home's mark, save the caller and its parents; return what was killed.

    Looks again until nothing is found: a process may fork between the look and the kill.
    """
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    swept: dict[int, MarkedProcess] = {}
    deadline = time.monotonic() + _SWEEP_SECONDS
    while time.monotonic() < deadline:
        found = [one for one in marked_processes(home, component) if one.process.pid not in spared]
        if not found:
            break
        for one in found:
            swept[one.process.pid] = one
            with contextlib.suppress(psutil.Error):
                one.process.kill()
        psutil.wait_procs([one.process for one in found], timeout=1)
    return list(swept.values())


def memory(process: psutil.Process) -> int:
    """Return a process's bytes: its share of shared pages where the system tells, else all."""
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", 0) or full.rss)
    except psutil.NoSuchProcess:
        return 0
    except psutil.AccessDenied:
        return int(process.memory_info().rss)


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return dict(process.environ())
    except (psutil.Error, OSError):  # ended meanwhile, or another user's
        return {}
