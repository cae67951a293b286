"""Both contenders on one holdout: slices, what an answer costs, and the page of the decision."""

from dataclasses import replace

import mlflow
import pytest

from demo.data import pulsar_rows
from include.context.step_context import StepContext
from include.errors import SpecError
from include.records.judging import Rival
from include.records.training import Form
from include.spec.model_spec import Slice
from tests import steps
from tests.contract.pipeline import DAG_RUNS, Run, drop, run, take_in

ROWS = pulsar_rows(600, seed=3)
HIGH = Slice(name="high", column="profile_0", at_least=1.0)
LOW = Slice(name="low", column="profile_0", below=1.0)


def sliced(context: StepContext, *slices: Slice) -> StepContext:
    """Return the context with slices in its spec."""
    return replace(context, spec=context.spec.model_copy(update={"slices": slices}))


def twice(context: StepContext) -> Run:
    """Return a run against a champion that an earlier run made."""
    drop(context, ROWS[:400])
    first = run(context)
    client = mlflow.MlflowClient()
    client.set_registered_model_alias(context.spec.model, "champion", first.challenger.version)
    drop(context, ROWS[400:])
    return run(context)


def test_both_contenders_are_scored_on_every_slice(context: StepContext) -> None:
    """The slices of the spec, in its order, as records and as metrics; here they share the rows."""
    done = twice(sliced(context, HIGH, LOW))
    high, low = done.scores.slices
    card, champion = done.scores.challenger, done.scores.champion
    assert champion is not None
    assert (high.name, low.name) == ("high", "low")
    assert high.rows + low.rows == card.rows
    found = card.figures["true_positives"] + card.figures["false_negatives"]
    assert high.counts["positives"] + low.counts["positives"] == found
    assert high.agreement is not None
    assert high.agreement.rows == high.rows
    metrics = mlflow.get_run(done.plan.run_id).data.metrics
    assert metrics["challenger_f1_slice_high"] == high.challenger
    assert metrics["champion_f1_slice_low"] == low.champion
    # Both slices together are the holdout, so their counts add up to its own.
    rival = done.scores.opponent
    assert isinstance(rival, Rival)
    assert low.agreement is not None
    parts = zip(high.agreement.positives, low.agreement.positives, strict=True)
    assert tuple(map(sum, parts)) == rival.agreement.positives


def test_what_an_answer_costs_is_measured(context: StepContext) -> None:
    """Milliseconds for one row and bytes of the model file are figures of the scorecard."""
    drop(context, ROWS)
    done = run(context)
    card = done.scores.challenger
    assert 0 < card.latency_ms < 1000
    (file,) = (
        one
        for one in mlflow.artifacts.list_artifacts(
            f"models:/{context.spec.model}/{done.challenger.version}"
        )
        if one.path.endswith("model.joblib")
    )
    assert card.size_bytes == file.file_size
    metrics = mlflow.get_run(done.plan.run_id).data.metrics
    assert metrics["challenger_latency_ms"] == card.latency_ms
    assert metrics["challenger_size_bytes"] == card.size_bytes


def test_the_page_of_a_decision_lies_beside_it(context: StepContext) -> None:
    """With the verdict, the reason and the four pictures of the run."""
    done = twice(context)
    page = mlflow.artifacts.load_text(f"runs:/{done.plan.run_id}/decision.html")
    assert done.decision.verdict in page
    assert done.challenger.version in page
    for name in ("roc", "precision_recall", "calibration", "f1_by_threshold"):
        assert f'alt="{name}" src="data:image/png;base64,iVBOR' in page


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (Slice(name="old", column="age", below=9), "slice 'old' names column 'age', which the"),
        (Slice(name="old", column="profile_1", values=("a",)), "'profile_1' holds numbers: name"),
    ],
)
def test_a_slice_of_what_no_row_has_stops_the_run_before_it_trains(
    context: StepContext, part: Slice, sentence: str
) -> None:
    """The sentence names the spec, the slice and the column."""
    drop(context, ROWS)
    intake = take_in(context)
    with pytest.raises(SpecError, match=rf"{context.spec.name}\.toml: .*{sentence}"):
        steps.plan(sliced(context, part), intake, Form(), next(DAG_RUNS))
