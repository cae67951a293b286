"""What is drawn of probabilities of two classes; each contender is a line on the same axes."""

from collections.abc import Mapping
from functools import partial

from matplotlib.axes import Axes
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve, roc_curve

from include.metrics import Objective
from include.metrics.predictions import Labels, ThresholdedProbability
from include.problems import Drawing


def drawings(metric: Objective) -> Mapping[str, Drawing]:
    """Return the four drawings by the names of their pictures."""
    return {
        "roc": _roc,
        "precision_recall": _precision_recall,
        "calibration": _calibration,
        f"{metric.name}_by_threshold": partial(_by_threshold, metric),
    }


def _roc(axes: Axes, y: Labels, name: str, contender: ThresholdedProbability) -> None:
    false_share, true_share, _ = roc_curve(y, contender.probability)
    axes.plot(false_share, true_share, label=name)
    axes.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")


def _precision_recall(axes: Axes, y: Labels, name: str, contender: ThresholdedProbability) -> None:
    precision, recall, _ = precision_recall_curve(y, contender.probability)
    axes.plot(recall, precision, label=name)
    axes.set(title="Precision and recall", xlabel="recall", ylabel="precision")


def _calibration(axes: Axes, y: Labels, name: str, contender: ThresholdedProbability) -> None:
    observed, predicted = calibration_curve(
        y, contender.probability, n_bins=10, strategy="quantile"
    )
    axes.plot(predicted, observed, marker="o", label=name)
    axes.axline((0, 0), slope=1, color="grey", linestyle=":", linewidth=1)
    axes.set(title="Calibration", xlabel="mean probability", ylabel="share of positives")


def _by_threshold(
    metric: Objective, axes: Axes, y: Labels, name: str, contender: ThresholdedProbability
) -> None:
    thresholds, values = metric.by_threshold(y, contender.probability)
    (line,) = axes.plot(thresholds, values, label=name)
    axes.axvline(contender.threshold, color=line.get_color(), linestyle=":", linewidth=1)
    axes.set(title=f"{metric.title} by threshold", xlabel="threshold", ylabel=metric.title)
