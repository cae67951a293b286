"""Where no endpoint answers: nobody is rejected, and a champion that does not serve is undone."""

from dataclasses import replace

import mlflow
import pytest

from demo.data import pulsar_rows
from include.adapters.endpoint import Endpoint
from include.context.step_context import StepContext
from include.errors import EndpointError, GivenBackError
from include.records.judging import Preflight, Verdict
from include.records.moves import MoveKind, RollBack
from include.records.training import Form, NoNewData
from include.steps import preflight as preflight_step
from include.steps import serve as serve_step
from tests import steps
from tests.contract.pipeline import Run, drop, run

FORCED = Form(force=True, no_new_data=NoNewData.RETRAIN)


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nobody long."""
    monkeypatch.setattr(preflight_step, "ABSENCE_PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(serve_step, "SERVING_PATIENCE_SECONDS", 0.2)


@pytest.fixture
def away(context: StepContext) -> StepContext:
    """Return a context with rows that wait, whose endpoint nobody has started."""
    drop(context, pulsar_rows(600, seed=1))
    nobody = Endpoint("http://127.0.0.1:1", context.spec.model, poll_seconds=0.05)
    return replace(context, endpoint=nobody)


@pytest.fixture
def promoted(away: StepContext) -> tuple[StepContext, Run, Run]:
    """Return two runs that promoted."""
    first, second = run(away), run(away, FORCED)
    assert second.decision.verdict is Verdict.PROMOTE
    return away, first, second


def aliases(context: StepContext) -> dict[str, str]:
    """Return the aliases of the registered model."""
    found = mlflow.MlflowClient().get_registered_model(context.spec.model).aliases
    return {alias: str(version) for alias, version in found.items()}


def test_without_an_endpoint_the_task_fails_and_nobody_is_rejected(away: StepContext) -> None:
    """It says what to do, and does not put the alias up; what is not to be promoted needs none."""
    done = run(away)
    with pytest.raises(EndpointError, match="no endpoint is running"):
        steps.preflight(away, done.plan, done.challenger, done.decision)
    assert "challenger" not in aliases(away)
    held = replace(done.decision, verdict=Verdict.HOLD)
    assert steps.preflight(away, done.plan, done.challenger, held) == Preflight(
        needed=False, passed=True, sentence="not needed: HOLD anyhow"
    )


def test_a_champion_that_does_not_serve_is_given_back_once(
    promoted: tuple[StepContext, Run, Run],
) -> None:
    """The move is in the log with the reason; retries of serve and of promote move nothing more."""
    context, first, second = promoted
    for _ in range(2):
        with pytest.raises(GivenBackError, match="version 2 did not come to serve, so version 1"):
            steps.serve(context, second.plan)
        moves = context.registry.champion.moves()
        assert [(move.kind, move.version) for move in moves] == [
            (MoveKind.PROMOTION, "1"),
            (MoveKind.PROMOTION, "2"),
            (MoveKind.GIVEN_BACK, "1"),
        ]
    assert moves[-1].by == second.plan.run_id
    assert "no answer" in moves[-1].reason
    assert aliases(context)["champion"] == first.challenger.version
    steps.promote(context, second.plan, second.challenger, second.scores, FORCED)
    assert context.registry.champion.moves() == moves
    assert "rolled back" in steps.score(context, second.plan, second.challenger).barred


def test_what_somebody_else_moved_is_left_alone(promoted: tuple[StepContext, Run, Run]) -> None:
    """A roll back in the meantime stands; only the run's own promotion is undone."""
    context, _, second = promoted
    steps.roll_back(context, RollBack("by a person", 1, reason="it is slow", by="Ada"))
    moves = context.registry.champion.moves()
    for plan in (second.plan, None):
        with pytest.raises(EndpointError, match="should hold version 1"):
            steps.serve(context, plan)
    assert context.registry.champion.moves() == moves


def test_a_first_champion_has_nobody_to_give_back_to(away: StepContext) -> None:
    """It stays, and the task says what is wrong."""
    done = run(away)
    with pytest.raises(EndpointError, match="should hold version 1 as champion"):
        steps.serve(away, done.plan)
    assert away.registry.champion.current() == done.challenger
