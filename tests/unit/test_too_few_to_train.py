"""What a plan says of a table with too few rows of a class."""

import pytest

from include.errors import NothingToDoError
from include.records.data import Counts, Dataset, Intake
from include.spec.model_spec import Spec
from include.steps.plan import require_trainable


def taken_in(train: Counts, holdout: Counts) -> Intake:
    """Return the intake of a table with so many rows on each side."""
    return Intake((), Dataset(3, train, holdout, 3))


@pytest.mark.parametrize(
    ("train", "holdout", "more"),
    [
        ({"negative": 8, "positive": 0}, {"negative": 2, "positive": 0}, "1 more positive holdout"),
        ({"negative": 80, "positive": 9}, {"negative": 20, "positive": 0}, "least 1 more positive"),
        ({"negative": 1, "positive": 2}, {"negative": 1, "positive": 1}, "least 4 more negative"),
    ],
)
def test_it_says_how_many_more_it_takes(
    spec: Spec, train: Counts, holdout: Counts, more: str
) -> None:
    """Of each class and on each side; five folds need five rows of both."""
    folds = spec.selection.model_copy(update={"folds": 5})
    with pytest.raises(NothingToDoError, match=more):
        require_trainable(spec.model_copy(update={"selection": folds}), taken_in(train, holdout))


def test_enough_rows_are_trained_on(spec: Spec) -> None:
    """One row of each class in the holdout is enough to fit a model, though not to judge it."""
    sides = {"negative": 50, "positive": 50}, {"negative": 1, "positive": 1}
    assert require_trainable(spec, taken_in(*sides)).version == 3
