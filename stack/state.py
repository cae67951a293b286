"""What a supervisor says of its stack, and the lock that lets a home have only one.

The state file is replaced, never rewritten, so a reader sees one moment. The lock belongs to the
open file, which the client opens and the supervisor inherits: it is held from the first check of
`up` until the last process that knows the stack is gone, and a killed holder cannot leave it.
"""

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from include.context.running_stack import Phase, process_lives, state_file
from stack.errors import AlreadyRunningError

_LOCK_SECONDS = 1.0


class Lifecycle(StrEnum):
    """What the supervisor knows of a component."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """It ended during the start."""
    RESTARTING = "restarting"
    STOPPED = "stopped"


class Condition(StrEnum):
    """What a person is shown of a component: what is known of it, and whether it works."""

    WAITING = "waiting"
    PREPARING = "preparing"
    """It runs and ends by itself."""
    STARTING = "starting"
    """It runs and does not work."""
    HEALTHY = "healthy"
    DONE = "done"
    FAILED = "failed"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ComponentState:
    """One component at the moment of writing."""

    name: str
    state: Lifecycle
    pid: int
    """Leader of its process group; 0 when there is none."""
    started: float
    """When its present process was started, in seconds since boot, by a clock that nobody sets."""
    restarts: int
    exit_code: int | None
    """Of the last process that ended; negative is the signal that ended it."""
    once: bool
    url: str
    """Where its health is asked; empty when it has no such address."""
    part: str
    """Its name in Airflow's health report."""
    last_lines: tuple[str, ...] = ()
    """Of its log, when its last process ended by itself."""


@dataclass(frozen=True)
class StackState:
    """The whole stack at the moment of writing."""

    phase: Phase
    supervisor: int
    created: float
    """When the supervisor was started, in seconds since boot: a pid alone may be another's."""
    urls: dict[str, str]
    components: tuple[ComponentState, ...]
    settings: dict[str, str] = field(default_factory=dict)
    """The RATCHET_* variables that its components were started with."""


def folder_of(home: Path) -> Path:
    """Return the folder of the state and the lock."""
    return home / "stack"


def logs_of(home: Path) -> Path:
    """Return the folder with a log a component."""
    return home / "logs"


def write_state(home: Path, state: StackState) -> None:
    """Replace the state file."""
    path = state_file(home)
    draft = path.with_suffix(".draft")
    draft.touch(0o600)  # an address may carry an account
    draft.write_text(json.dumps(asdict(state), indent=1))
    draft.replace(path)


def read_state(home: Path) -> StackState | None:
    """Return the last state written; a supervisor that was killed makes its phase `stopped`."""
    try:
        fields = json.loads(state_file(home).read_text())
        components = tuple(_component(one) for one in fields.pop("components"))
        phase = Phase(fields.pop("phase"))
        state = StackState(phase, **fields, components=components)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None  # never started, or written by another release
    return state if supervisor_lives(state) else replace(state, phase=Phase.STOPPED)


def _component(fields: dict[str, Any]) -> ComponentState:
    return ComponentState(**fields | {"state": Lifecycle(fields["state"])})


def supervisor_lives(state: StackState) -> bool:
    """Say whether the process that wrote this state is still there."""
    return process_lives(state.supervisor, state.created)


def take_lock(home: Path) -> int:
    """Return an open file that holds the home's lock, or raise AlreadyRunningError."""
    folder_of(home).mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder_of(home) / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise AlreadyRunningError(
                    f"A stack is being started or stopped in {home} right now: "
                    "`make status` shows it, `make down` ends it."
                ) from None
            time.sleep(0.05)
        else:
            return descriptor
