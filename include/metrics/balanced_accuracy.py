"""Balanced accuracy: the mean of the shares of both classes that are called rightly."""

from include.metrics import Metric
from include.metrics.predictions import Labels, Predictions


class _BalancedAccuracy(Metric):
    name, title = "balanced_accuracy", "balanced accuracy"

    def value(self, y: Labels, predictions: Predictions) -> float:
        from sklearn.metrics import balanced_accuracy_score

        return float(balanced_accuracy_score(y, predictions.calls))


METRIC = _BalancedAccuracy()
