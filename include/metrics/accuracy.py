"""Accuracy: the share of rows that are called rightly."""

from include.metrics import Metric
from include.metrics.predictions import Labels, Predictions


class _Accuracy(Metric):
    name, title = "accuracy", "accuracy"

    def value(self, y: Labels, predictions: Predictions) -> float:
        from sklearn.metrics import accuracy_score

        return float(accuracy_score(y, predictions.calls))


METRIC = _Accuracy()
