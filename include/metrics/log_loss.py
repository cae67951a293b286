"""Log loss: the mean negative logarithm of the probability of the true class."""

from include.metrics import Metric
from include.metrics.predictions import Labels, Predictions


class _LogLoss(Metric):
    name, title = "log_loss", "log loss"
    greater_is_better = False

    def value(self, y: Labels, predictions: Predictions) -> float:
        from sklearn.metrics import log_loss

        return float(log_loss(y, predictions.probability))


METRIC = _LogLoss()
