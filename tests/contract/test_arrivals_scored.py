"""The champion on each batch that it has never seen, when the batch comes."""

import logging
from dataclasses import replace

import mlflow
import pytest

from demo.data import pulsar_rows
from include.context.step_context import StepContext
from include.errors import NothingToDoError
from include.records.training import Form, NoNewData
from include.steps import score_on_arrival as score_on_arrival_step
from tests import steps
from tests.contract.pipeline import DAG_RUNS, drop, run, take_in

ROWS = pulsar_rows(600, seed=1)


def curve(
    context: StepContext, name: str = "f1", run_name: str = "champion on arrival"
) -> list[tuple[int, float]]:
    """Return the points of a spec's curve: data version and value."""
    client, spec = mlflow.MlflowClient(), context.spec.name
    named = (client.get_experiment_by_name(name) for name in (spec, f"{spec} ledger"))
    places = [one.experiment_id for one in named if one is not None]
    runs = client.search_runs(places, f"tags.`ratchet.arrivals` = '{spec}'")
    if not runs:
        return []
    (arrivals,) = runs
    assert arrivals.info.run_name.startswith(run_name)
    points = client.get_metric_history(arrivals.info.run_id, name)
    return [(point.step, point.value) for point in points]


def test_each_batch_is_a_point_of_one_curve(
    context: StepContext, caplog: pytest.LogCaptureFixture
) -> None:
    """Its whole batch, before training; beside the champion's holdout F1 in the log."""
    caplog.set_level(logging.INFO)
    drop(context, ROWS[:300])
    first = run(context, Form(force=True))
    assert curve(context) == []  # there was no champion
    for number in (1, 2):
        drop(context, ROWS[number * 150 + 150 : number * 150 + 300], f"{number}.csv")
        run(context, Form(force=True))
    champion = context.registry.champion.current()
    assert champion is not None
    assert curve(context, "rows") == [(1, 150), (2, 150)]
    assert curve(context, "champion_version") == [(1, 1), (2, int(champion.version) - 1)]
    usual = f"on the holdout that it was promoted on: {first.scores.challenger.figures['f1']:.4f}"
    assert any("150 rows of 1.csv" in line and usual in line for line in caplog.messages)


def test_a_curve_of_release_0_1_0_goes_on_where_it_is(context: StepContext) -> None:
    """That release had it among the trainings."""
    drop(context, ROWS[:300])
    first = run(context, Form(force=True))
    client = mlflow.MlflowClient()
    trainings = client.get_run(first.plan.run_id).info.experiment_id
    client.create_run(trainings, tags={"ratchet.arrivals": context.spec.name})
    drop(context, ROWS[300:], "more.csv")
    run(context, Form(force=True))
    assert len(curve(context, "rows", "")) == 1


def test_a_repeated_plan_adds_no_point(context: StepContext) -> None:
    """What was scored on arrival stays, even when the champion is another by then."""
    drop(context, ROWS[:300])
    first = run(context, Form(force=True))
    drop(context, ROWS[300:], "more.csv")
    second = run(context, Form(force=True))
    points = curve(context)
    assert len(points) == 1
    steps.plan(context, second.intake, Form(no_new_data=NoNewData.RETRAIN), next(DAG_RUNS))
    score_on_arrival_step.score_arrivals(
        context, first.batches
    )  # a batch that the champion was fitted on
    assert curve(context) == points


def test_a_run_that_skips_training_scores_what_came(context: StepContext) -> None:
    """Drift shows although nothing is trained: here a run has decided on later rows already."""
    drop(context, ROWS[:300])
    run(context, Form(force=True))
    drop(context, ROWS[300:], "more.csv")
    intake = take_in(context)
    nothing = replace(intake, dataset=None)
    with pytest.raises(NothingToDoError):
        steps.plan(context, nothing, Form(), next(DAG_RUNS))
    assert [step for step, _ in curve(context)] == [1]


def test_too_few_rows_of_a_class_say_so(
    context: StepContext, caplog: pytest.LogCaptureFixture
) -> None:
    """A dozen rows are no point of a curve."""
    drop(context, ROWS[:500])
    run(context, Form(force=True))
    drop(context, ROWS[500:512], "dozen.csv")
    run(context)
    assert curve(context) == []
    assert any("not scored on dozen.csv: too few rows" in line for line in caplog.messages)


def test_a_champion_that_cannot_answer_fails_no_run(
    context: StepContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The sentence is in the log and the run goes on."""
    drop(context, ROWS[:300])
    run(context, Form(force=True))
    drop(context, ROWS[300:], "more.csv")
    intake = take_in(context)

    def refuses(*_: object) -> None:
        raise ValueError("Input X contains NaN")

    monkeypatch.setattr("include.steps.score_on_arrival.score_stage.score", refuses)
    steps.plan(context, intake, Form(), next(DAG_RUNS))
    assert any("not scored on more.csv: Input X contains NaN" in one for one in caplog.messages)
