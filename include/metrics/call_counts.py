"""Counts of the calls of one model and of two, from which many metrics follow."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from include.metrics.predictions import Labels

Calls = NDArray[np.bool_]


class Cells(NamedTuple):
    """The cells of a confusion matrix: numbers, or arrays of one number for each of many."""

    hits: Any
    """Positive rows that are called positive."""
    misses: Any
    false_calls: Any
    rest: Any
    """Negative rows that are called negative."""


@dataclass(frozen=True)
class CallCounts:
    """The confusion matrix of a model's calls of some rows."""

    hits: int
    misses: int
    false_calls: int
    rest: int
    """Negative rows that it called negative."""

    @classmethod
    def none(cls) -> "CallCounts":
        """Return the counts of no rows."""
        return cls(hits=0, misses=0, false_calls=0, rest=0)

    @property
    def rows(self) -> int:
        """All rows that were called."""
        return self.positives + self.false_calls + self.rest

    @property
    def positives(self) -> int:
        """Rows that are positive."""
        return self.hits + self.misses

    @property
    def cells(self) -> Cells:
        """The counts as a metric takes them."""
        return Cells(self.hits, self.misses, self.false_calls, self.rest)


@dataclass(frozen=True)
class Agreement:
    """How two models called the same holdout rows, counted per true class.

    Four counts for each class: rows called positive by neither, by the challenger alone, by the
    champion alone, and by both. A paired comparison by counts needs nothing else.
    """

    positives: tuple[int, int, int, int]
    negatives: tuple[int, int, int, int]

    @classmethod
    def none(cls) -> "Agreement":
        """Return the counts of no rows."""
        return cls(positives=(0, 0, 0, 0), negatives=(0, 0, 0, 0))

    @property
    def rows(self) -> int:
        """All rows that were called."""
        return sum(self.positives) + sum(self.negatives)

    @property
    def disagreements(self) -> int:
        """Rows that one model called positive and the other did not."""
        return sum(self.positives[1:3]) + sum(self.negatives[1:3])

    @property
    def has_hits(self) -> bool:
        """Whether any positive row was called positive."""
        return any(self.positives[1:])

    @property
    def false_calls(self) -> tuple[int, int]:
        """Negative rows that the challenger called positive, and that the champion did."""
        _, challenger, champion, both = self.negatives
        return challenger + both, champion + both

    @property
    def mirrored(self) -> "Agreement":
        """The counts with the contenders exchanged."""
        return Agreement(_exchanged(self.positives), _exchanged(self.negatives))


def count_calls(y: Labels, called: Calls) -> CallCounts:
    """Count the right and wrong calls of a model; `called` is True for positive, shape (rows,)."""
    misses, hits = np.bincount(called[y == 1], minlength=2).tolist()
    rest, false_calls = np.bincount(called[y == 0], minlength=2).tolist()
    return CallCounts(hits, misses, false_calls, rest)


def count_agreement(y: Labels, challenger: Calls, champion: Calls) -> Agreement:
    """Count how two models called the same rows; calls are True for positive, shape (rows,)."""
    # 0: positive by neither, 1: by the challenger alone, 2: by the champion alone, 3: by both.
    cell = challenger.astype(np.int64) + 2 * champion.astype(np.int64)
    counted = [np.bincount(cell[y == label], minlength=4).tolist() for label in (1, 0)]
    return Agreement(tuple(counted[0]), tuple(counted[1]))


def _exchanged(counts: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    neither, challenger, champion, both = counts
    return neither, champion, challenger, both
