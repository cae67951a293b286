"""The results of a race, on a disk and in a bucket."""

from pathlib import Path

import numpy as np
import pytest

from include.adapters.race_results import RaceResults
from include.records.arrays import FitOutcome
from tests.seaweed import Bucket

OUTCOME = FitOutcome(np.array([[0.25, 0.5], [np.nan, np.nan]]), 1.5)


@pytest.fixture(params=["disk", "bucket"])
def boards(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[RaceResults, RaceResults]:
    """Return the boards of two runs of one spec."""
    if request.param == "disk":
        url, options = str(tmp_path / "races"), {}
    else:
        bucket: Bucket = request.getfixturevalue("bucket")
        url, options = f"{bucket.url}/races", dict(bucket.options)
    return RaceResults(url, "run-1", options), RaceResults(url, "run-2", options)


def test_what_is_written_down_is_found_again(boards: tuple[RaceResults, RaceResults]) -> None:
    """Probabilities bit for bit, what was never reached included; a failure with its sentence."""
    board, _ = boards
    assert board.find("a.npz") is None
    board.keep("a.npz", OUTCOME)
    board.keep("b.npz", FitOutcome(np.empty((0, 0)), 0.1, "Expected n_neighbors <= n_samples_fit"))
    found, failed = board.find("a.npz"), board.find("b.npz")
    assert found is not None
    assert failed is not None
    assert np.array_equal(found.probability, OUTCOME.probability, equal_nan=True)
    assert (found.seconds, found.failure) == (1.5, "")
    assert failed.failure == "Expected n_neighbors <= n_samples_fit"


def test_a_cleared_board_leaves_others_alone(boards: tuple[RaceResults, RaceResults]) -> None:
    """A race that is over takes its own outcomes with it and no others."""
    one, other = boards
    one.keep("a.npz", OUTCOME)
    other.keep("a.npz", OUTCOME)
    one.clear()
    assert one.find("a.npz") is None
    assert other.find("a.npz") is not None


def test_a_new_run_clears_what_dead_runs_left(boards: tuple[RaceResults, RaceResults]) -> None:
    """Its own outcomes stay: a repeated plan costs the race nothing."""
    one, other = boards
    one.keep("a.npz", OUTCOME)
    other.keep("a.npz", OUTCOME)
    other.clear_others()
    assert one.find("a.npz") is None
    assert other.find("a.npz") is not None
