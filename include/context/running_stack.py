"""The running stack of a home folder, as its supervisor recorded it: process and settings.

Commands read their settings from it, so that a person who started a stack on other ports, or with
its lake elsewhere, does not have to repeat that for every command.
"""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil

from include.settings import home_of

_TICK_SECONDS = 0.02
"""The system notes when a process began in hundredths of a second."""


class Phase(StrEnum):
    """What a stack as a whole is at."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


def state_file(home: Path) -> Path:
    """Return the file in which the supervisor of a home records the state of its stack."""
    return home / "stack" / "state.json"


def since_boot() -> float:
    """Return the seconds since this machine was started, which no setting of its clock changes."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def began(process: psutil.Process) -> float:
    """Return when a process was started, in seconds since boot.

    psutil adds the time of the boot, which moves with the clock: one that was set by an hour, or
    only drifts, would make another process of the same one.
    """
    return round(float(process.create_time() - psutil.boot_time()), 2)


def process_lives(pid: int, created: float) -> bool:
    """Return whether process `pid`, started `created` seconds after boot, still runs."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        same = abs(began(process) - created) < _TICK_SECONDS
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    return False


def stack_runs(home: Path) -> bool:
    """Return whether a stack runs in a home folder."""
    return bool(_living(home))


def where_it_shows(home: Path, component: str) -> str:
    """Return where a person looks when a component of a stack that runs does not answer."""
    log = home / "logs" / f"{component}.log"
    return f"The stack is up: `make status` shows it, {log} says more"


def with_stack(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment; variables it does not set are taken from the running stack."""
    stated = os.environ if environment is None else environment
    settings = _living(home_of(stated)).get("settings") or {}
    return {**settings, **{name: text for name, text in stated.items() if text}}


def _living(home: Path) -> Mapping[str, Any]:
    try:
        state: Mapping[str, Any] = json.loads(state_file(home).read_text())
        alive = state["phase"] != Phase.STOPPED and process_lives(
            state["supervisor"], state["created"]
        )
    except (OSError, ValueError, TypeError, KeyError):
        return {}  # never started, or written by another release
    return state if alive else {}
