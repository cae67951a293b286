"""The arrays that stages exchange, named once with their shapes and dtypes."""

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
