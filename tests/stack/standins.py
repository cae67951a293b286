"""Processes as small as can be in the place of the product's, and how to look at them."""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from include.settings import PROJECT
from stack.client import SupervisedStack
from stack.components import Component
from stack.processes import marked_processes
from stack.state import read_state

SLEEP = "import time; time.sleep(600)"
Held = Callable[..., contextlib.AbstractContextManager[SupervisedStack]]
"""Hold components in the test's home for the length of a `with`."""


def component(name: str, code: str, *, once: bool = False) -> Component:
    """Return a component that runs this Python code."""
    return Component(name, (sys.executable, "-c", code), once=once, grace_seconds=2.0)


def until(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Wait until something holds; say whether it came to."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return true()


def pids(home: Path, name: str | None = None) -> set[int]:
    """Return the pids of a home's processes, or of one component's."""
    return {one.process.pid for one in marked_processes(home, name)}


def restarts(home: Path, name: str) -> int:
    """Return how often a component was restarted, as the state file tells."""
    state = read_state(home)
    return sum(one.restarts for one in state.components if one.name == name) if state else 0


def gone(all_of: set[int]) -> bool:
    """Say whether none of these processes runs any more."""
    return not any(_runs(pid) for pid in all_of)


def _runs(pid: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def variables(home: Path) -> dict[str, str]:
    """Return RATCHET_* variables for a stack in this home on free ports."""
    with contextlib.ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket()) for _ in range(3)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [str(one.getsockname()[1]) for one in sockets]
    names = ("RATCHET_AIRFLOW_PORT", "RATCHET_MLFLOW_PORT", "RATCHET_SERVING_PORT")
    return {"RATCHET_HOME": str(home), **dict(zip(names, ports, strict=True))}


def command_environment(home: Path) -> dict[str, str]:
    """Return the whole environment for `python -m stack` in this home."""
    plain = {name: text for name, text in os.environ.items() if not name.startswith("RATCHET_")}
    plain.pop("PYTHONDONTWRITEBYTECODE", None)
    return plain | variables(home) | {"PYTHONPATH": str(PROJECT)}
