"""The arrays that stages exchange, named once with their shapes and dtypes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
"""Features, shape (rows, features), C order."""
Labels = NDArray[np.int8]
"""Shape (rows,): 1 is positive, 0 is negative."""
Probabilities = NDArray[np.float64]
"""Shape (rows,): the probability that a row is positive."""
Calls = NDArray[np.bool_]
"""Shape (rows,): True where a model calls a row positive."""
RowNumbers = NDArray[np.int64]
"""Shape (n,): positions in a matrix."""
Block = tuple[Matrix, Labels]
"""Some rows of a side with their labels."""
Blocks = Callable[[], Iterator[Block]]
"""Gives the rows of a side block by block, from the first one each time it is called."""


@dataclass(frozen=True)
class Outcome:
    """What one fit came to on the validation rows of one fold."""

    probability: NDArray[np.float64]
    """Shape (candidates, validation rows); a row of NaN where the fit stopped before a candidate's
    number of rounds. Of no row when the fit failed."""
    seconds: float
    failure: str = ""
    reached: int = 0
    """Rounds after which boosting ended by itself; 0 where it did not, or cannot."""
