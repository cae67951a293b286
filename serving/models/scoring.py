"""Probabilities that can be sent, or the reason why there are none."""

import numpy as np
from numpy.typing import NDArray

from serving.bundle import Bundle, bounded


class UnscorableError(Exception):
    """The model gave no usable probability for these rows; the message says why."""


def score(bundle: Bundle, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return probabilities in [0, 1], shape (n,), or raise UnscorableError."""
    try:
        # Finite values can still overflow inside a model; the check below finds what comes of it.
        with np.errstate(all="ignore"):
            probability = bundle.probability(matrix)
    except (ValueError, ArithmeticError) as error:
        raise UnscorableError(" ".join(str(error).split())[:200]) from error
    if probability.shape != (len(matrix),):
        raise UnscorableError(f"it gave shape {probability.shape} for {len(matrix)} rows")
    # As one comparison of both ends; a NaN fails it too.
    if probability.min() >= 0 and probability.max() <= 1:
        return probability
    between = bounded(probability)
    if np.isnan(between).any():
        row = int(np.argmax(np.isnan(between)))
        raise UnscorableError(
            f"row {row} has the probability {probability[row]}, so its values lie too far from "
            "what the model was fitted on"
        )
    return between
