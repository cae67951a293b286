"""What a command learns of the stack that runs in its home."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from include.context.running_stack import stack_runs, state_file, with_stack
from include.settings import read_settings
from stack.processes import marked_processes
from stack.state import StackState, read_state
from stack.verdict import ExitCode, StatusFindings, findings
from stack.views import rows_of
from tests.stack.standins import SLEEP, Held, component, until

STARTED_WITH = {"RATCHET_MLFLOW_PORT": "18081", "RATCHET_LAKE": "/elsewhere/lake", "OTHER": "x"}


def test_ports_and_places_are_those_of_the_running_stack(held: Held, home: Path) -> None:
    """A stack on other ports is found by its home; what the environment states counts more."""
    here = {"RATCHET_HOME": str(home)}
    one = replace(component("one", SLEEP), environment=STARTED_WITH)
    with held(one):
        settings = read_settings(with_stack(here))
        stated = read_settings(with_stack(here | {"RATCHET_MLFLOW_PORT": "5001"}))
        empty = read_settings(with_stack(here | {"RATCHET_MLFLOW_PORT": ""}))
        assert stack_runs(home)
        assert "OTHER" not in with_stack(here)
    assert settings.registry_url == "http://127.0.0.1:18081"
    assert settings.lake_url == "/elsewhere/lake"
    assert stated.registry_url == "http://127.0.0.1:5001"
    assert stated.lake_url == "/elsewhere/lake"
    assert empty.registry_url == "http://127.0.0.1:18081"


def test_a_stack_that_was_stopped_or_killed_says_nothing(held: Held, home: Path) -> None:
    """What ran yesterday is no reason to look elsewhere today."""
    here = {"RATCHET_HOME": str(home)}
    one = replace(component("one", SLEEP), environment=STARTED_WITH)
    with held(one):
        pass
    assert with_stack(here) == here
    with held(one):
        state = read_state(home)
        assert state is not None
        os.kill(state.supervisor, signal.SIGKILL)
        assert until(lambda: not stack_runs(home))
        assert with_stack(here) == here


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_was_set_leaves_the_stack_where_it_is(
    held: Held, home: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """The system counts its own start from the clock, and a process's start from that."""
    boot, created = psutil.boot_time, psutil.Process.create_time
    with held(component("one", SLEEP)), monkeypatch.context() as patch:
        patch.setattr(psutil, "boot_time", lambda: boot() + hours * 3600)
        patch.setattr(
            psutil.Process, "create_time", lambda process: created(process) + hours * 3600
        )
        state = read_state(home)
        assert stack_runs(home)
        assert state is not None
        assert not [one for one in findings(seen(home, state)) if one.code == ExitCode.ORPHANS]


def seen(home: Path, state: StackState) -> StatusFindings:
    """Return what `make status` has looked at."""
    settings = read_settings({"RATCHET_HOME": str(home)})
    return StatusFindings(settings, state, rows_of(home, state), marked_processes(home))


def test_a_state_that_cannot_be_read_says_nothing(home: Path) -> None:
    """An older release wrote no settings; half a file is none."""
    here = {"RATCHET_HOME": str(home)}
    state_file(home).parent.mkdir()
    for text in ("", "{", "[]", '{"phase": "running"}', '{"phase": 1, "supervisor": "x"}'):
        state_file(home).write_text(text)
        assert with_stack(here) == here


def test_only_its_owner_reads_what_a_stack_was_started_with(held: Held, home: Path) -> None:
    """An address may carry an account."""
    with held(component("one", SLEEP)):
        assert state_file(home).stat().st_mode & 0o077 == 0
