"""A person's word between decision and promotion."""

from typing import Any

import pendulum
import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import TaskAwaitingInput
from approval import Approval

CONTEXT: Any = {"task_instance": type("Instance", (), {"id": "one"})()}


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return what was put before a person."""
    questions: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **said: questions.append(said))
    return questions


def approval(verdict: str, *, passed: bool = True) -> Approval:
    """Return the task after a decision and a pre-flight."""
    decided = {"verdict": verdict, "reason": "F1 0.91 beats 0.87"}
    preflight_result = {"needed": True, "passed": passed}
    return Approval(
        task_id="approve",
        subject="Promote?",
        body="because",
        decided=decided,
        preflight_result=preflight_result,
    )


def answer(option: str, user: dict[str, str] | None) -> dict[str, Any]:
    """Return what the operator is woken with."""
    said = pendulum.datetime(2026, 5, 4, 3, 2, 1, tz="UTC")
    return {
        "chosen_options": [option],
        "params_input": {},
        "responded_at": said,
        "responded_by_user": user,
    }


def test_a_person_is_asked_when_the_gate_would_promote(questions: list[dict[str, Any]]) -> None:
    """The task then waits in a state that holds no slot, without a time limit."""
    with pytest.raises(TaskAwaitingInput) as waiting:
        approval("PROMOTE").execute(CONTEXT)
    assert waiting.value.timeout is None
    assert questions[0]["options"] == ["Approve", "Reject"]


@pytest.mark.parametrize("verdict", ["HOLD", "REJECT"])
def test_nobody_is_asked_when_nothing_would_move(
    questions: list[dict[str, Any]], verdict: str
) -> None:
    """The run goes on at once, with no answer."""
    assert approval(verdict).execute(CONTEXT) is None
    assert questions == []


def test_nobody_is_asked_about_a_failed_preflight(questions: list[dict[str, Any]]) -> None:
    """The challenger is going to be rejected, whatever a person says."""
    assert approval("PROMOTE", passed=False).execute(CONTEXT) is None
    assert questions == []


@pytest.mark.parametrize(("option", "approved"), [("Approve", True), ("Reject", False)])
def test_the_answer_names_who_and_when(*, option: str, approved: bool) -> None:
    """A refusal is an answer too: nothing is skipped, so that it is written down."""
    said = answer(option, {"id": "7", "name": "Ada"})
    assert approval("PROMOTE").execute_complete(CONTEXT, said) == {
        "approved": approved,
        "by": "Ada",
        "at": "2026-05-04T03:02:01+00:00",
    }
