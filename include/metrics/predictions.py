"""What a model says of rows, as metrics are given it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int8]
"""int8, shape (rows,): 1 is positive, 0 is negative."""
Numbers = NDArray[np.float64]
"""float64, shape (n,)."""


@dataclass(frozen=True)
class ThresholdedProbability:
    """The probability of rows to be positive, and from which one on they are called so."""

    probability: Numbers
    """Shape (rows,)."""
    threshold: float

    @property
    def calls(self) -> NDArray[np.bool_]:
        """True for the rows that are called positive, shape (rows,)."""
        return self.probability >= self.threshold

    def at(self, rows: NDArray[np.bool_]) -> "ThresholdedProbability":
        """Return the predictions of the rows that a mask marks."""
        return ThresholdedProbability(self.probability[rows], self.threshold)


Predictions = ThresholdedProbability
"""A union of all kinds of predictions: there is one kind today."""
