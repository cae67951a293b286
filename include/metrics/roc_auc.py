"""Area under the ROC curve: how often a positive row ranks above a negative one."""

from include.metrics import Metric
from include.metrics.predictions import Labels, Predictions


class _RocArea(Metric):
    name, title = "roc_auc", "ROC AUC"

    def value(self, y: Labels, predictions: Predictions) -> float:
        from sklearn.metrics import roc_auc_score

        return float(roc_auc_score(y, predictions.probability))


METRIC = _RocArea()
