"""Every part of the composed stack dies or goes away while it is needed; nobody lends a hand.

Each fault has a spec of its own and the same delivery, so what must come of it is what an
undisturbed run came to: the rows of every partition, the winner, one version, one promotion.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.data import pulsar_rows
from demo.specs import PULSARS
from tests.containers.composed import Begun, Composed, composed
from tests.containers.engine import Docker

ROWS = pulsar_rows(3000, seed=1)
AWAY_SECONDS = 30


@dataclass(frozen=True)
class Fault:
    """What happens, and to which moment of a run."""

    spec: str
    """The spec that it happens to."""
    task: str
    """It happens while this task runs; empty: just before the delivery."""
    happen: Callable[[Composed], None]


def _restart_database(stack: Composed) -> None:
    stack("restart", "postgres")


def _store_away(stack: Composed) -> None:
    stack("stop", "objects")
    time.sleep(AWAY_SECONDS)
    stack("start", "objects")


def _flush_queue(stack: Composed) -> None:
    secret = stack.secret["redis"]
    stack.inside("redis", "redis-cli", "--no-auth-warning", "-a", secret, "FLUSHALL")


def _all_stopped(stack: Composed) -> None:
    stack("stop")
    stack("start")


def _kill(service: str) -> Callable[[Composed], None]:
    return lambda stack: stack.kill(service)


FAULTS = (
    Fault("worker-killed", "select.screen", _kill("airflow-worker")),
    Fault("light-worker-killed", "data.ingest", _kill("airflow-light-worker")),
    Fault("scheduler-killed", "select.screen", _kill("airflow-scheduler")),
    Fault("triggerer-killed", "", _kill("airflow-triggerer")),
    Fault("api-server-killed", "select.final", _kill("airflow-api-server")),
    Fault("registry-killed", "fit", _kill("mlflow")),
    Fault("serving-killed", "preflight", _kill("serving")),
    Fault("database-restarted", "promote", _restart_database),
    Fault("store-away", "data.ingest", _store_away),
    Fault("queue-flushed", "select.screen", _flush_queue),
    Fault("all-stopped", "select.screen", _all_stopped),
)


@pytest.fixture(scope="module")
def stack(docker: Docker, clean_copy: Path) -> Iterator[Composed]:
    """Return a stack with a spec for each fault and one for a run that nothing happens to."""
    with composed(docker, clean_copy) as stack:
        for name in ("calm", *(fault.spec for fault in FAULTS)):
            text = PULSARS.replace('"pulsars"', f'"{name}"')
            (Path(stack.variables["RATCHET_SPECS"]) / f"{name}.toml").write_text(text)
        stack.up()
        yield stack


@pytest.fixture(scope="module")
def calm(stack: Composed) -> dict[str, Any]:
    """Return what an undisturbed run comes to."""
    stack.airflow().await_dag("calm", patience_seconds=120)
    run = stack.deliver("calm", "rows.csv", ROWS)
    assert run.state == "success", run
    return _outcome(stack, "calm")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.spec)
def test_a_fault_costs_time_and_nothing_else(
    stack: Composed, calm: dict[str, Any], fault: Fault
) -> None:
    """The run ends in what it would have ended in, without a manual step, and is served."""
    begun = _begun(stack, fault)
    began = time.monotonic()
    run = begun.end()
    seconds = time.monotonic() - began
    assert run.state == "success", f"after {seconds:.0f} s: {run}"
    assert _outcome(stack, fault.spec) == calm
    asked = [list(row) for row in ROWS.drop("class").head(2).rows()]
    assert stack.ask(fault.spec, asked).json()["model_version"] == "1"


def _begun(stack: Composed, fault: Fault) -> Begun:
    if not fault.task:
        fault.happen(stack)
    begun = stack.begin(fault.spec, "rows.csv", ROWS)
    if fault.task:
        begun.await_task(fault.task)
        fault.happen(stack)
    return begun


def _outcome(stack: Composed, spec: str) -> dict[str, Any]:
    versions = stack.mlflow("viewer", "/model-versions/search", params={"filter": f"name='{spec}'"})
    tags = [
        {tag["key"]: tag["value"] for tag in version["tags"]}
        for version in versions.json()["model_versions"]
    ]
    moves = stack.ratchet("promotions", spec).splitlines()
    return {
        "rows": stack.rows_in_the_lake(spec),
        "versions": [(one["ratchet.family"], one["ratchet.verdict"]) for one in tags],
        "champion": stack.champion(spec),
        "moves": sum(line[:3].strip().isdigit() for line in moves),
    }
