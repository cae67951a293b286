"""The decision rule of two classes: the probability from which a row is called positive."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from include.metrics.call_counts import Cells
from include.metrics.predictions import Labels, Numbers

_RESAMPLES = 200
"""Resamples of the rows that a bagged threshold is the mean over."""
Merits = Callable[[Cells], Numbers]
"""How good each of many confusion matrices is, shape (n,); the greater, the better."""


def best_threshold(y: Labels, probability: Numbers, merits: Merits) -> float:
    """Return the best threshold; rows at or above it are called positive.

    It lies halfway between two neighbouring probabilities, where there is a number between them, so
    that rounding the last digit moves no row across it.

    Example by F1: with the k rows of highest probability called positive, F1 = 2 hits / (k +
    positives). Probabilities .9, .8, .6, .5, .1 of rows labelled 1, 1, 0, 1, 0 give F1 of .50, .80,
    .67, .86 and .75 for k = 1 to 5, so the threshold is halfway between .5 and .1, at .3.
    """
    order = np.argsort(-probability, kind="stable")
    return _best_cut(y[order], probability[order], np.ones(len(y), np.int64), merits)


def bagged_threshold(y: Labels, probability: Numbers, seed: int, merits: Merits) -> float:
    """Return the mean of the best thresholds of resampled rows.

    The best threshold of one set of rows follows its luck: with few positives, F1 as a function of
    the threshold is ragged. The mean over bootstrap samples is steadier (Breiman, Bagging
    Predictors, Machine Learning 24, 1996), and its F1 on rows that it was not tuned on is no worse
    (decision 17). Each sample counts every row a Poisson(1) number of times. y must hold a positive
    row.
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(-probability, kind="stable")
    ranked, labels = probability[order], y[order]
    thresholds = []
    for _ in range(_RESAMPLES):
        times = rng.poisson(1.0, len(y))
        drawn = times > 0
        if labels[drawn].any():
            thresholds.append(_best_cut(labels[drawn], ranked[drawn], times[drawn], merits))
    return float(np.float32(np.mean(thresholds)))


def cells_of_cuts(y: Labels, times: NDArray[np.int64]) -> Cells:
    """Return the confusion matrix with the first k rows called positive, for each k from 1 on.

    Rows stand in falling order of probability; `times` is how often each counts, shape (rows,).
    """
    hits, called = np.cumsum(y * times), np.cumsum(times)
    false_calls = called - hits
    return Cells(hits, hits[-1] - hits, false_calls, false_calls[-1] - false_calls)


def _best_cut(y: Labels, ranked: Numbers, times: NDArray[np.int64], merits: Merits) -> float:
    """Return the best threshold of rows in falling order of probability."""
    merit = merits(cells_of_cuts(y, times))
    # Rows of equal probability are on one side: only the last of them can be where the positive
    # calls end.
    boundary = np.append(ranked[:-1] > ranked[1:], True)
    last = int(np.argmax(np.where(boundary, merit, -np.inf)))
    below = ranked[last + 1] if last + 1 < len(ranked) else 0.0
    # In float32, so that the comparison is the same whichever precision a model answers in.
    halfway = float(np.float32((ranked[last] + below) / 2))
    return halfway if below < halfway <= ranked[last] else float(ranked[last])
