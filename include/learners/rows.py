"""What a learner is given to fit on, and what it gives back.

Apart from the learners, for whoever reads a spec asks these and needs no arrays.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
Classes = NDArray[np.int8]
Staged = NDArray[np.float64]
"""Probabilities of the positive class, shape (sizes, validation rows)."""
SharedMatrix = Callable[[Hashable, Callable[[], Any]], Any]
"""Takes what identifies a matrix and how to make it; the first fit that needs it makes it."""
RowBlocks = Callable[[], Iterator[tuple[Any, Classes]]]
"""Yields all rows block by block, from the first one at each call."""


@dataclass(frozen=True)
class Fold:
    """The rows to fit on and the rows to validate on of one fold."""

    X: Features
    """Shape (rows, features)."""
    y: Classes
    """1 is positive, shape (rows,)."""
    X_validation: Features
    y_validation: Classes
