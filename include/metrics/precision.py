"""Precision: the share of positives among the rows that are called positive."""

from include.metrics import Metric
from include.metrics.predictions import Labels, Predictions


class _Precision(Metric):
    name, title = "precision", "precision"

    def value(self, y: Labels, predictions: Predictions) -> float:
        from sklearn.metrics import precision_score

        return float(precision_score(y, predictions.calls, zero_division=0.0))


METRIC = _Precision()
