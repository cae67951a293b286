"""The stack in containers: how long a cold start takes, what it holds idle, what a worker adds.

Start: from no volume and no container, on built images, until `up --wait` returns. Memory: what
each container's processes hold a minute after everything is healthy, file cache left out. Race: the
whole of selection in Airflow, from the first screening task's start to the last final's end, on the
same rows with one worker and with two, each bound to one core and one fit at a time, in turns.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import tomli_w
from rich.console import Console
from rich.table import Table

from benchmarks.selection import Sizes, spec
from demo.data import santander_rows
from demo.follow import Followed
from tests.containers.clean_copy import copy_of_the_project
from tests.containers.composed import Composed, composed
from tests.containers.engine import Docker

QUICK = bool(os.environ.get("QUICK"))
STARTS = 1 if QUICK else 3
ROUNDS = 0 if QUICK else 2
ROWS = int(os.environ.get("ROWS", "50000"))  # four in five of them are the train side
IDLE_SECONDS = 60
SPEC = "race"
MIB = 2**20


@dataclass(frozen=True)
class Figures:
    """What was measured."""

    up_seconds: list[float]
    idle_mib: dict[str, float]
    one_worker_seconds: list[float]
    two_workers_seconds: list[float]


def main() -> None:
    """Run the benchmark and print its tables and, last, one line of JSON."""
    console = Console(highlight=False)
    with _stack() as stack:
        console.print("the images are built")
        starts = []
        for _ in range(STARTS):
            stack("down", "--volumes")
            starts.append(stack.up())
            console.print(f"cold start: {starts[-1]:.0f} s")
        time.sleep(IDLE_SECONDS)
        idle = _memory(stack)
        one, two = _races(stack, console)
    figures = Figures(starts, idle, one, two)
    _show(figures, console)
    console.print(json.dumps(asdict(figures)), soft_wrap=True)


@contextmanager
def _stack() -> Iterator[Composed]:
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_of_the_project(Path(folder))
        bounds = {"RATCHET_FITS_PER_WORKER": "1", "RATCHET_WORKER_CPUS": "1"}
        with composed(Docker(), copy, **bounds) as stack:
            (Path(stack.variables["RATCHET_SPECS"]) / f"{SPEC}.toml").write_text(_spec())
            yield stack


def _spec() -> str:
    """Return the candidates of the benchmark of selection, as a spec file for Santander's rows."""
    told = spec(Sizes()).model_dump(mode="json", exclude_unset=True, exclude={"name"})
    data = {"target": "target", "id": "ID_code", "features": ["var_*"]}
    return tomli_w.dumps(told | {"model": SPEC, "title": "Race", "data": data})


def _memory(stack: Composed) -> dict[str, float]:
    """Return MiB by service, as `docker stats` counts them."""
    held: dict[str, float] = {}
    for line in stack("stats", "--no-stream", "--format", "json").splitlines():
        told = json.loads(line)
        service = told["Name"].removeprefix(f"{stack.project}-").rpartition("-")[0]
        held[service] = held.get(service, 0.0) + _mib(told["MemUsage"].split("/")[0].strip())
    return held


def _mib(text: str) -> float:
    units = {"GiB": 1024.0, "MiB": 1.0, "KiB": 1 / 1024, "kB": 1e3 / MIB, "B": 1 / MIB}
    unit = next(one for one in units if text.endswith(one))
    return float(text.removesuffix(unit)) * units[unit]


def _races(stack: Composed, console: Console) -> tuple[list[float], list[float]]:
    if not ROUNDS:
        return [], []
    stack.airflow().await_dag(SPEC, patience_seconds=120)
    stack.deliver(SPEC, "rows.csv", santander_rows(ROWS, seed=1))  # also warms every cache
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for workers, taken in seconds.items():
            _bind(stack, workers)
            run = stack.press(SPEC, no_new_data="retrain")
            taken.append(_race_seconds(run))
            console.print(f"{workers} worker(s): {taken[-1]:.1f} s")
    return seconds[1], seconds[2]


def _bind(stack: Composed, workers: int) -> None:
    """Run so many workers, each on a core of its own."""
    stack.up("--no-recreate", "--scale", f"airflow-worker={workers}")
    for core, container in enumerate(stack.containers("airflow-worker")):
        stack.docker("update", "--cpuset-cpus", str(core), container)


def _race_seconds(run: Followed) -> float:
    if run.state != "success":
        raise SystemExit(f"the run that was timed ended as {run.state}: {run}")
    of_race = [task for task in run.tasks if task.name.startswith("select.")]
    started = [task.started for task in of_race if task.started is not None]
    ended = [task.ended for task in of_race if task.ended is not None]
    return max(ended) - min(started)


def _show(figures: Figures, console: Console) -> None:
    table = Table("figure", "value")
    table.add_row("cold start on built images", f"{statistics.median(figures.up_seconds):.0f} s")
    table.add_row("memory, idle, all containers", f"{sum(figures.idle_mib.values()):.0f} MiB")
    for service, mib in sorted(figures.idle_mib.items(), key=lambda item: -item[1]):
        table.add_row(f"  {service}", f"{mib:.0f} MiB")
    if figures.two_workers_seconds:
        one = statistics.median(figures.one_worker_seconds)
        two = statistics.median(figures.two_workers_seconds)
        table.add_row("race with one worker", f"{one:.1f} s")
        table.add_row("race with two workers", f"{two:.1f} s ({two / one:.2f} of it)")
    console.print(table)


if __name__ == "__main__":
    main()
