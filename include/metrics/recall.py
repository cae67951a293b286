"""Recall: the share of the positive rows that are called positive."""

from include.metrics import Metric
from include.metrics.predictions import Labels, Predictions


class _Recall(Metric):
    name, title = "recall", "recall"

    def value(self, y: Labels, predictions: Predictions) -> float:
        from sklearn.metrics import recall_score

        return float(recall_score(y, predictions.calls, zero_division=0.0))


METRIC = _Recall()
