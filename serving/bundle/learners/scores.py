"""How a fitted model is asked: functions of matrices, and what is put together of them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]
Transform = Callable[[Numbers], Numbers]
Score = Callable[[Numbers], Numbers]
"""Probability of the positive class, shape (n,), of a matrix of shape (n, features)."""
AsScore = Callable[[Callable[[], bytes]], Score | None]
"""Takes how to make an ONNX graph, and returns how to ask that; None where there can be none."""


def weighted_mean(scores: Sequence[Score], weights: Sequence[float] | None) -> Score:
    """Return the weighted mean of scores, as a voting classifier has it."""

    def mean(X: Numbers) -> Numbers:
        voices = np.stack([np.asarray(score(X), dtype=np.float64) for score in scores])
        return np.average(voices, axis=0, weights=weights)

    return mean


def score_after(transforms: Sequence[Transform], score: Score) -> Score:
    """Return a score that applies transforms to the rows first."""
    if not transforms:
        return score

    def transformed(X: Numbers) -> Numbers:
        for transform in transforms:
            X = transform(X)
        return score(X)

    return transformed
