"""What people do to a champion in the real Airflow: approve it, refuse it, roll it back."""

import time

import httpx
import mlflow

from demo.data import pulsar_rows
from demo.follow import Followed, Started, follow
from tests.integration.real_stack import Stack

ROWS = pulsar_rows(1200, seed=4)
# Airflow 3.3 takes an answer that comes before the asking process has ended for that process's
# failure, and asks again: nobody reads a question faster than this.
READING_SECONDS = 3.0
WAIT_SECONDS = 300
"""A run on a busy machine takes minutes to come to its question; a hang ends all the same."""


def test_a_promotion_waits_for_a_yes(stack: Stack) -> None:
    """The question shows the reason; the task holds no slot; after the yes the champion serves."""
    run = _answered(stack, _dropped(stack), "Approve")
    assert run.state == "success", run
    assert run.results["promote"]["verdict"] == "PROMOTE"
    assert "; approved by " in run.results["promote"]["reason"]
    assert run.results["serve"]["version"] == "1"


def test_a_refused_promotion_is_a_hold_that_says_so(stack: Stack) -> None:
    """The run ends well and the champion stays."""
    run = _answered(stack, _pressed(stack), "Reject")
    assert run.state == "success", run
    assert run.results["promote"]["verdict"] == "HOLD"
    assert run.results["promote"]["reason"].startswith("refused by ")
    assert run.results["serve"]["version"] == "1"


def test_a_form_rolls_back_and_waits_for_the_endpoint(stack: Stack) -> None:
    """One Dag for every spec; the move is in the log with the reason."""
    run = _answered(stack, _pressed(stack), "Approve")
    champion = run.results["serve"]["version"]
    assert champion != "1"
    back = stack.airflow.trigger("roll_back", spec="asked", steps=1, reason="it is slow")
    rolled = follow(Started(stack.airflow, "roll_back", back, time.time()))
    assert rolled.state == "success", rolled
    assert rolled.results["move"]["before"] == champion
    assert rolled.results["serve"]["version"] == "1"
    client = mlflow.MlflowClient(stack.settings.registry_url)
    assert client.get_registered_model("asked").aliases["champion"] == "1"
    further = stack.airflow.trigger("roll_back", spec="asked", steps=1, reason="and again")
    assert follow(Started(stack.airflow, "roll_back", further, time.time())).state == "failed"


def _dropped(stack: Stack) -> str:
    """Drop the rows and return the run that takes them in."""
    known = stack.airflow.run_ids("asked")
    stack.drop("asked", "first.csv", ROWS.write_csv())
    return stack.airflow.await_new_run("asked", known)


def _pressed(stack: Stack) -> str:
    return stack.airflow.trigger("asked", no_new_data="retrain", force=True)


def _answered(stack: Stack, run_id: str, option: str) -> Followed:
    """Wait until a person is asked, answer, and follow the run to its end."""
    url = f"{stack.settings.airflow_url}/api/v2/dags/asked/dagRuns/{run_id}/taskInstances/approve"
    deadline = time.monotonic() + WAIT_SECONDS
    while (state := httpx.get(url).json().get("state")) != "awaiting_input":
        assert time.monotonic() < deadline, state
        time.sleep(0.5)
    question = httpx.get(f"{url}/-1/hitlDetails").json()
    assert "F1" in question["body"]
    time.sleep(READING_SECONDS)
    said = httpx.patch(f"{url}/-1/hitlDetails", json={"chosen_options": [option]})
    assert said.status_code == 200, said.text
    return follow(Started(stack.airflow, "asked", run_id, time.time()))
