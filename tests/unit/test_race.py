"""The race on rows in memory: who wins, what a killed race costs, what nobody may see."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.adapters.race_results import RaceResults
from include.errors import SpecError
from include.records.arrays import Outcome
from include.records.training import Trial
from include.spec.model_spec import Spec
from include.stages.select import folded
from include.steps import race
from include.steps.race import Finish, Race
from serving.bundle import Layout

RUNS = count()
RNG = np.random.default_rng(8)
ROWS = 3000
X = RNG.normal(size=(ROWS, 6)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] + RNG.normal(size=ROWS) > 1.8).astype(np.int8)
FAMILIES: list[dict[str, Any]] = [
    {
        "name": "logistic",
        "pipeline": ["sklearn.linear_model.LogisticRegression"],
        "grid": {"logisticregression__C": [0.01, 1.0]},
    },
    {
        "name": "stump",
        "pipeline": ["sklearn.tree.DecisionTreeClassifier"],
        "grid": {"decisiontreeclassifier__max_depth": [1]},
    },
    {
        "name": "boosting",
        "pipeline": ["sklearn.ensemble.GradientBoostingClassifier"],
        "grid": {"gradientboostingclassifier__n_estimators": [5, 10, 20]},
    },
]


class KilledError(Exception):
    """Somebody pulled the plug."""


class DyingBoard(RaceResults):
    """Dies at the n-th outcome, before or after it is written down."""

    left = 0
    is_written = True

    def keep(self, name: str, outcome: Outcome) -> None:
        """Write an outcome down, or die."""
        self.left -= 1
        if self.left != 0 or self.is_written:
            super().keep(name, outcome)
        if self.left == 0:
            raise KilledError


def spec(families: list[dict[str, Any]] = FAMILIES, **selection: object) -> Spec:
    """Return a spec of these families."""
    fields = {"name": "s", "model": "s", "title": "S", "data": {"target": "y"}}
    return Spec.model_validate(fields | {"families": families, "selection": selection})


@pytest.fixture
def started(tmp_path: Path) -> Callable[..., Race]:
    """Return a function that starts a race with results of its own."""

    def start(spec: Spec, kind: type[RaceResults] = RaceResults) -> Race:
        board = kind(str(tmp_path), f"run-{next(RUNS)}", {})
        layout = Layout(tuple(f"f{at}" for at in range(X.shape[1])))
        return Race(spec, layout, folded(X, Y, spec.selection), board, cores=1)

    return start


def screened(run: Race) -> list[list[Trial]]:
    """Screen every family."""
    return [race.screen(run, family.name) for family in run.spec.families]


def ran(run: Race) -> Finish:
    """Run a race to its end, as the tasks do."""
    trials = screened(run)
    for heat in race.shortlist(run, trials).heats:
        race.run(run, heat)
    for heat in race.finalists(run, trials).heats:
        race.run(run, heat)
    return race.finish(run, trials)


def told(finish: Finish) -> list[Trial]:
    """Return the leaderboard without what the clock said."""
    return [replace(one, seconds=0.0) for one in finish.trials]


def test_finalists_are_judged_as_an_exhaustive_search_judges_them(
    started: Callable[..., Race],
) -> None:
    """The same folds, the same F1, the same winner; only the beaten have fewer rows."""
    raced = ran(started(spec(screened_rows=500)))
    whole = ran(started(spec(strategy="exhaustive")))
    assert raced.winner.candidate == whole.winner.candidate
    everyone = {one.candidate.title: one.f1 for one in whole.trials}
    alone = [one for one in raced.trials if one.candidate.family != "soft_vote"]
    assert len(alone) == 6
    for one in alone:
        if one.rows == ROWS:
            assert one.f1 == pytest.approx(everyone[one.candidate.title], abs=1e-12)
    assert {one.rows for one in whole.trials} == {ROWS}
    assert {len(one.fold_f1) for one in whole.trials} == {5}


def test_the_fitted_one_is_first_and_all_finalists_are_judged_alike(
    started: Callable[..., Race],
) -> None:
    """Each at the threshold that it would be served with, and at its best, which is no lower.

    The others have their best one alone.
    """
    finish = ran(started(spec(screened_rows=500)))
    final = [one for one in finish.trials if one.best_f1 is not None]
    assert final[0] == finish.trials[0] == finish.winner
    assert {one.candidate.title for one in final} == {
        lap.trial.candidate.title for lap in finish.laps
    }
    assert all(one.best_f1 is not None and one.f1 <= one.best_f1 for one in final)
    assert final[0].best_f1 == max(one.best_f1 or 0 for one in final)
    assert all(one.rows < ROWS for one in finish.trials if one.best_f1 is None)


def test_the_clearly_beaten_drop_out_and_the_leaderboard_says_why(
    started: Callable[..., Race],
) -> None:
    """A stump never sees all rows, and its line names who beat it on how many."""
    finish = ran(started(spec(screened_rows=500)))
    (stump,) = [one for one in finish.trials if one.candidate.family == "stump"]
    assert stump.rows < ROWS
    assert "behind " in stump.left
    assert f"on {stump.rows} rows" in stump.left
    assert not finish.winner.left


def test_a_race_over_few_rows_has_no_semifinal(started: Callable[..., Race]) -> None:
    """What was screened on all rows is not fitted again, and the final adds the other folds."""
    run = started(spec(screened_rows=5000))
    trials = screened(run)
    assert {one.rows for family in trials for one in family} == {ROWS}
    assert race.shortlist(run, trials).heats == ()
    assert {heat.folds for heat in race.finalists(run, trials).heats} == {(0, 1, 2, 3, 4)}
    assert race.finish(run, trials).winner.rows == ROWS


def test_only_so_many_finalists_run_over_all_rows(started: Callable[..., Race]) -> None:
    """The spec bounds the fits of the final; who is one too many is told so."""
    run = started(spec(screened_rows=500, finalists=1))
    trials = screened(run)
    for heat in race.shortlist(run, trials).heats:
        race.run(run, heat)
    field = race.finalists(run, trials)
    assert len(field.lanes) == 1
    assert any("not among the best 1" in one.left for one in field.trials)


@pytest.mark.parametrize("is_written", [True, False])
def test_a_killed_race_loses_one_fit_and_ends_alike(
    started: Callable[..., Race], *, is_written: bool
) -> None:
    """KilledError at every fit in turn, before or after it was written down, and run on."""
    undisturbed = told(ran(started(spec(screened_rows=500))))
    run = started(spec(screened_rows=500), DyingBoard)
    board = run.results
    assert isinstance(board, DyingBoard)
    board.is_written = is_written
    finish, deaths = None, 0
    while finish is None:
        board.left = 2
        try:
            finish = ran(run)
        except KilledError:
            deaths += 1
    assert told(finish) == undisturbed
    assert deaths > 10


def test_a_race_with_a_cleared_board_can_still_be_finished(started: Callable[..., Race]) -> None:
    """Whoever clears a task after the run gets the same winner, by fitting again."""
    run = started(spec(screened_rows=500))
    trials = screened(run)
    first = ran(run)
    run.results.clear()
    assert told(race.finish(run, trials)) == told(first)


def test_without_a_candidate_that_fits_there_is_no_race(started: Callable[..., Race]) -> None:
    """The sentence gives the first reason; one that fits is enough."""
    neighbours: dict[str, Any] = {
        "name": "neighbours",
        "pipeline": ["sklearn.neighbors.KNeighborsClassifier"],
        "params": {"kneighborsclassifier__n_neighbors": 50_000},
    }
    run = started(spec([neighbours], screened_rows=500))
    with pytest.raises(SpecError, match="none of 1 candidates could be fitted: Expected n_neigh"):
        race.shortlist(run, screened(run))
    fine = ran(started(spec([neighbours, FAMILIES[0]], screened_rows=500)))
    assert fine.winner.candidate.family == "logistic"
    assert "n_neighbors" in fine.trials[-1].failure


def test_the_winner_is_fitted_on_every_train_row(started: Callable[..., Race]) -> None:
    """It calls a row positive at the threshold that was tuned out of fold."""
    run = started(spec(screened_rows=500))
    finish = ran(run)
    model = race.fit(run, finish)
    probability = model.predict_proba(X)[:, 1]
    assert np.array_equal(model.predict(X), probability >= finish.winner.threshold)
    assert model.estimator.estimator.n_features_in_ == 6


def test_who_fits_a_part_but_nothing_larger_leaves_a_sentence(started: Callable[..., Race]) -> None:
    """Where nobody is left after the semifinal the race ends with the reason, not in silence."""
    picky = {
        "name": "picky",
        "pipeline": ["sklearn.neighbors.KNeighborsClassifier"],
        "grid": {"kneighborsclassifier__n_neighbors": [5]},
    }
    run = started(spec([picky], screened_rows=500))
    trials = screened(run)
    (lane,) = race.shortlist(run, trials).lanes
    part = run.course.semifinal
    assert part is not None
    for fold in part.folds:
        name = f"{lane.key}-{part.rows}-{fold}.npz"
        run.results.keep(name, Outcome(np.empty((0, 0)), 0.1, "the rows are too many"))
    with pytest.raises(SpecError, match="none of 1 candidates could be fitted: the rows are too"):
        race.finalists(run, trials)
