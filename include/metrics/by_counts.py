"""Metrics that are a fraction of counts of calls, and all that an objective needs of them.

The value is a fraction of two whole numbers, each of them a sum over the rows, so the same line
gives the value on rows, on resampled rows, on swapped calls and at every threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from include.metrics import Objective
from include.metrics.call_counts import (
    Agreement,
    CallCounts,
    Cells,
    count_agreement,
    count_calls,
)
from include.metrics.mistakes import Mistakes
from include.metrics.predictions import Labels, Numbers, Predictions
from include.metrics.resampling import drawn_gains
from include.metrics.swaps import Swaps, swaps
from include.metrics.thresholds import bagged_threshold, best_threshold, cells_of_cuts

FEW_DISAGREEMENTS = 20
"""With fewer rows that the two call differently, all swaps of their calls are counted: the
bootstrap is too confident on so few rows."""
# A decision made again from the same scores has to come out the same.
_SEED = 0


class FractionOfCounts(Objective, Protocol):
    """A metric whose value is a fraction of counts; 0 where there is nothing to divide by."""

    def fraction(self, cells: Cells) -> tuple[Any, Any]:
        """Return numerator and denominator, each a sum of cells with whole weights."""

    def of(self, cells: Cells) -> Any:
        """Return the value of one confusion matrix, or of each of many."""
        above, below = self.fraction(cells)
        return above / np.maximum(below, 1)

    def value(self, y: Labels, predictions: Predictions) -> float:
        """Return the value of the calls of rows."""
        return self.value_of(self.evidence(y, predictions))

    def evidence(self, y: Labels, predictions: Predictions) -> CallCounts:
        """Return the counts of the calls of rows."""
        return count_calls(y, predictions.calls)

    def value_of(self, evidence: CallCounts) -> float:
        """Return the value that counts come to."""
        return float(self.of(evidence.cells))

    def paired(self, y: Labels, challenger: Predictions, champion: Predictions) -> Agreement:
        """Return the counts of the calls of both."""
        return count_agreement(y, challenger.calls, champion.calls)

    def gains(self, paired: Agreement) -> Numbers:
        """Return by how much the challenger is better on resampled rows."""
        return drawn_gains(paired, lambda cells: self.merit(self.of(cells)))

    def exact(self, paired: Agreement) -> Swaps | None:
        """Return all ways to swap calls where the two differ on few rows."""
        if paired.disagreements >= FEW_DISAGREEMENTS:
            return None
        return swaps(paired, self._exact_merit)

    def mistakes(self, paired: Agreement) -> Mistakes | None:
        """Return nothing: on any rows the metric says which model is better."""
        del paired
        return None

    def resampled(self, evidence: Sequence[CallCounts], draws: int) -> list[Numbers]:
        """Return the value on resampled rows: drawing with replacement makes a multinomial."""
        rng = np.random.default_rng(_SEED)
        return [self._resampled(rng, counts, draws) for counts in evidence]

    def influence(self, y: Labels, predictions: Predictions) -> Numbers:
        """Return the influence of each row on a fraction of means, a / b.

        It is (a of the row - value * b of the row) / b.
        """
        truth, calls = y.astype(np.float64), predictions.calls.astype(np.float64)
        of_rows = Cells(
            truth * calls, truth * (1 - calls), (1 - truth) * calls, (1 - truth) * (1 - calls)
        )
        above, below = self.fraction(of_rows)
        value = above.mean() / below.mean()
        influence: Numbers = (above - value * below) / below.mean()
        return influence

    def tuned(self, y: Labels, probability: Numbers) -> float:
        """Return the threshold with the best value on these rows."""
        return best_threshold(y, probability, self._merits)

    def tuned_steadily(self, y: Labels, probability: Numbers, seed: int) -> float:
        """Return the mean of the best thresholds of resampled rows."""
        return bagged_threshold(y, probability, seed, self._merits)

    def by_threshold(self, y: Labels, probability: Numbers) -> tuple[Numbers, Numbers]:
        """Return every probability as a threshold, rising, and the value at each."""
        order = np.argsort(-probability, kind="stable")
        ranked = probability[order]
        values = self.of(cells_of_cuts(y[order], np.ones(len(y), np.int64)))
        last = np.append(ranked[:-1] > ranked[1:], True)
        return ranked[last][::-1], values[last][::-1]

    def _merits(self, cells: Cells) -> Numbers:
        merits: Numbers = self.merit(self.of(cells))
        return merits

    def _exact_merit(self, cells: Cells) -> Fraction:
        above, below = self.fraction(cells)
        merit: Fraction = self.merit(Fraction(above, below) if below else Fraction(0))
        return merit

    def _resampled(self, rng: np.random.Generator, counts: CallCounts, draws: int) -> Numbers:
        shares = np.array(counts.cells, np.float64) / counts.rows
        drawn = rng.multinomial(counts.rows, shares, size=draws)
        values: Numbers = self.of(Cells(*drawn.T))
        return values
