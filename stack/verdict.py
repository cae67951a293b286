"""What `make status` comes to: a code for scripts, and a sentence for each thing that is not right.

The table is the whole of it: a line each, the most serious first. The first one that finds
something gives the exit code; the sentences of all are shown.
"""

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import psutil

from include.context.running_stack import Phase, began, since_boot
from include.settings import Settings
from include.store.address import local_folder
from include.store.units import MIB
from stack.artifacts import altered_artifacts
from stack.broken_specs import broken_specs
from stack.paused_dags import held_up
from stack.processes import MarkedProcess
from stack.same_models import shared_models
from stack.state import ComponentState, Condition, Lifecycle, StackState, logs_of
from stack.strays import strays, unreadable
from stack.views import ComponentRow

_SERVING, _MLFLOW = "serving", "mlflow"
_SETTLED_SECONDS = 60.0
"""What has run so long after a restart does not restart any more."""


_LITTLE_BYTES = 100 * MIB
"""With less room on a disk a run fails before it ends; the smallest needs some of it."""


class ExitCode(IntEnum):
    """Exit codes of `python -m stack status`."""

    FINE = 0
    DOWN = 3
    SERVING_DOWN = 4
    ORPHANS = 5
    RESTARTING = 6
    NEEDS_A_PERSON = 7


@dataclass(frozen=True)
class StatusFindings:
    """What `status` has looked at."""

    settings: Settings
    state: StackState | None
    """None when there is no stack that runs."""
    rows: Sequence[ComponentRow] = ()
    marked: Sequence[MarkedProcess] = ()
    """Every process that carries the mark of this home."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not right."""

    code: ExitCode
    sentence: str


def findings(seen: StatusFindings) -> list[Finding]:
    """Return what is not right, the most serious first."""
    return [Finding(code, sentence) for code, find in _TABLE for sentence in find(seen)]


def code_of(findings: Sequence[Finding]) -> ExitCode:
    """Return the exit code."""
    return findings[0].code if findings else ExitCode.FINE


def reason_of(component: ComponentState) -> str:
    """Return how the last process of a component ended, as the end of a sentence."""
    code = component.exit_code or 0
    if code == -signal.SIGKILL:
        return "it was killed (without a person behind it: memory ran out, see dmesg)"
    if code < 0:
        return f"it was ended by {signal.Signals(-code).name}"
    return f"it ended with {code}"


def _orphans(seen: StatusFindings) -> Iterator[str]:
    """Tell of processes that are older than the supervisor, or have none."""
    first = seen.state.created if seen.state else float("inf")
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    left = [one for one in seen.marked if _started(one) < first and one.process.pid not in spared]
    if left and seen.state:
        pids = ", ".join(str(one.process.pid) for one in left)
        yield f"{_count(left)} left of an earlier stack (pid {pids}): `kill` what that names."
    elif left:
        yield f"Down, but {_count(left)} left of it: `make down` ends that."


def _count(left: Sequence[MarkedProcess]) -> str:
    return "1 process is" if len(left) == 1 else f"{len(left)} processes are"


def _down(seen: StatusFindings) -> Iterator[str]:
    if seen.state is None:
        if not seen.marked:
            yield "Down. `make up` starts it."
    elif seen.state.phase is not Phase.RUNNING:
        yield f"The stack is {seen.state.phase}."


def _serving_down(seen: StatusFindings) -> Iterator[str]:
    for one in _up(seen):
        if one.name == _SERVING and not _works(seen, one):
            url = seen.settings.serving_url
            yield f"The endpoint at {one.url or url} does not answer: see {_log(seen, one)}."


def _full(seen: StatusFindings) -> Iterator[str]:
    """Tell of each disk of this stack that has hardly any room, or none for another file."""
    stated = map(local_folder, (seen.settings.landing, seen.settings.lake_url))
    folders = [seen.settings.home, *(folder for folder in stated if folder is not None)]
    there = {one.stat().st_dev: one for one in reversed(folders) if one.exists()}
    for folder in reversed(there.values()) if seen.state else ():
        free, disk = shutil.disk_usage(folder).free, os.statvfs(folder)
        if free < _LITTLE_BYTES or (disk.f_files and not disk.f_favail):
            room = "room for no file more" if free >= _LITTLE_BYTES else f"{free // MIB} MiB left"
            yield (
                f"The disk with {folder} has {room}: runs fail, and no log is written, until some "
                "is freed. Nothing that is there is lost, and the endpoint answers on."
            )


def _restarting(seen: StatusFindings) -> Iterator[str]:
    for one in filter(_restarts, _up(seen)):
        times = "once" if one.restarts == 1 else f"{one.restarts} times"
        said = "".join(f"\n  {line}" for line in one.last_lines)
        yield (
            f"{one.name} was restarted {times}, last because {reason_of(one)}. "
            f"Its last lines then, the rest is in {_log(seen, one)}:{said or ' none'}"
        )


def _silent(seen: StatusFindings) -> Iterator[str]:
    """Whoever runs for a while and does not work; of the endpoint another line tells."""
    for one in _up(seen):
        settled = one.state is Lifecycle.RUNNING and not one.once and not _restarts(one)
        if settled and one.name != _SERVING and not _works(seen, one):
            where = f" at {one.url}" if one.url else ""
            yield f"{one.name} runs and gives no sign of health{where}: see {_log(seen, one)}."


def _altered(seen: StatusFindings) -> Iterator[str]:
    """Models that MLflow keeps otherwise than they were registered."""
    if any(one.name == _MLFLOW and _works(seen, one) for one in _up(seen)):
        yield from altered_artifacts(seen.settings)


def _broken(seen: StatusFindings) -> Iterator[str]:
    """Tell of specs that cannot be used, as far as Airflow answers."""
    for one in broken_specs(seen.settings.airflow_url) if _up(seen) else ():
        yield f"The spec of the Dag {one.dag} is broken: {one.reason}"


def _shared(seen: StatusFindings) -> Iterator[str]:
    """Tell of specs that name one model, as long as neither is refused for it."""
    if _up(seen):
        refused = {one.dag for one in broken_specs(seen.settings.airflow_url)}
        yield from shared_models(seen.settings, refused)


def _stray(seen: StatusFindings) -> Iterator[str]:
    """Tell of files that no run will ever take."""
    yield from strays(seen.settings) if _up(seen) else ()


def _unreadable(seen: StatusFindings) -> Iterator[str]:
    """Tell of landing places that nobody can take a file from."""
    yield from unreadable(seen.settings) if _up(seen) else ()


def _held_up(seen: StatusFindings) -> Iterator[str]:
    """Tell of what waits for a paused Dag, as far as Airflow answers."""
    yield from held_up(seen.settings) if _up(seen) else ()


def _restarts(component: ComponentState) -> bool:
    recent = component.restarts > 0 and since_boot() - component.started < _SETTLED_SECONDS
    return component.state is Lifecycle.RESTARTING or recent


def _log(seen: StatusFindings, component: ComponentState) -> Path:
    return logs_of(seen.settings.home) / f"{component.name}.log"


def _up(seen: StatusFindings) -> Sequence[ComponentState]:
    running = seen.state is not None and seen.state.phase is Phase.RUNNING
    return seen.state.components if seen.state and running else ()


def _works(seen: StatusFindings, component: ComponentState) -> bool:
    return any(
        row.component == component.name and row.state is Condition.HEALTHY for row in seen.rows
    )


def _started(mark: MarkedProcess) -> float:
    try:
        return began(mark.process)
    except psutil.Error:  # it has ended meanwhile
        return float("inf")


_TABLE: tuple[tuple[ExitCode, Callable[[StatusFindings], Iterator[str]]], ...] = (
    (ExitCode.DOWN, _down),
    (ExitCode.SERVING_DOWN, _serving_down),
    (ExitCode.ORPHANS, _orphans),
    (ExitCode.NEEDS_A_PERSON, _full),
    (ExitCode.RESTARTING, _restarting),
    (ExitCode.NEEDS_A_PERSON, _silent),
    (ExitCode.NEEDS_A_PERSON, _altered),
    (ExitCode.NEEDS_A_PERSON, _broken),
    (ExitCode.NEEDS_A_PERSON, _shared),
    (ExitCode.NEEDS_A_PERSON, _stray),
    (ExitCode.NEEDS_A_PERSON, _unreadable),
    (ExitCode.NEEDS_A_PERSON, _held_up),
)
