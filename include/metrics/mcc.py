"""Matthews correlation coefficient: that of calls and labels, from -1 to 1."""

from include.metrics import Metric
from include.metrics.predictions import Labels, Predictions


class _MatthewsCorrelation(Metric):
    name, title = "mcc", "MCC"

    def value(self, y: Labels, predictions: Predictions) -> float:
        from sklearn.metrics import matthews_corrcoef

        return float(matthews_corrcoef(y, predictions.calls))


METRIC = _MatthewsCorrelation()
