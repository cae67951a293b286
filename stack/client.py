"""Start and stop a stack from a program: the one door for `make up`, the demo and the tests.

Whatever ends a start (an error, Ctrl-C, even `kill -9` of this process) ends what it started: the
supervisor holds the other end of a pipe and stops everything when that closes.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from include.context.running_stack import Phase
from include.settings import PROJECT, Settings
from stack.components import Component, components, inherited_environment, note_migrated
from stack.errors import StackError
from stack.health import healthy_components
from stack.plan import Plan, write_plan
from stack.preflight import check, make_folders
from stack.processes import MarkedProcess, marks, sweep
from stack.rotation import last_lines
from stack.state import Condition, Lifecycle, StackState, logs_of, read_state, take_lock
from stack.supervisor import DETACH, READY

_START_SECONDS = 240.0
"""How long a start may go without a component more that works; a busy machine is waited for."""
_STOP_SECONDS = 40.0
_TAIL_LINES = 15
_LOOK_SECONDS = 0.3
_READY_WORDS = {Condition.HEALTHY, Condition.DONE}

Progress = Callable[[dict[str, Condition]], None]
"""Is called several times a second with the state of every component by name: waiting, starting,
healthy, done or failed."""


@dataclass
class SupervisedStack:
    """A stack whose supervisor stops it when this process lets go."""

    supervisor: subprocess.Popen[bytes]
    detached: bool = False

    def detach(self) -> None:
        """Let the stack run on without this process."""
        self.tell(DETACH)
        self.detached = True

    def tell(self, word: bytes) -> None:
        """Send a word of the supervisor's own protocol."""
        if self.supervisor.stdin:
            self.supervisor.stdin.write(word)
            self.supervisor.stdin.flush()


@contextlib.contextmanager
def running_stack(
    settings: Settings, progress: Progress | None = None
) -> Iterator[SupervisedStack]:
    """Start the whole stack, yield once it is healthy, and stop it on the way out.

    Raises AlreadyRunningError when this home has a stack, StackError when it cannot start; nothing
    is left running in either case.
    """
    make_folders(settings)
    lock = take_lock(settings.home)
    try:
        sweep(settings.home)
        check(settings)
        parts = components(settings)
        with supervised_stack(settings.home, parts, urls(settings), lock, progress) as stack:
            note_migrated(settings)
            yield stack
    finally:
        os.close(lock)


@contextlib.contextmanager
def supervised_stack(
    home: Path,
    parts: Sequence[Component],
    addresses: dict[str, str],
    lock: int,
    progress: Progress | None = None,
) -> Iterator[SupervisedStack]:
    """Start these components in a home whose lock is held; yield once they are healthy.

    On the way out everything is stopped, unless it was detached.
    """
    logs_of(home).mkdir(parents=True, exist_ok=True)
    stack = SupervisedStack(_start_supervisor(Plan(home, addresses, tuple(parts)), lock))
    try:
        _await_health(stack, home, progress or (lambda _: None))
        stack.tell(READY)
        yield stack
    finally:
        _let_go(stack, home)


def urls(settings: Settings) -> dict[str, str]:
    """Return the addresses that people open, by what is there."""
    return {
        "Airflow": settings.airflow_url,
        # Without it MLflow opens on its pages for language models.
        "MLflow": f"{settings.registry_url}/#/experiments?workflowType=machine_learning",
        "Endpoint": settings.serving_url,
        "Endpoint's API docs": f"{settings.serving_url}/docs",
    }


def stop(home: Path) -> list[MarkedProcess] | None:
    """Stop the stack of this home and sweep what is left of it.

    Returns None when there was nothing, else the processes that had to be killed because no
    supervisor held them any more.
    """
    state = read_state(home)
    held = state is not None and state.phase is not Phase.STOPPED
    if state and held:
        _end_supervisor(state)
    swept = sweep(home)
    return swept if held or swept else None


def components_of(state: StackState, working: set[str]) -> dict[str, Condition]:
    """Return the state of every component in a word, given the names of those that work."""
    return {
        one.name: _word(one.state, works=one.name in working, once=one.once)
        for one in state.components
    }


def _word(state: Lifecycle, *, works: bool, once: bool) -> Condition:
    if state is not Lifecycle.RUNNING:
        return Condition(state)
    if once:
        return Condition.PREPARING
    return Condition.HEALTHY if works else Condition.STARTING


def _start_supervisor(plan: Plan, lock: int) -> subprocess.Popen[bytes]:
    environment = inherited_environment(os.environ) | marks(plan.home, "supervisor")
    environment["PYTHONPATH"] = str(PROJECT)
    with (logs_of(plan.home) / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "stack.supervisor"],
            env=environment,
            cwd=plan.home,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock,),
        )
    if process.stdin:
        process.stdin.write(write_plan(plan))
        process.stdin.flush()
    return process


def _await_health(stack: SupervisedStack, home: Path, progress: Progress) -> None:
    began = progressed = time.monotonic()
    words: dict[str, Condition] = {}
    ready: set[str] = set()
    while time.monotonic() - progressed < _START_SECONDS:
        if stack.supervisor.poll() is not None:
            raise StackError(f"The supervisor ended: see {logs_of(home) / 'supervisor.log'}.")
        state = read_state(home)
        if state and state.supervisor == stack.supervisor.pid:
            words = components_of(state, healthy_components(state.components))
            progress(words)
            _require_none_failed(state, home)
            now_ready = {name for name, word in words.items() if word in _READY_WORDS}
            if now_ready == set(words):
                return
            if now_ready - ready:
                ready, progressed = ready | now_ready, time.monotonic()
        time.sleep(_LOOK_SECONDS)
    late = ", ".join(name for name, word in words.items() if word not in _READY_WORDS)
    raise StackError(
        f"Not healthy after {time.monotonic() - began:.0f} s: {late}. "
        f"Their logs are in {logs_of(home)}."
    )


def _require_none_failed(state: StackState, home: Path) -> None:
    for one in state.components:
        if one.state is Lifecycle.FAILED:
            log = logs_of(home) / f"{one.name}.log"
            tail = "\n".join(f"  {line}" for line in last_lines(log, _TAIL_LINES))
            raise StackError(
                f"{one.name} ended with {one.exit_code} while it was starting. Its last lines:\n"
                f"{tail}\nThe whole log is {log}; put right what it names and start again."
            )


def _let_go(stack: SupervisedStack, home: Path) -> None:
    """Close the lifeline and, where that stops the stack, wait until it has."""
    if stack.supervisor.stdin:
        with contextlib.suppress(BrokenPipeError):
            stack.supervisor.stdin.close()
    if not stack.detached:
        with contextlib.suppress(subprocess.TimeoutExpired):
            stack.supervisor.wait(_STOP_SECONDS)
        sweep(home)


def _end_supervisor(state: StackState) -> None:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(state.supervisor)
        if state.phase is not Phase.STOPPING:  # a second signal would cut its patience short
            process.terminate()
        process.wait(_STOP_SECONDS)
