"""How the train side is cut into stratified folds, laid out so that a fold costs no copy.

The rows stand fold after fold, and all folds but the last stand a second time behind them. So the
rows that any fold is fitted on are one run of the matrix, its validation rows another, and both are
views of one memory-mapped file. Within a fold the classes are interleaved, so the first rows of
every fold are a stratified part of it, and parts of growing size are nested.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.model_selection import StratifiedKFold

from include.records.arrays import Labels, Matrix, RowNumbers
from include.spec.model_spec import Selection

LEAST_VALIDATION = 4_000
"""Rows that a small part is validated on at least, where a fold has them: asking is cheap, and F1
on a few hundred rows says little."""


@dataclass(frozen=True)
class Fold:
    """One pair of rows to fit on and rows to validate on."""

    X: Matrix
    y: Labels
    X_validation: Matrix
    y_validation: Labels


@dataclass(frozen=True)
class Folded:
    """The train side in the order of its folds, every fold but the last standing there twice."""

    X: Matrix
    """Shape (rows and rows again without the last fold, features)."""
    y: Labels
    bounds: tuple[int, ...]
    """Where each fold begins, and after the last one the number of rows."""

    @property
    def rows(self) -> int:
        """The number of train rows, each counted once."""
        return self.bounds[-1]

    @cached_property
    def folds(self) -> tuple[int, ...]:
        """The number of each fold."""
        return tuple(range(len(self.bounds) - 1))

    @property
    def whole(self) -> tuple[Matrix, Labels]:
        """Every train row once."""
        return self.X[: self.rows], self.y[: self.rows]

    def fold(self, number: int, rows: int) -> Fold:
        """Return a fold cut from `rows` of the train rows, a stratified part of each fold.

        With all rows nothing is copied; of a part the rows to fit on are.
        """
        validation = self._validation(number, rows)
        fitted = self._others(number, rows)
        return Fold(*fitted, self.X[validation], self.y[validation])

    def validation_labels(self, number: int, rows: int) -> Labels:
        """Return the labels of the rows that such a fold is validated on."""
        return self.y[self._validation(number, rows)]

    def _validation(self, number: int, rows: int) -> slice:
        begin, end = self.bounds[number], self.bounds[number + 1]
        wanted = max(self._share(number, rows), LEAST_VALIDATION)
        return slice(begin, min(end, begin + wanted))

    def _others(self, number: int, rows: int) -> tuple[Matrix, Labels]:
        if rows >= self.rows:
            run = slice(self.bounds[number + 1], self.rows + self.bounds[number])
            return self.X[run], self.y[run]
        parts = [
            slice(self.bounds[other], self.bounds[other] + self._share(other, rows))
            for other in self.folds
            if other != number
        ]
        return np.concatenate([self.X[one] for one in parts]), np.concatenate(
            [self.y[one] for one in parts]
        )

    def _share(self, number: int, rows: int) -> int:
        size = self.bounds[number + 1] - self.bounds[number]
        return min(size, -(-size * rows // self.rows))


def fold_order(y: Labels, rule: Selection) -> tuple[RowNumbers, tuple[int, ...]]:
    """Return the row numbers of every fold, one after the other, and the bounds of the folds.

    Folds are scikit-learn's, stratified and shuffled by the seed. Of each class a fold has a row at
    its very beginning, so that no part is without one; the others are spread evenly.
    """
    folds = StratifiedKFold(rule.folds, shuffle=True, random_state=rule.seed)
    rng = np.random.default_rng(rule.seed)
    numbers = [_spread(y, rng.permutation(rows)) for _, rows in folds.split(np.zeros(len(y)), y)]
    bounds = np.cumsum([0, *map(len, numbers)])
    return np.concatenate(numbers), tuple(bounds.tolist())


def doubled(order: RowNumbers, bounds: tuple[int, ...]) -> RowNumbers:
    """Return the row numbers of a `Folded` matrix: all, and again all but those of the last."""
    return np.concatenate([order, order[: bounds[-2]]])


def folded(X: Matrix, y: Labels, rule: Selection) -> Folded:
    """Lay a train side out in memory; X has shape (rows, features), y is 1 for positive."""
    order, bounds = fold_order(y, rule)
    rows = doubled(order, bounds)
    return Folded(X[rows], y[rows], bounds)


def _spread(y: Labels, rows: RowNumbers) -> RowNumbers:
    """Order shuffled rows of a fold so that its first ones are a stratified part, however many."""
    place = np.empty(len(rows))
    for label in np.unique(y[rows]):
        members = np.flatnonzero(y[rows] == label)
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
        place[members[0]] = 0.0
    return rows[np.argsort(place, kind="stable")]
