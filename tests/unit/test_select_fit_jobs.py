"""What one task of a race runs."""

from collections import Counter

import numpy as np
import pytest

from include.records.training import Candidate, FitJob
from include.stages.select import FoldSize, Rung, SharedFit, SharedFitResult, fit_jobs
from tests.judged import judge

Y = np.array([0, 1] * 50, np.int8)
FINAL = Rung(1000, (0, 1, 2, 3, 4))


def shared_fit(family: str) -> SharedFit:
    """Return a shared fit of two candidates."""
    return SharedFit((Candidate(family, {"size": 1}), Candidate(family, {"size": 2})), "size")


def standing(family: str, seconds: float) -> SharedFitResult:
    """Return how a shared fit stood that took so long on one fold of a tenth of the rows."""
    this = shared_fit(family)
    result = judge(this.largest, FoldSize(100, 5), [Y], [Y.astype(np.float64)], seconds)
    return SharedFitResult(this, (result,), ())


def fold_size(seconds: dict[str, float], cores: int = 2) -> tuple[FitJob, ...]:
    """Return the jobs of a final of families that took so long on a tenth of the rows."""
    fit_results = [standing(family, took) for family, took in seconds.items()]
    return fit_jobs([one.shared_fit for one in fit_results], FINAL, fit_results, cores)


@pytest.mark.parametrize(
    ("seconds", "titles", "threads"),
    [
        ({"a": 0.01}, ["a 0 1 2 3 4"], 2),
        ({"a": 0.05, "b": 0.03, "c": 0.01}, ["a 0 1 2 3 4", "b, c 0 1 2 3 4"], 1),
        ({"a": 9.0}, ["a 0", "a 1", "a 2", "a 3", "a 4"], 1),
        ({"a": 0.01, "b": 9.0}, ["b 0", "b 1", "b 2", "b 3", "b 4", "a 0 1 2 3 4"], 1),
    ],
    ids=["one short", "short ones share", "long", "long before short"],
)
def test_what_a_heat_is(seconds: dict[str, float], titles: list[str], threads: int) -> None:
    """A long family is a job a fold, short ones share as many jobs as there are cores."""
    found = fold_size(seconds)
    assert [one.title for one in found] == titles
    assert {one.threads for one in found} == {threads}
    fits = Counter(
        (one.title, fold)
        for fit_job in found
        for one in fit_job.candidates
        for fold in fit_job.folds
    )
    assert len(fits) == 2 * len(seconds) * 5
    assert set(fits.values()) == {1}


def test_a_lane_that_nothing_is_known_of_is_taken_for_long() -> None:
    """In an exhaustive search nobody was timed: every family is a job a fold."""
    found = fit_jobs([shared_fit("a"), shared_fit("b")], FINAL, [], cores=4)
    assert len(found) == 10
