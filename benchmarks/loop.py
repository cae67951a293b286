"""What the loop costs: from a dropped file to a served champion, and what Airflow adds to it.

Ratchet: a real stack; 2,000-row files of the size of HTRU2 land one after another. Peer: the same
steps on the same kind of files, called one after another from one warm Python process, against the
same MLflow and the same server: what a script without an orchestrator would take. The two
alternate. Then the idle stack's memory and CPU.
"""

import json
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from demo.airflow_api import Airflow
from demo.data import drop, pulsar_rows
from demo.follow import Followed, Started, follow
from demo.free_ports import free_ports
from demo.specs import PULSARS
from include.context.step_context import step_context
from include.records.training import Form
from include.settings import Settings, read_settings
from include.spec.spec_files import read_spec
from include.steps import step_named
from stack.client import running_stack
from stack.processes import marked_processes, memory
from stack.views import live_progress

SPEC, PEER = "pulsars", "peer"
ROWS = 2_000
QUICK = bool(os.environ.get("QUICK"))
ROUNDS = 1 if QUICK else 5
IDLE_SECONDS = 1.0 if QUICK else 60.0
MIB = 2**20


def main() -> None:
    """Run the benchmark and print its table and, last, one line of JSON."""
    _quieten()
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings(Path(folder))
        began = time.monotonic()
        with ExitStack() as stack:
            with live_progress(console) as progress:
                stack.enter_context(running_stack(settings, progress))
            figures: dict[str, Any] = {"start_seconds": time.monotonic() - began}
            Airflow(settings.airflow_url).await_dag(SPEC)
            figures |= _rounds(settings)
            figures |= _idle(settings)
    console.print(_table(figures))
    print(json.dumps({"benchmark": "loop", "quick": QUICK, **_rounded(figures)}))


def _quieten() -> None:
    """Keep what MLflow says of every model out of the way of the table."""
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")


def _settings(folder: Path) -> Settings:
    specs, home = folder / "specs", folder / "home"
    specs.mkdir()
    (specs / f"{SPEC}.toml").write_text(_spec_text())
    return read_settings({"RATCHET_HOME": str(home), "RATCHET_SPECS": str(specs)} | free_ports())


def _spec_text() -> str:
    head, *families = PULSARS.split("[[families]]")
    # The last one costs next to nothing, so a quick run is mostly the loop itself.
    return "[[families]]".join([head, *(families[-1:] if QUICK else families)])


def _rounds(settings: Settings) -> dict[str, Any]:
    """Alternate the two; the first round of each creates its model and counts only when quick."""
    deliver, by_hand = _through_airflow(settings), _by_hand(settings)
    if not QUICK:
        deliver(0)
        by_hand(0)
    runs, peers = [], []
    for number in range(1, ROUNDS + 1):
        runs.append(deliver(number))
        peers.append(by_hand(number))
    return {
        "rounds": ROUNDS,
        "drop_to_served_seconds": [run.wall_seconds for run in runs],
        "first_task_seconds": [run.first_task_seconds for run in runs],
        "inside_steps_seconds": [run.inside_seconds for run in runs],
        "airflow_adds_seconds": [run.airflow_seconds for run in runs],
        "peer_seconds": peers,
    }


def _through_airflow(settings: Settings) -> Callable[[int], Followed]:
    airflow = Airflow(settings.airflow_url)

    def deliver(seed: int) -> Followed:
        known = airflow.run_ids(SPEC)
        text = pulsar_rows(ROWS, seed).write_csv()
        since = drop(Path(settings.landing_url(SPEC)), f"batch_{seed}.csv", text)
        run = follow(Started(airflow, SPEC, airflow.await_new_run(SPEC, known), since))
        if run.state != "success" or not run.results.get("serve"):
            raise RuntimeError(f"the run of batch {seed} ended as {run.state}: {run}")
        return run

    return deliver


def _by_hand(settings: Settings) -> Callable[[int], float]:
    path = settings.home / f"{PEER}.toml"
    path.write_text(_spec_text().replace('"pulsars"', f'"{PEER}"'))
    context = step_context(read_spec(path), settings)
    landing = Path(settings.landing_url(PEER))
    landing.mkdir(parents=True)

    def deliver(seed: int) -> float:
        since = drop(landing, f"batch_{seed}.csv", pulsar_rows(ROWS, seed).write_csv())
        intake = step_named("split")(
            context, step_named("dedup")(context, step_named("ingest")(context))
        )
        plan = step_named("plan")(context, intake, Form(), f"round {seed}")
        screened = [
            step_named("screen")(context, plan, family.name) for family in context.spec.families
        ]
        shortlisted = step_named("shortlist")(context, plan, screened)
        for fit_job in shortlisted.fit_jobs:
            step_named("run_job")(context, plan, fit_job)
        finalists = step_named("finalists")(context, plan, shortlisted.trials)
        for fit_job in finalists.fit_jobs:
            step_named("run_job")(context, plan, fit_job)
        challenger = step_named("fit")(context, plan, finalists.trials)
        scores = step_named("score")(context, plan, challenger)
        step_named("promote")(context, plan, challenger, scores, Form())
        step_named("serve")(context, plan)
        return time.time() - since

    return deliver


def _idle(settings: Settings) -> dict[str, float]:
    """Measure the whole idle stack: proportional memory now, CPU over a while."""
    time.sleep(0 if QUICK else 5)
    before = _cpu_seconds(settings.home)
    time.sleep(IDLE_SECONDS)
    spent = _cpu_seconds(settings.home) - before
    held = sum(memory(one.process) for one in marked_processes(settings.home))
    return {"idle_memory_mib": held / MIB, "idle_cpu_percent_of_a_core": 100 * spent / IDLE_SECONDS}


def _cpu_seconds(home: Path) -> float:
    total = 0.0
    for one in marked_processes(home):
        try:
            times = one.process.cpu_times()
        except psutil.NoSuchProcess:  # a parser of Dag files that has just ended
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _table(figures: dict[str, Any]) -> Table:
    table = Table("figure", "median", "all", title=f"{ROWS:,} rows, {figures['rounds']} rounds")
    for name, value in figures.items():
        if isinstance(value, list):
            table.add_row(name, f"{statistics.median(value):.1f}", _listed(value))
        else:
            table.add_row(name, f"{value:.1f}", "")
    return table


def _listed(values: list[float]) -> str:
    return " ".join(f"{value:.1f}" for value in values)


def _rounded(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [round(one, 2) for one in value] if isinstance(value, list) else round(value, 2)
        for name, value in figures.items()
    }


if __name__ == "__main__":
    main()
