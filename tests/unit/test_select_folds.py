import numpy as np
import pytest

from include.spec.model_spec import Selection
from include.stages.select import FoldedRows, fold_order, fold_rows

RULE = Selection(folds=5, seed=3)
Y = np.array([1] * 60 + [0] * 440, np.int8)
X = np.arange(500, dtype=np.float32)[:, None]  # a row's only feature is its number
SIDE = fold_rows(X, Y, RULE)


def numbers(rows: np.ndarray) -> set[int]:
    """Return which rows stand in a matrix."""
    return set(rows[:, 0].astype(int))


@pytest.mark.parametrize("fold", SIDE.folds)
@pytest.mark.parametrize("rows", [500, 250, 61])
def test_nothing_is_fitted_on_and_validated_on(fold: int, rows: int) -> None:
    """Neither in a fold of all rows nor in one of a part."""
    cut = SIDE.fold(fold, rows)
    assert numbers(cut.X).isdisjoint(numbers(cut.X_validation))
    assert len(numbers(cut.X)) == len(cut.X)
    assert np.array_equal(Y[cut.X[:, 0].astype(int)], cut.y)
    assert np.array_equal(Y[cut.X_validation[:, 0].astype(int)], cut.y_validation)
    assert np.array_equal(SIDE.validation_labels(fold, rows), cut.y_validation)


def test_the_folds_of_all_rows_validate_each_row_once() -> None:
    """One after the other they are the rows in the order of the matrix."""
    validated = [SIDE.fold(fold, 500).X_validation for fold in SIDE.folds]
    assert np.array_equal(np.concatenate(validated), SIDE.whole[0])
    assert numbers(np.concatenate(validated)) == set(range(500))
    for fold in SIDE.folds:
        assert len(SIDE.fold(fold, 500).X) == 400
        assert SIDE.fold(fold, 500).y.sum() == 48


@pytest.mark.parametrize("fold", SIDE.folds)
def test_a_fold_of_all_rows_is_no_copy(fold: int) -> None:
    """What is fitted on and what is validated on are views of the one matrix."""
    cut = SIDE.fold(fold, 500)
    assert np.shares_memory(cut.X, SIDE.X)
    assert np.shares_memory(cut.X_validation, SIDE.X)


def test_growing_parts_are_nested_and_stratified() -> None:
    """A larger part has every row of a smaller one, each class within a row a fold of its share."""
    small, large = SIDE.fold(0, 100), SIDE.fold(0, 300)
    assert numbers(small.X) < numbers(large.X) < numbers(SIDE.fold(0, 500).X)
    for part in (small, large):
        assert part.y.mean() == pytest.approx(0.12, abs=4 / len(part.y))


def test_a_rare_class_is_in_every_part() -> None:
    """Six positives among two thousand rows: no fold of a part is without one."""
    rare = np.array([0] * 2000 + [1] * 6, np.int8)
    side = fold_rows(np.zeros((2006, 1), np.float32), rare, RULE)
    for fold in side.folds:
        cut = side.fold(fold, 100)
        assert cut.y.sum() == 4
        assert cut.y_validation.sum() >= 1


def test_equal_seeds_cut_alike_and_others_do_not() -> None:
    """The folds follow from labels, number and seed alone."""
    assert np.array_equal(fold_order(Y, RULE)[0], fold_order(Y, RULE)[0])
    other = RULE.model_copy(update={"seed": 4})
    assert not np.array_equal(fold_order(Y, RULE)[0], fold_order(Y, other)[0])


def test_a_small_part_is_validated_on_more_rows_than_its_share() -> None:
    """F1 on a few rows says little, and asking costs little."""
    y = np.array([0, 1] * 20_000, np.int8)
    side: FoldedRows = fold_rows(np.zeros((40_000, 1), np.float32), y, RULE)
    assert len(side.fold(0, 1000).X_validation) == 4000
    assert len(side.fold(0, 30_000).X_validation) == 6000
    assert len(side.fold(0, 40_000).X_validation) == 8000
