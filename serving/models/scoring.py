"""Computes probabilities, and checks that they are usable before they are sent."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from serving.bundle import Bundle, bounded_probability
from serving.models.quick import QuickBundle


class UnscorableError(Exception):
    """The model gave no usable probability for these rows; the message says why."""


def score(bundle: Bundle, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return probabilities in [0, 1], shape (n,), or raise UnscorableError.

    When the chosen way gives none, the model itself is asked.
    """
    probability = _asked(bundle.probability, matrix)
    # As one comparison of both ends; a NaN fails it too.
    if probability.min() >= 0 and probability.max() <= 1:
        return probability
    between = bounded_probability(probability)
    if isinstance(bundle, QuickBundle) and np.isnan(between).any():
        problem = ArithmeticError("it found no probability")
        probability = _asked(partial(bundle.slowly, problem=problem), matrix)
        between = bounded_probability(probability)
    if np.isnan(between).any():
        row = int(np.argmax(np.isnan(between)))
        raise UnscorableError(
            f"row {row} has the probability {probability[row]}, so its values lie too far from "
            "what the model was fitted on"
        )
    return between


def _asked(
    ask: Callable[[NDArray[np.float32]], NDArray[np.float64]], matrix: NDArray[np.float32]
) -> NDArray[np.float64]:
    try:
        # Finite values can still overflow inside a model; whoever asks looks at what comes of it.
        with np.errstate(all="ignore"):
            probability = ask(matrix)
    except (ValueError, ArithmeticError) as error:
        raise UnscorableError(" ".join(str(error).split())[:200]) from error
    if probability.shape != (len(matrix),):
        raise UnscorableError(f"it gave shape {probability.shape} for {len(matrix)} rows")
    return probability
