"""A model from elsewhere: what it must bring, how it is judged, and the commands for people."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import mlflow
import numpy as np
import polars as pl
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from demo.data import pulsar_rows
from include.cli import main as ratchet
from include.cli.registry_commands import judge_version
from include.context.step_context import StepContext, step_context
from include.errors import AdoptionError, ModelRefusedError
from include.records.judging import Verdict
from include.records.models import Origin
from include.records.moves import Move, MoveKind
from include.records.training import Form
from include.settings import read_settings
from include.spec.spec_files import read_spec
from include.steps import adopt as adopt_step
from tests.conftest import PULSARS
from tests.contract.pipeline import drop, rows, run, stored_rows, take_in

ROWS = pulsar_rows(600, seed=1)
Command = Callable[..., tuple[int, str]]


class Own(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn is untyped
    """A classifier of somebody's own."""

    def predict_proba(self, X: Any) -> Any:
        """Answer."""
        return np.tile([0.5, 0.5], (len(X), 1))


class Program:
    """Makes a folder when a pickle of it is loaded by a reader that runs it."""

    def __reduce__(self) -> Any:
        """Stand for the call."""
        return os.mkdir, ("it-ran",)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Return a model that was fitted somewhere else, on the first 300 rows."""
    return written(tmp_path, fitted(ROWS[:300]))


def fitted(frame: pl.DataFrame) -> LogisticRegression:
    """Fit a classifier on rows as a file has them."""
    X = frame.drop("class").to_numpy().astype(np.float32)
    return LogisticRegression(max_iter=5000).fit(X, frame["class"].to_numpy())


def written(folder: Path, model: Any) -> Path:
    """Write a model with joblib."""
    path = folder / "elsewhere.joblib"
    joblib.dump(model, path)
    return path


def offer(model: Path, fitted_on: Path | None = None) -> adopt_step.AdoptionRequest:
    """Return what an operator asks for."""
    return adopt_step.AdoptionRequest(model, "Ada", "it ran last year", 0.3, fitted_on)


def test_it_is_a_version_like_any_other_with_its_papers(
    context: StepContext, elsewhere: Path
) -> None:
    """Threshold, layout and who, when and why; the same file again is the same version."""
    drop(context, ROWS)
    run(context)
    adopted = adopt_step.adopt(context, offer(elsewhere))
    assert adopt_step.adopt(context, offer(elsewhere)) == adopted
    assert adopted.origin is Origin.ADOPTED_UNPROVED
    manifest = context.registry.versions.bundle(adopted).manifest
    assert (manifest.threshold, manifest.family, len(manifest.example)) == (0.3, "adopted", 5)
    tags = mlflow.MlflowClient().get_model_version(adopted.name, adopted.version).tags
    assert tags["ratchet.adopted_by"] == "Ada"
    assert tags["ratchet.adopted_because"] == "it ran last year"
    assert context.registry.champion.current() != adopted


def train_rows(context: StepContext) -> pl.DataFrame:
    """Return the train side as a file has it."""
    own = ("key_high", "key_low", "batch", "side")
    return rows(context).filter(side="train").drop(own).rename({"label": "class"})


def named(folder: Path, frame: pl.DataFrame) -> Path:
    """Write the rows that a model is said to be fitted on."""
    path = folder / f"named {frame.height}.csv"
    frame.write_csv(path)
    return path


def holdout_rows(context: StepContext) -> int:
    """Return how many rows the holdout has."""
    return rows(context).filter(side="holdout").height


def memorised(frame: pl.DataFrame) -> DecisionTreeClassifier:
    """Return a model that knows these rows by heart, and is wrong about all others."""
    others = pulsar_rows(3000, seed=11).with_columns((1 - pl.col("class")).alias("class"))
    known = pl.concat([frame, others])
    X = known.drop("class").to_numpy().astype(np.float32)
    return DecisionTreeClassifier(random_state=0).fit(X, known["class"].to_numpy())


def test_older_rows_count_when_its_rows_are_known_and_it_does_as_well_on_later_ones(
    context: StepContext, tmp_path: Path
) -> None:
    """Until enough came later it is held; of rows in the holdout none may be named."""
    drop(context, ROWS)
    take_in(context)
    train = train_rows(context)
    model = written(tmp_path, fitted(train))
    honest = adopt_step.adopt(context, offer(model, named(tmp_path, train)))
    leaky = adopt_step.adopt(context, offer(model, named(tmp_path, ROWS)))
    early = judge_version(context, honest, Form())
    assert early.verdict is Verdict.HOLD
    assert "it takes 10 more positive and 10 more negative ones" in early.reason
    before = holdout_rows(context)
    assert judge_version(context, leaky, Form()).scores.proofs[0].shared_rows == before
    drop(context, pulsar_rows(900, seed=7), "many.csv")
    take_in(context)
    late = judge_version(context, honest, Form())
    assert late.verdict is Verdict.PROMOTE
    assert late.scores.challenger.rows == holdout_rows(context)
    assert late.scores.proofs[0].fitted_rows == train.height
    (agreed,) = (check for check in late.checks if check.name == "challenger_agreement")
    assert agreed.passed
    assert "agrees with the" in agreed.sentence
    there = judge_version(context, leaky, Form())
    assert there.scores.challenger.rows == holdout_rows(context) - before
    assert f"of the rows that it names {before} are in the holdout" in there.checks[0].sentence


def test_a_champion_that_knows_the_holdout_by_heart_blocks_nobody(
    context: StepContext, tmp_path: Path
) -> None:
    """Whatever ten rows it names: honest challengers meet it on rows that came later."""
    drop(context, ROWS)
    take_in(context)
    ten = named(tmp_path, train_rows(context)[:10])
    champion = adopt_step.adopt(context, offer(written(tmp_path, memorised(ROWS)), ten))
    adopt_step.make_first_champion(context, champion, "Ada", "it is perfect")
    drop(context, pulsar_rows(60, seed=8), "few.csv")
    held = run(context).decision
    assert held.verdict is Verdict.HOLD
    assert "more positive ones, until then it is not judged against: wait" in held.reason
    before = holdout_rows(context)
    drop(context, pulsar_rows(900, seed=7), "many.csv")
    decision = run(context).decision
    assert decision.scores.champion is not None
    assert before - 120 < holdout_rows(context) - decision.scores.champion.rows < before
    assert decision.scores.champion.figures["f1"] < 0.2
    assert decision.verdict is Verdict.PROMOTE


def test_a_challenger_that_knows_the_holdout_by_heart_does_not_win(
    context: StepContext, tmp_path: Path
) -> None:
    """Neither before nor after rows came later, however well known the ten rows that it names."""
    drop(context, ROWS)
    run(context)
    ten = named(tmp_path, train_rows(context)[:10])
    adopted = adopt_step.adopt(context, offer(written(tmp_path, memorised(ROWS)), ten))
    for form in (Form(), Form(force=True)):
        early = judge_version(context, adopted, form)
        assert early.scores.challenger.figures["f1"] == 1
        assert early.verdict is Verdict.HOLD
    before = holdout_rows(context)
    drop(context, pulsar_rows(900, seed=7), "many.csv")
    take_in(context)
    late = judge_version(context, adopted, Form(force=True))
    assert late.scores.challenger.rows == holdout_rows(context) - before
    assert late.verdict is Verdict.REJECT
    assert "from before its adoption, 1.0000, is above the" in late.checks[0].sentence


def test_kept_keys_that_were_altered_prove_nothing(
    context: StepContext, elsewhere: Path, tmp_path: Path
) -> None:
    """Their digest stands with the version; the scores say so, and nothing fails."""
    drop(context, ROWS)
    take_in(context)
    mine = tmp_path / "mine.csv"
    ROWS[:300].write_csv(mine)
    adopted = adopt_step.adopt(context, offer(elsewhere, mine))
    keys = context.registry.adoptions.fitted_keys(adopted)
    context.registry.adoptions.keep_fitted_keys(
        adopted.run_id, replace(keys, rows=keys.rows.head(1))
    )
    with pytest.raises(ModelRefusedError, match=r"changed after .* was adopted"):
        context.registry.adoptions.fitted_keys(adopted)
    proof = judge_version(context, adopted, Form()).scores.proofs[0]
    assert "proves nothing: adopt the model again" in proof.problem
    drop(context, pulsar_rows(900, seed=7), "many.csv")
    take_in(context)
    assert judge_version(context, adopted, Form()).scores.proofs[0].holds


def test_without_them_only_rows_that_come_later_count(
    context: StepContext, elsewhere: Path
) -> None:
    """Both contenders meet on those alone; as long as they are few, the proof is missing."""
    drop(context, ROWS[:300])
    first = run(context, Form(force=True))
    adopted = adopt_step.adopt(context, offer(elsewhere))
    drop(context, ROWS[300:330], "few.csv")
    take_in(context)
    early = judge_version(context, adopted, Form())
    assert "names no rows that it was fitted on, and since" in early.scores.proofs[0].problem
    assert early.verdict is Verdict.HOLD
    drop(context, pulsar_rows(900, seed=7), "many.csv")
    take_in(context)
    late = judge_version(context, adopted, Form())
    assert late.scores.proofs[0].holds
    before = sum(first.plan.dataset.holdout.values())
    came_later = rows(context).filter(side="holdout").height - before
    assert late.scores.challenger.rows == came_later
    assert late.scores.champion is not None
    assert late.scores.champion.rows == came_later
    for digest in context.lake.batches_after(0, 2):  # as if it had been lost and had come again
        context.lake.sides.keep(digest, stored_rows(context).filter(batch=digest), 0)
    assert judge_version(context, adopted, Form()).scores.proofs[0].waits


def test_a_judged_adoption_does_not_stand_for_the_data(
    context: StepContext, elsewhere: Path
) -> None:
    """Rows that no run has trained on are trained on, whatever was adopted meanwhile."""
    drop(context, ROWS[:300])
    run(context)
    drop(context, ROWS[300:], "more.csv")
    take_in(context)
    judge_version(context, adopt_step.adopt(context, offer(elsewhere)), Form())
    assert context.registry.decisions.newest_data_version("nobody") == 0


def altered(name: str, value: Any) -> LogisticRegression:
    """Return a classifier of which one attribute is not as it was fitted."""
    model = fitted(ROWS[:50])
    setattr(model, name, value)
    return model


def answering(values: list[float]) -> DecisionTreeClassifier:
    """Return a tree that answers every row with these numbers, a column each."""
    width = ROWS.width - 1
    model = DecisionTreeClassifier(max_depth=1)
    model.fit(np.zeros((len(values), width)), list(range(len(values))))
    model.tree_.value[:] = values
    return model


UNFIT = {
    "no model file": (b"nothing of the kind", "it is no file of pickle or joblib"),
    "a pair": ((answering([0.5, 0.5]), 0.3), "holds a tuple and no classifier"),
    "fails": (altered("coef_", np.zeros((1, 3))), "cannot answer rows as they are here, 8 float32"),
    "one column": (answering([0.5]), r"the shape \(\d+, 1\)"),
    "no probabilities": (answering([-1.0, 2.0]), "no probabilities"),
    "not a number": (altered("intercept_", np.array([np.nan])), "no probabilities"),
    "a class of its own": (Own(), r"it names .*\.Own, which is not on the list"),
    "a program": (Program(), r"it names .*\.mkdir, which is not on the list"),
}


@pytest.fixture(scope="module")
def trained(new_context: Callable[[], StepContext]) -> StepContext:
    """Return a context with a version that every refusal leaves alone."""
    context = new_context()
    drop(context, ROWS)
    run(context)
    return context


@pytest.mark.parametrize("case", UNFIT)
def test_what_cannot_answer_is_not_adopted(trained: StepContext, tmp_path: Path, case: str) -> None:
    """The sentence says what is wrong, and nothing is registered."""
    model, sentence = UNFIT[case]
    path = written(tmp_path, model)
    if isinstance(model, bytes):
        path.write_bytes(model)
    with pytest.raises(AdoptionError, match=sentence):
        adopt_step.adopt(trained, offer(path))
    assert not Path("it-ran").exists()
    assert len(mlflow.MlflowClient().search_model_versions(f"name='{trained.spec.model}'")) == 1


def test_a_proof_with_bad_rows_is_no_proof(
    trained: StepContext, elsewhere: Path, tmp_path: Path
) -> None:
    """A row that cannot be keyed could be anything."""
    spoilt = tmp_path / "spoilt.csv"
    spoilt.write_text(ROWS[:50].write_csv() + ",".join(["x"] * ROWS.width) + "\n")
    with pytest.raises(AdoptionError, match="proves nothing: 1 of its rows"):
        adopt_step.adopt(trained, offer(elsewhere, spoilt))


@pytest.fixture
def bank(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mlflow_url: str,
    tmp_path: Path,
) -> tuple[StepContext, Command]:
    """Return a function that runs `./ratchet` and returns its exit code and words."""
    name = "commanded"
    specs = tmp_path / "specs"
    specs.mkdir()
    (specs / f"{name}.toml").write_text(PULSARS.replace("pulsar-model", name))
    monkeypatch.setenv("RATCHET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RATCHET_SPECS", str(specs))
    monkeypatch.setenv("RATCHET_MLFLOW_PORT", mlflow_url.rpartition(":")[2])

    def run_command(command: str, *arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["ratchet", command, name, *arguments])
        code = ratchet.main()
        said = capsys.readouterr()
        return code, said.out + said.err

    settings = read_settings()
    return step_context(read_spec(specs / f"{name}.toml"), settings), run_command


def test_people_adopt_judge_and_roll_back_from_the_command_line(
    bank: tuple[StepContext, Command], elsewhere: Path
) -> None:
    """The first is crowned because there is none; a roll back said twice moves once."""
    context, command = bank
    assert command("promotions") == (0, "commanded never had a champion\n")
    adopt = ("adopt", str(elsewhere), "--reason", "it ran")
    code, words = command(*adopt)
    assert (code, "has no rows yet" in words) == (1, True)
    drop(context, ROWS)
    take_in(context)
    for said in ("it is the champion, because there was none", "version 1: adopted without"):
        code, words = command(*adopt)
        assert (code, said in words) == (0, True)
    other = written(elsewhere.parent, fitted(ROWS[300:]))
    _, words = command("adopt", str(other), "--reason", "another")
    if "version 2: PROMOTE" not in words:
        context.registry.champion.move(Move(MoveKind.PROMOTION, "2", "another"), "1")
    for reason, code, said in (
        ("worse", 0, "champion 2 -> 1"),
        ("worse", 0, "this was done before"),
        ("worse still", 1, "there is no going back 1"),
    ):
        answered, words = command("roll-back", "--reason", reason)
        assert (answered, said in words) == (code, True)
    code, words = command("judge", "1", "--reason", "again")
    assert (code, "version 1 has no proof" in words) == (0, True)
    assert command("judge", "99", "--reason", "again") == (1, "commanded has no version 99\n")
    _, words = command("promotions")
    numbered = [line.split() for line in words.splitlines() if line.split()[0].isdigit()]
    assert [[number, kind] for number, _, _, kind, *_ in numbered] == [
        ["1", "adoption"],
        ["2", "promotion"],
        ["3", "roll"],
    ]
    for change in ("none > 1", "1 > 2", "2 > 1"):
        assert change in words
