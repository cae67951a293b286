"""What one task of a race runs."""

from collections import Counter

import numpy as np
import pytest

from include.records.training import Candidate, Heat
from include.stages.select import Cut, Lane, RacePart, RaceStanding, heats, judge

Y = np.array([0, 1] * 50, np.int8)
FINAL = RacePart(1000, (0, 1, 2, 3, 4))


def lane(family: str) -> Lane:
    """Return a lane of two candidates."""
    return Lane((Candidate(family, {"size": 1}), Candidate(family, {"size": 2})), "size")


def standing(family: str, seconds: float) -> RaceStanding:
    """Return how a lane stood that took so long on one fold of a tenth of the rows."""
    this = lane(family)
    lap = judge(this.largest, Cut(100, 5), [Y], [Y.astype(np.float64)], seconds)
    return RaceStanding(this, (lap,), ())


def cut(seconds: dict[str, float], cores: int = 2) -> tuple[Heat, ...]:
    """Return the heats of a final of families that took so long on a tenth of the rows."""
    standings = [standing(family, took) for family, took in seconds.items()]
    return heats([one.lane for one in standings], FINAL, standings, cores)


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
    """A long family is a heat a fold, short ones share as many heats as there are cores."""
    found = cut(seconds)
    assert [one.title for one in found] == titles
    assert {one.threads for one in found} == {threads}
    fits = Counter(
        (one.title, fold) for heat in found for one in heat.candidates for fold in heat.folds
    )
    assert len(fits) == 2 * len(seconds) * 5
    assert set(fits.values()) == {1}


def test_a_lane_that_nothing_is_known_of_is_taken_for_long() -> None:
    """In an exhaustive search nobody was timed: every family is a heat a fold."""
    found = heats([lane("a"), lane("b")], FINAL, [], cores=4)
    assert len(found) == 10
