"""Cuts the train side into stratified folds, laid out so that reading a fold copies nothing.

The rows are stored fold after fold, and all folds but the last are stored a second time behind
them. So the rows that any fold is fitted on are one contiguous run of the matrix, its validation
rows another, and both are views of one memory-mapped file. Within a fold the classes are
interleaved, so the first rows of every fold are a stratified part of it, and parts of growing size
are nested.

Example with 9 rows in 3 folds, stored as f0 f1 f2 f0 f1 with bounds 0, 3, 6, 9: fold 0 is fitted on
rows 3 to 9 (f1 f2), fold 1 on rows 6 to 12 (f2 f0), fold 2 on rows 9 to 15 (f0 f1).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.model_selection import StratifiedKFold

from include.learners.rows import Fold
from include.records.arrays import Labels, Matrix, RowNumbers
from include.spec.model_spec import Selection

LEAST_VALIDATION = 4_000
"""Rows that a small part is validated on at least, where a fold has as many: predicting is cheap,
and a metric on a few hundred rows says little."""


@dataclass(frozen=True)
class FoldLabels:
    """The labels of the train side in the order of its folds: what comparing results takes."""

    y: Labels
    """1 is positive; each train row once, in what inherits some twice."""
    bounds: tuple[int, ...]
    """The first row of each fold, and at the end the number of rows."""

    @property
    def rows(self) -> int:
        """The number of train rows, each counted once."""
        return self.bounds[-1]

    @cached_property
    def folds(self) -> tuple[int, ...]:
        """The number of each fold, from 0."""
        return tuple(range(len(self.bounds) - 1))

    def validation_labels(self, number: int, rows: int) -> Labels:
        """Return the labels of the rows that such a fold is validated on, shape (rows,)."""
        return self.y[self._validation(number, rows)]

    def _validation(self, number: int, rows: int) -> slice:
        begin, end = self.bounds[number], self.bounds[number + 1]
        wanted = max(self._share(number, rows), LEAST_VALIDATION)
        return slice(begin, min(end, begin + wanted))

    def _share(self, number: int, rows: int) -> int:
        """Return how many rows of a fold belong to a part of so many train rows, rounded up."""
        size = self.bounds[number + 1] - self.bounds[number]
        return min(size, -(-size * rows // self.rows))


@dataclass(frozen=True)
class FoldedRows(FoldLabels):
    """The train side in the order of its folds; every fold but the last is stored twice."""

    X: Matrix
    """Shape (rows + rows without the last fold, features); `y` has the label of each."""

    @property
    def whole(self) -> tuple[Matrix, Labels]:
        """Every train row once."""
        return self.X[: self.rows], self.y[: self.rows]

    def fold(self, number: int, rows: int) -> Fold:
        """Return a fold cut from `rows` of the train rows, a stratified part of each fold.

        With all rows nothing is copied; of a part, the rows to fit on are copied.
        """
        validation = self._validation(number, rows)
        fitted = self._others(number, rows)
        return Fold(*fitted, self.X[validation], self.y[validation])

    def _others(self, number: int, rows: int) -> tuple[Matrix, Labels]:
        if rows >= self.rows:
            run = slice(self.bounds[number + 1], self.rows + self.bounds[number])
            return self.X[run], self.y[run]
        parts = [
            slice(self.bounds[other], self.bounds[other] + self._share(other, rows))
            for other in self.folds
            if other != number
        ]
        return np.concatenate([self.X[part] for part in parts]), np.concatenate(
            [self.y[part] for part in parts]
        )


def fold_order(y: Labels, rule: Selection) -> tuple[RowNumbers, tuple[int, ...]]:
    """Return the row numbers of every fold, one fold after the other, and the bounds of the folds.

    The folds are scikit-learn's, stratified and shuffled by the seed. Each fold begins with a row
    of each class, so that no part lacks one; the other rows of each class are spread evenly.
    """
    folds = StratifiedKFold(rule.folds, shuffle=True, random_state=rule.seed)
    rng = np.random.default_rng(rule.seed)
    numbers = [_spread(y, rng.permutation(rows)) for _, rows in folds.split(np.zeros(len(y)), y)]
    bounds = np.cumsum([0, *map(len, numbers)])
    return np.concatenate(numbers), tuple(bounds.tolist())


def doubled_order(order: RowNumbers, bounds: tuple[int, ...]) -> RowNumbers:
    """Return the row numbers of a `FoldedRows` matrix: all, then all but those of the last fold."""
    return np.concatenate([order, order[: bounds[-2]]])


def fold_rows(X: Matrix, y: Labels, rule: Selection) -> FoldedRows:
    """Lay a train side out in memory; X has shape (rows, features), y is 1 for positive."""
    order, bounds = fold_order(y, rule)
    rows = doubled_order(order, bounds)
    return FoldedRows(y[rows], bounds, X[rows])


def _spread(y: Labels, rows: RowNumbers) -> RowNumbers:
    """Order shuffled rows of a fold so that its first n are a stratified part, for every n.

    Row i of the m rows of a class, counted from 0, is placed at (i + 0.5) / m, the first one at 0.

    Example with rows 0 to 9, of which 0 and 4 are positive: the order is 0 1 2 3 5 6 7 4 8 9, so
    the first five rows have one positive row and all ten have two.
    """
    place = np.empty(len(rows))
    for label in np.unique(y[rows]):
        members = np.flatnonzero(y[rows] == label)
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
        place[members[0]] = 0.0
    return rows[np.argsort(place, kind="stable")]
