"""From a dropped file to a champion, and what a repeated step leaves alone.

What Airflow adds is when a step runs; here the steps are called as its tasks call them.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import mlflow
import polars as pl
import pytest

from demo.data import pulsar_rows
from include.context.step_context import StepContext
from include.errors import DeliveryRefusedError, NothingToDoError
from include.records.data import Intake
from include.records.judging import UnfitChampion, Verdict
from include.records.training import Candidate, Form, NoNewData
from include.reports.account import Account
from include.spec import contract as contracts
from include.spec.model_spec import Family
from tests import steps
from tests.contract.pipeline import DAG_RUNS, Run, drop, leaderboard, rows, run, state, take_in
from tests.logs import warnings_of

ROWS = pulsar_rows(600, seed=1)


@pytest.fixture(scope="module")
def trained(new_context: Callable[[], StepContext]) -> tuple[StepContext, Run]:
    """Return a context with 600 rows and a champion, and the run that made it."""
    context = new_context()
    drop(context, ROWS)
    return context, run(context)


def test_the_first_drop_becomes_a_champion(trained: tuple[StepContext, Run]) -> None:
    """Rows are split and committed, candidates judged, and the first model with skill promoted."""
    context, first = trained
    (batch,) = first.intake.batches
    assert (batch.read, batch.new, batch.duplicates, batch.refused) == (600, 600, 0, 0)
    assert batch.committed == 0
    assert first.plan.dataset.rows == 600
    assert sum(first.plan.dataset.holdout.values()) == pytest.approx(120, abs=1)
    assert first.decision.verdict is Verdict.PROMOTE
    assert first.scores.champion is None
    assert first.scores.challenger.rows == sum(first.plan.dataset.holdout.values())
    assert context.registry.champion.current() == first.challenger
    assert first.challenger.data_version == 0


def test_finalists_are_judged_on_every_train_row(trained: tuple[StepContext, Run]) -> None:
    """All start on a part; who is left at the end runs over all folds of all rows."""
    _, first = trained
    train = sum(first.plan.dataset.train.values())
    assert {trial.rows for family in first.race.screened for trial in family} == {100}
    assert {fit_job.rows for fit_job in first.fit_jobs} == {train}
    winner, *others = leaderboard(first)
    assert (winner["rows"], len(winner["fold_f1"])) == (train, 5)
    ran = {one["candidate"]["family"] for one in (winner, *others) if one["rows"] == train}
    assert {one.family for fit_job in first.fit_jobs for one in fit_job.candidates} <= ran


def test_mlflow_holds_the_whole_story(trained: tuple[StepContext, Run]) -> None:
    """Counts, leaderboard, pictures, scorecards and the decision are on the run of the Dag."""
    context, first = trained
    client = mlflow.MlflowClient()
    record = client.get_run(first.plan.run_id).data
    assert record.metrics["batch_new"] == 600
    assert record.metrics["challenger_f1"] == first.scores.challenger.figures["f1"]
    assert record.params["family"] in {family.name for family in context.spec.families}
    assert record.tags["ratchet.data_version"] == "0"
    assert "ratchet.library.scikit-learn" in record.tags
    files = {file.path for file in client.list_artifacts(first.plan.run_id)}
    assert {"batches.json", "leaderboard.json", "decision.json", "pictures"} <= files
    assert len(client.list_artifacts(first.plan.run_id, "pictures")) == 4
    winner = leaderboard(first)[0]
    title = Candidate(**winner["candidate"]).title
    parent = f"tags.`mlflow.parentRunId` = '{first.plan.run_id}'"
    nested = client.search_runs([client.get_run(first.plan.run_id).info.experiment_id], parent)
    (run,) = [one for one in nested if one.info.run_name == title]
    assert run.data.metrics["f1"] == winner["f1"] == record.metrics["select_f1"]
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["out_of_fold.npy"]
    assert run.data.metrics["best_f1"] == winner["best_f1"] >= winner["f1"]
    assert first.challenger.family == record.params["family"]


def test_a_run_says_in_the_list_what_it_came_to(trained: tuple[StepContext, Run]) -> None:
    """Its name begins with score and verdict; its page opens as that of a training."""
    context, first = trained
    named = mlflow.get_run(first.plan.run_id).info.run_name
    f1 = first.scores.challenger.figures["f1"]
    assert named == f"f1 {f1:.4f} promote, {context.spec.name} data 0"
    page = context.registry.pages.of_run(first.plan.run_id)
    assert page.endswith(f"/runs/{first.plan.run_id}?workflowType=machine_learning")


def test_what_is_no_training_is_told_apart_in_the_list(trained: tuple[StepContext, Run]) -> None:
    """A filter by the tag leaves trainings alone; the experiment opens as one of trainings."""
    context, first = trained
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(context.spec.name)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    kinds: dict[str, set[str]] = {}
    for one in client.search_runs([experiment.experiment_id]):
        kinds.setdefault(one.data.tags["ratchet.kind"], set()).add(str(one.info.run_name))
    assert all(name.startswith("f1 ") for name in kinds["training"])
    assert kinds.keys() == {"training", "candidate"}
    ledger = client.get_experiment_by_name(f"{context.spec.name} ledger")
    (moves,) = client.search_runs([ledger.experiment_id])
    assert (moves.info.run_name, moves.data.tags["ratchet.kind"]) == ("promotions", "ledger")
    listed = urlsplit(context.registry.pages.of_trainings().replace("#/", ""))
    (only,) = parse_qs(listed.query)["searchFilter"]
    shown = client.search_runs([listed.path.split("/")[-2]], only)
    assert {one.data.tags["ratchet.kind"] for one in shown} == {"training"}
    page = context.registry.pages.of_version(first.challenger)
    assert page.endswith(f"/#/models/{context.spec.model}/versions/1?workflowType=machine_learning")


def test_mlflow_writes_nothing_to_the_error_stream(
    context: StepContext, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Its warnings go where all logs go, as warnings; what it says of every model goes nowhere."""
    drop(context, ROWS)
    run(context)
    logging.getLogger("mlflow").warning("a word")
    assert "mlflow" not in capfd.readouterr().err
    warned = [one.getMessage() for one in caplog.records if one.name.startswith("mlflow")]
    assert [one for one in warned if "pickle" in one or "serving input" in one] == []
    assert "a word" in warned


def test_the_page_of_the_decision_lists_what_came(trained: tuple[StepContext, Run]) -> None:
    """Each file of the run with its rows."""
    _, first = trained
    page = mlflow.artifacts.load_text(f"runs:/{first.plan.run_id}/decision.html")
    cells = "".join(f'<td class="number">{n}</td>' for n in ("600", "600", "0", "0", "0"))
    assert f"<td>batch.csv</td>{cells}<td></td>" in page


def test_a_run_is_described_in_mlflow_as_in_its_note(
    trained: tuple[StepContext, Run], caplog: pytest.LogCaptureFixture
) -> None:
    """The verdict first; a run that was deleted there costs a warning and nothing else."""
    context, first = trained
    account = Account(batches=first.intake.batches, is_settled=True, decision=first.decision)
    told = steps.report(context, account, first.plan)
    described = mlflow.get_run(first.plan.run_id).data.tags["mlflow.note.content"]
    assert described.startswith(f"{told.sentences[0]}\n")
    assert "600 rows in, 600 new, 0 duplicate, 0 in conflict, 0 refused." in described
    with caplog.at_level(logging.WARNING, logger="ratchet"):
        assert steps.report(context, account, replace(first.plan, run_id="0" * 32)) == told
    (sentence,) = warnings_of(caplog, "ratchet")
    assert sentence.startswith(f"The description of MLflow run {'0' * 32} was not written: ")
    assert steps.report(context, Account(skipped_because="no row"), None).sentences[0] == "SKIPPED."


def test_a_refused_delivery_is_an_error_of_its_own_task(context: StepContext) -> None:
    """It names each file with its reason; rows that were refused are none."""
    drop(context, "what,is,this\n1,2,3\n", "bad.csv")
    drop(context, ROWS, "good.csv")
    taken_in = take_in(context)
    with pytest.raises(DeliveryRefusedError, match=r"^bad\.csv: .*no target column 'class'"):
        steps.refusals(context, taken_in)
    fine = tuple(batch for batch in taken_in.batches if batch.name == "good.csv")
    assert steps.refusals(context, Intake(fine, taken_in.dataset)) == []


def test_the_same_bytes_again_are_a_no_op(trained: tuple[StepContext, Run]) -> None:
    """Under another name too; the run then ends early and says why."""
    context, first = trained
    before = state(context)
    drop(context, ROWS, "again.csv")
    intake = take_in(context)
    assert "ingested before" in intake.batches[0].note
    assert intake.dataset == first.plan.dataset
    with pytest.raises(NothingToDoError, match="no row is new since data version 0"):
        steps.plan(context, intake, Form(), next(DAG_RUNS))
    assert state(context) == before


def test_the_form_can_ask_for_a_retrain(trained: tuple[StepContext, Run]) -> None:
    """Without a new row a run trains again when it is told to, and holds an equal model."""
    context, first = trained
    again = run(context, Form(no_new_data=NoNewData.RETRAIN, note="try again"))
    assert again.batches == []
    assert again.plan.dataset == first.plan.dataset
    assert again.decision.verdict is Verdict.HOLD
    assert again.decision.note == "try again"
    assert again.scores.champion is not None
    assert again.scores.champion.figures["f1"] == again.scores.challenger.figures["f1"]
    assert context.registry.champion.current() == first.challenger


def test_later_rows_and_a_forced_promotion(context: StepContext) -> None:
    """Old rows keep their sides, repeated ones count once, both models meet the same holdout."""
    drop(context, ROWS[:300])
    first = run(context, Form(force=True))
    sides = rows(context)
    drop(context, ROWS[200:])
    second = run(context, Form(force=True))
    assert (second.batches[0].new, second.batches[0].duplicates) == (300, 100)
    assert second.plan.dataset.version == 1
    known = rows(context)
    assert known.height == 600
    assert known.join(sides, on=["key_high", "key_low", "label", "side"], how="inner").height == 300
    assert second.scores.champion is not None
    assert second.scores.champion.model_version == first.challenger.version
    assert second.scores.champion.rows == second.scores.challenger.rows
    assert context.registry.champion.current() == second.challenger
    aliases = mlflow.MlflowClient().get_registered_model(context.spec.model).aliases
    assert str(aliases["previous_champion"]) == first.challenger.version


REPEATS: dict[str, Callable[[StepContext, Run], object]] = {
    "ingest": lambda context, _: steps.ingest(context),
    "dedup": lambda context, run: steps.dedup(context, run.batches),
    "split": lambda context, run: steps.split(context, run.batches),
    "screen": lambda context, run: steps.screen(context, run.plan, "naive_bayes"),
    "shortlist": lambda context, run: steps.shortlist(context, run.plan, run.race.screened),
    "finalists": lambda context, run: steps.finalists(
        context, run.plan, run.race.shortlisted.trials
    ),
    "run_job": lambda context, run: steps.run_job(context, run.plan, run.fit_jobs[0]),
    "fit": lambda context, run: steps.fit(context, run.plan, run.race.finalists.trials),
    "score": lambda context, run: steps.score(context, run.plan, run.challenger),
    "promote": lambda context, run: steps.promote(
        context, run.plan, run.challenger, run.scores, Form()
    ),
}


def test_a_step_repeated_after_success_changes_nothing(context: StepContext) -> None:
    """Rows, model versions, aliases, runs and quarantine stay as they are, step by step."""
    drop(context, ROWS)
    drop(context, ROWS[:40].write_csv() + "1,2,3\n", "spoilt.csv")
    done = run(context)
    before = state(context)
    for name, repeat in REPEATS.items():
        repeat(context, done)
        assert state(context) == before, name


def test_a_candidate_that_does_not_fit_the_data_is_out_of_the_race(context: StepContext) -> None:
    """It stands last on the leaderboard with its reason, and the run goes on without it."""
    neighbours = Family(
        name="k_nearest_neighbours",
        pipeline=("sklearn.neighbors.KNeighborsClassifier",),
        grid={"kneighborsclassifier__n_neighbors": (5, 5000)},
    )
    picky = replace(context, spec=context.spec.model_copy(update={"families": (neighbours,)}))
    drop(picky, ROWS)
    done = run(picky)
    (fitted, unfit) = sorted(done.race.screened[0], key=lambda trial: bool(trial.failure))
    assert unfit.candidate.params == {"kneighborsclassifier__n_neighbors": 5000}
    assert "n_neighbors" in unfit.failure
    assert [fit_job.candidates for fit_job in done.fit_jobs] == [(fitted.candidate,)]
    assert mlflow.get_run(unfit.run_id).info.status == "FAILED"


@pytest.mark.parametrize("family", ["xgboost", "naive_bayes"])
def test_a_train_side_that_outgrows_a_fit_gives_a_champion(
    context: StepContext, family: str
) -> None:
    """XGBoost is fitted on every row all the same, another family on the rows that may be held."""
    path, params = {
        "xgboost": ("xgboost.XGBClassifier", {"xgbclassifier__n_estimators": 20}),
        "naive_bayes": ("sklearn.naive_bayes.GaussianNB", {}),
    }[family]
    alone = context.spec.model_copy(
        update={"families": (Family(name=family, pipeline=(path,), params=params),)}
    )
    small = replace(context, spec=alone, settings=replace(context.settings, fit_memory=1))
    held = 2**20 // (4 * 8)
    drop(small, pulsar_rows(45_000, seed=2))
    done = run(small)
    train = done.plan.dataset.train_rows
    assert train > held
    assert done.fit_jobs[0].rows == pytest.approx(held, abs=1)
    fitted = mlflow.get_run(done.plan.run_id).data.metrics["fitted_rows"]
    assert fitted == (train if family == "xgboost" else pytest.approx(held, abs=1))
    assert small.registry.champion.current() == done.challenger
    assert not list((small.settings.scratch / "fit").glob("*"))


def test_a_refused_file_is_named_in_the_reason_to_skip(trained: tuple[StepContext, Run]) -> None:
    """Whoever dropped it reads why, although the run had nothing to train."""
    context, _ = trained
    drop(context, "profile_0,class\n1,0\n", "half.csv")
    with pytest.raises(NothingToDoError, match=r"no row is new .*half\.csv: file refused, kept as"):
        steps.plan(context, take_in(context), Form(), next(DAG_RUNS))


def test_a_whole_run_repeated_is_one_run(context: StepContext) -> None:
    """The same steps twice over, as after a kill at every boundary, end as if run once."""
    drop(context, pulsar_rows(300, seed=5))
    batches = steps.ingest(context)
    assert steps.ingest(context) == batches
    judged = steps.dedup(context, batches)
    assert steps.dedup(context, batches) == judged
    intake = steps.split(context, judged)
    assert steps.split(context, judged) == intake
    plan = steps.plan(context, intake, Form(), "manual__twice")
    assert steps.plan(context, intake, Form(), "manual__twice") == plan
    assert rows(context).height == 300


def test_a_champion_that_cannot_answer_gapped_rows_gives_way(context: StepContext) -> None:
    """After a contract change that lets a column be missing, the next model with skill takes over.

    The old one was fitted without gaps, and its family takes none.
    """
    drop(context, ROWS[:300])
    first = run(context, Form(force=True))
    data = context.spec.data.model_copy(update={"missing": ("profile_7",)})
    now = replace(context, spec=context.spec.model_copy(update={"data": data}))
    now.lake.write_contract(
        contracts.changed_contract(now.lake.require_contract(), now.spec, "gaps")
    )
    gapped = pl.when(pl.int_range(pl.len()) % 3 > 0).then("profile_7").alias("profile_7")
    drop(now, ROWS[300:].with_columns(gapped))
    second = run(now)
    assert second.batches[0].new == 300
    assert second.scores.opponent == UnfitChampion(first.challenger.version)
    assert second.decision.verdict is Verdict.PROMOTE
    assert "cannot answer rows as they are now" in second.decision.reason
    assert context.registry.champion.current() == second.challenger
