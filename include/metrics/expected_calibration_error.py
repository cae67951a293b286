"""Expected calibration error: how far predicted probabilities are from shares of positives."""

import numpy as np

from include.metrics import Metric
from include.metrics.predictions import Labels, Numbers, Predictions

QUANTILES = 10
"""Bins of equally many rows."""


class _ExpectedCalibrationError(Metric):
    name, title = "expected_calibration_error", "expected calibration error"
    greater_is_better = False

    def value(self, y: Labels, predictions: Predictions) -> float:
        return calibration_error(y, predictions.probability)


def calibration_error(y: Labels, probability: Numbers) -> float:
    """Return the expected calibration error over bins of equally many rows, from 0 to 1.

    The distance between the mean probability of a bin and its share of positives, averaged over the
    bins by their rows (Naeini, Cooper and Hauskrecht, AAAI 2015; on quantiles: Nguyen and O'Connor,
    EMNLP 2015). Rows of equal probability share a bin. With n rows it is::

        sum over bins of |sum over the bin's rows of (probability - y)| / n

    Example: y = 0, 0, 1, 1, 1 with probabilities .1, .3, .3, .8, .9 makes the bins {.1}, {.3, .3},
    {.8}, {.9} with the sums .1, -.4, -.2, -.1, so the error is 0.8 / 5 = 0.16.
    """
    edges = np.quantile(probability, np.linspace(0, 1, QUANTILES + 1)[1:-1])
    bins = np.searchsorted(edges, probability)
    surplus = np.bincount(bins, weights=probability - y, minlength=QUANTILES)
    return float(np.abs(surplus).sum() / len(y))


METRIC = _ExpectedCalibrationError()
