"""The race on rows in memory: who wins, what a killed race costs, what nobody may see."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from include.adapters.race_results import RaceResults
from include.errors import RaceResultsMissingError, SpecError
from include.records.arrays import FitOutcome
from include.records.packing import pack
from include.records.training import Elimination, Trial
from include.spec.model_spec import Spec
from include.stages.select import SharedFit, fold_rows
from include.steps import race
from include.steps.race import RaceOutcome
from include.steps.race_opening import Race
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

    def keep(self, name: str, outcome: FitOutcome) -> None:
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
        return Race(spec, layout, fold_rows(X, Y, spec.selection), board, cores=1)

    return start


def screened(run: Race) -> list[Trial]:
    """Screen every family."""
    return [trial for family in run.spec.families for trial in race.screen(run, family.name)]


def semifinalists(run: Race) -> tuple[Trial, ...]:
    """Screen every family and run the semifinal."""
    shortlisted = race.shortlist(run, screened(run))
    for fit_job in shortlisted.fit_jobs:
        race.run_job(run, fit_job)
    return shortlisted.trials


def remaining(elimination: Elimination) -> list[Trial]:
    """Return the trials of who is still in the race."""
    return [one for one in elimination.trials if not (one.left or one.failure)]


def ran(run: Race) -> RaceOutcome:
    """Run a race to its end, as the tasks do."""
    finalists = race.finalists(run, semifinalists(run))
    for fit_job in finalists.fit_jobs:
        race.run_job(run, fit_job)
    return race.finish(run, finalists.trials)


def told(finish: RaceOutcome) -> list[Trial]:
    """Return the leaderboard without what the clock said."""
    return [replace(one, seconds=0.0) for one in finish.trials]


def test_finalists_are_judged_as_an_exhaustive_search_judges_them(
    started: Callable[..., Race],
) -> None:
    """The same folds, the same F1, the same winner; only the beaten have fewer rows."""
    raced = ran(started(spec(screened_rows=500)))
    whole = ran(started(spec(strategy="exhaustive")))
    assert raced.winner.candidate == whole.winner.candidate
    everyone = {one.candidate.title: one.value for one in whole.trials}
    alone = [one for one in raced.trials if one.candidate.family != "soft_vote"]
    assert len(alone) == 6
    for one in alone:
        if one.rows == ROWS:
            assert one.value == pytest.approx(everyone[one.candidate.title], abs=1e-12)
    assert {one.rows for one in whole.trials} == {ROWS}
    assert {len(one.fold_values) for one in whole.trials} == {5}


def test_the_fitted_one_is_first_and_all_finalists_are_judged_alike(
    started: Callable[..., Race],
) -> None:
    """Each at the threshold that it would be served with, and at its best, which is no lower.

    The others have their best one alone.
    """
    finish = ran(started(spec(screened_rows=500)))
    final = [one for one in finish.trials if one.best_value is not None]
    assert final[0] == finish.trials[0] == finish.winner
    assert {one.candidate.title for one in final} == {
        result.trial.candidate.title for result in finish.results
    }
    assert all(one.best_value is not None and one.value <= one.best_value for one in final)
    assert final[0].best_value == max(one.best_value or 0 for one in final)
    assert all(one.rows < ROWS for one in finish.trials if one.best_value is None)


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
    assert {one.rows for one in trials} == {ROWS}
    shortlisted = race.shortlist(run, trials)
    assert shortlisted.fit_jobs == ()
    finalists = race.finalists(run, shortlisted.trials)
    assert {fit_job.folds for fit_job in finalists.fit_jobs} == {(0, 1, 2, 3, 4)}
    assert race.finish(run, finalists.trials).winner.rows == ROWS


def test_only_so_many_finalists_run_over_all_rows(started: Callable[..., Race]) -> None:
    """The spec bounds the fits of the final; who is one too many is told so."""
    run = started(spec(screened_rows=500, finalists=1))
    finalists = race.finalists(run, semifinalists(run))
    assert len({one.candidate.family for one in remaining(finalists)}) == 1
    assert any("not among the best 1" in one.left for one in finalists.trials)


@pytest.mark.long
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
    finalists = race.finalists(run, semifinalists(run)).trials
    first = ran(run)
    run.results.clear()
    assert told(race.finish(run, finalists)) == told(first)


def test_who_only_compares_never_fits(started: Callable[..., Race]) -> None:
    """A result that is missing is an error with the mend in it, and is not made again."""
    run = started(spec(screened_rows=500))
    trials = screened(run)
    shortlisted = race.shortlist(run, trials).trials
    run.results.clear()
    for eliminate, handed_on in ((race.shortlist, trials), (race.finalists, shortlisted)):
        with pytest.raises(RaceResultsMissingError, match=r"Clear the task select\.screen"):
            eliminate(run, handed_on)
    assert [path for path in Path(run.results.url).rglob("*") if path.is_file()] == []


def test_who_is_out_stays_out_without_being_judged_again(started: Callable[..., Race]) -> None:
    """The finalists go on from what the shortlist handed on, as XComs carry it."""
    run = started(spec(screened_rows=500))
    handed_on = semifinalists(run)
    pulled = TypeAdapter(tuple[Trial, ...]).validate_python(pack(list(handed_on)))
    assert pulled == handed_on
    (stump,) = [one for one in pulled if one.candidate.family == "stump"]
    others = [one for one in pulled if one is not stump]
    out = replace(stump, left="a word")
    finalists = race.finalists(run, [out, *others])
    assert out in finalists.trials
    assert out.candidate not in [one.candidate for one in remaining(finalists)]


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
    shortlisted = race.shortlist(run, screened(run))
    (fit_job,) = shortlisted.fit_jobs
    (shared_fit,) = (SharedFit((candidate,)) for candidate in fit_job.candidates)
    for fold in fit_job.folds:
        name = f"{shared_fit.key}-{fit_job.rows}-{fold}.npz"
        run.results.keep(name, FitOutcome(np.empty((0, 0)), 0.1, "the rows are too many"))
    with pytest.raises(SpecError, match="none of 1 candidates could be fitted: the rows are too"):
        race.finalists(run, shortlisted.trials)
