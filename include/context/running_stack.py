"""The stack that runs in a home, as its supervisor wrote it down: whether it lives, and on what.

A person who started a stack on other ports, or with its lake elsewhere, need not say so again to
every command.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from include.settings import home_of


def state_file(home: Path) -> Path:
    """Return where the supervisor of this home writes the state of its stack."""
    return home / "stack" / "state.json"


def lives(pid: int, created: float) -> bool:
    """Say whether the process that wrote a state is still there."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        same = process.create_time() == created
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    return False


def runs(home: Path) -> bool:
    """Say whether a stack runs in this home."""
    return bool(_living(home))


def with_stack(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment, with the settings of the running stack where it states none."""
    stated = os.environ if environment is None else environment
    settings = _living(home_of(stated)).get("settings") or {}
    return {**settings, **{name: text for name, text in stated.items() if text}}


def _living(home: Path) -> Mapping[str, Any]:
    try:
        state: Mapping[str, Any] = json.loads(state_file(home).read_text())
        alive = state["phase"] != "stopped" and lives(state["supervisor"], state["created"])
    except (OSError, ValueError, TypeError, KeyError):
        return {}  # never started, or written by another release
    return state if alive else {}
