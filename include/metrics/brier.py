"""Brier score: the mean squared distance of probability and label."""

from include.metrics import Metric
from include.metrics.predictions import Labels, Predictions


class _Brier(Metric):
    name, title = "brier", "Brier score"
    greater_is_better = False

    def value(self, y: Labels, predictions: Predictions) -> float:
        from sklearn.metrics import brier_score_loss

        return float(brier_score_loss(y, predictions.probability))


METRIC = _Brier()
