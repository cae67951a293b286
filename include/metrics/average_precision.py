"""Average precision: the area under the curve of precision over recall, as steps."""

from include.metrics import Figures, Skill
from include.metrics.class_shares import positive_share
from include.metrics.predictions import Labels, Predictions


class _AveragePrecision(Skill):
    name, title = "average_precision", "average precision"
    without_skill = "ranking rows by chance"

    def value(self, y: Labels, predictions: Predictions) -> float:
        from sklearn.metrics import average_precision_score

        return float(average_precision_score(y, predictions.probability))

    def no_skill(self, figures: Figures) -> float:
        return positive_share(figures)


METRIC = _AveragePrecision()
