"""A spec that breaks while a run of it waits, in the real Airflow."""

import time
from collections.abc import Callable

import httpx

from demo.data import pulsar_rows
from demo.follow import Started, follow
from tests.integration.real_stack import Stack, run_stack

ROWS = pulsar_rows(1200, seed=6)
REASON = "LogisticRegression has no parameter"
# Airflow 3.3 takes an answer within the first moments for a failure, and asks again.
READING_SECONDS = 3.0


def test_a_waiting_run_ends_well_although_its_spec_breaks(stack: Stack) -> None:
    """It goes on with what it has pinned; the next one is told why, and mending is enough."""
    file = stack.settings.specs / "waits.toml"
    sound = file.read_text()
    run_id = _waiting(stack)
    file.write_text(sound.replace("logisticregression__C", "logisticregression__CC"))
    _until(lambda: _is_broken(stack), "Airflow does not show the broken spec")
    status = run_stack("status", stack.settings.environment())
    assert "waits" in status.stdout
    assert REASON in status.stdout.replace("\n", "")
    url = f"{_dag(stack)}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    time.sleep(READING_SECONDS)
    httpx.patch(url, json={"chosen_options": ["Approve"]}).raise_for_status()
    ended = follow(Started(stack.airflow, "waits", run_id, time.time()))
    assert ended.state == "success", ended
    assert ended.results["promote"]["verdict"] == "PROMOTE"
    refused = stack.press("waits", time.time(), no_new_data="retrain")
    assert refused.state == "failed"
    file.write_text(sound)
    _until(lambda: not _is_broken(stack), "Airflow does not see that the spec is mended")


def _waiting(stack: Stack) -> str:
    """Drop the rows and return the run, once it waits for a person."""
    known = stack.airflow.run_ids("waits")
    stack.drop("waits", "first.csv", ROWS.write_csv())
    run_id = stack.airflow.await_new_run("waits", known)
    task = f"{_dag(stack)}/dagRuns/{run_id}/taskInstances/approve"
    _until(lambda: httpx.get(task).json().get("state") == "awaiting_input", "nobody is asked")
    return run_id


def _is_broken(stack: Stack) -> bool:
    return "broken spec" in [tag["name"] for tag in httpx.get(_dag(stack)).json()["tags"]]


def _dag(stack: Stack) -> str:
    return f"{stack.settings.airflow_url}/api/v2/dags/waits"


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.5)
