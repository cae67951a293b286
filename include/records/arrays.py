"""The arrays that stages exchange, each named with its shape and dtype."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
"""Features, float32, shape (rows, features), C order; NaN is missing, a category is its place."""
Labels = NDArray[np.int8]
"""int8, shape (rows,): 1 is positive, 0 is negative."""
Probabilities = NDArray[np.float64]
"""float64, shape (rows,): the probability that a row is positive."""
Calls = NDArray[np.bool_]
"""bool, shape (rows,): True where a model calls a row positive."""
RowNumbers = NDArray[np.int64]
"""int64, shape (n,): positions of rows in a matrix."""
Block = tuple[Matrix, Labels]
"""Some rows of the train side or the holdout, with their labels."""
Blocks = Callable[[], Iterator[Block]]
"""Yields all rows of a side block by block, from the first one at each call."""


@dataclass(frozen=True)
class FitOutcome:
    """The result of one fit on the validation rows of one fold."""

    probability: NDArray[np.float64]
    """Shape (candidates, validation rows); a row of NaN where boosting stopped before a candidate's
    number of rounds. Shape (0, 0) when the fit failed."""
    seconds: float
    """Wall time of fitting and predicting."""
    failure: str = ""
    """Why the fit failed; empty when it did not."""
    reached: int = 0
    """Rounds after which boosting stopped early; 0 where it did not, or cannot."""
