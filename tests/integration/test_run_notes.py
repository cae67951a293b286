"""What the runs of the real Airflow say in their notes, as its database gives them back."""

import time

import pytest

from demo.data import pulsar_rows
from demo.follow import Followed
from tests.integration.real_stack import Stack, quick_spec

SPEC = "noted"


@pytest.fixture(scope="module")
def noted(stack: Stack) -> Stack:
    """Return the running stack with a spec whose runs are quick."""
    (stack.settings.specs / f"{SPEC}.toml").write_text(quick_spec(SPEC))
    stack.await_spec(SPEC)
    return stack


def note(stack: Stack, run: Followed) -> list[str]:
    """Return the lines of a run's note: its verdict, then a sentence a line."""
    return [
        line.removeprefix("- ") for line in stack.airflow.note(SPEC, run.run_id).split("\n") if line
    ]


def ends(run: Followed) -> dict[str, str]:
    """Return how each task of a run ended, as the grid shows it."""
    return {task.name: task.state for task in run.tasks}


def test_a_delivery_that_is_taken_in_is_told_with_the_verdict(noted: Stack) -> None:
    """What came, what was decided and why, and that the endpoint answers."""
    run = noted.deliver(SPEC, "taken.csv", pulsar_rows(800, seed=11).write_csv())
    verdict, *sentences = note(noted, run)
    assert verdict.startswith("PROMOTE, F1 ")
    assert verdict.endswith("version 1, no champion before.")
    assert "taken.csv: 800 rows in, 800 new, 0 duplicate, 0 in conflict, 0 refused." in sentences
    assert any(run.results["promote"]["reason"] in sentence for sentence in sentences)
    assert any(sentence.startswith("noted version 1 answers") for sentence in sentences)
    assert ends(run)["data.refusals"] == "success"


def test_a_refused_delivery_is_a_failed_task_and_a_sentence(noted: Stack) -> None:
    """The grid shows it without a log, and the run does not fail by it."""
    text = pulsar_rows(50, seed=12).drop("class").write_csv()
    run = noted.deliver(SPEC, "refused.csv", text)
    verdict, *sentences = note(noted, run)
    assert run.state == "success"
    assert ends(run)["data.refusals"] == "failed"
    assert verdict == "SKIPPED; 1 delivery refused."
    (why,) = [
        sentence for sentence in sentences if "refused.csv: file refused, kept as " in sentence
    ]
    assert "no target column 'class'" in why
    assert any(sentence.startswith("Nothing was trained: ") for sentence in sentences)


def test_a_run_with_nothing_to_do_says_so(noted: Stack) -> None:
    """Started by hand, with an empty landing place."""
    run = noted.press(SPEC, time.time())
    verdict, *sentences = note(noted, run)
    assert verdict == "SKIPPED."
    assert "Nothing was waiting in the landing place." in sentences
    assert any(sentence.startswith("Nothing was trained: ") for sentence in sentences)


def test_a_run_that_a_person_ends_says_so(noted: Stack) -> None:
    """The api-server writes that note, not the scheduler."""
    run_id = noted.airflow.trigger(SPEC)
    deadline = time.monotonic() + 60
    while noted.airflow.run_state(SPEC, run_id) != "running":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    noted.airflow.stop(SPEC, run_id)
    text = noted.airflow.note(SPEC, run_id)
    assert text.startswith("STOPPED by a person, who set it to failed.")
    assert noted.airflow.run_state(SPEC, run_id) == "failed"
