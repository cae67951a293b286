"""Computes what a model says of rows, and checks that it can be answered before it is sent."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from serving.bundle import Bundle
from serving.models.quick import QuickBundle


class UnscorableError(Exception):
    """The model said nothing of use about these rows; the message says why."""


def score(bundle: Bundle, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return scores that can be answered, one a row, or raise UnscorableError.

    When the chosen way gives none, the model itself is asked.
    """
    problem = bundle.problem
    scores = _asked(bundle.scores, matrix)
    if problem.are_usable(scores):
        return scores
    usable = problem.usable(scores)
    if isinstance(bundle, QuickBundle) and np.isnan(usable).any():
        cause = ArithmeticError(f"it found no {problem.score_name}")
        scores = _asked(partial(bundle.slowly, cause=cause), matrix)
        usable = problem.usable(scores)
    if np.isnan(usable).any():
        row = int(np.argwhere(np.isnan(usable))[0][0])
        raise UnscorableError(
            f"row {row} has the {problem.score_name} {scores[row]}, so its values lie too far from "
            "what the model was fitted on"
        )
    return usable


def _asked(
    ask: Callable[[NDArray[np.float32]], NDArray[np.float64]], matrix: NDArray[np.float32]
) -> NDArray[np.float64]:
    try:
        # Finite values can still overflow inside a model; whoever asks looks at what comes of it.
        with np.errstate(all="ignore"):
            scores = ask(matrix)
    except (ValueError, ArithmeticError) as error:
        raise UnscorableError(" ".join(str(error).split())[:200]) from error
    if len(scores) != len(matrix):
        raise UnscorableError(f"it gave shape {scores.shape} for {len(matrix)} rows")
    return scores
