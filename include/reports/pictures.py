"""Plots of scores: four of both contenders, and one of the resampled gains.

In the four, each contender is a line on the same axes.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve, roc_curve

from include.metrics import Objective
from include.metrics.predictions import ThresholdedProbability
from include.records.arrays import Labels

Contenders = Mapping[str, ThresholdedProbability]
Drawing = Callable[[Axes, Labels, str, ThresholdedProbability], None]


def draw(y: Labels, contenders: Contenders, metric: Objective) -> dict[str, Figure]:
    """Return the figures by file stem; y has shape (rows,), 1 for positive."""
    drawings: dict[str, Drawing] = {
        "roc": _roc,
        "precision_recall": _precision_recall,
        "calibration": _calibration,
        f"{metric.name}_by_threshold": partial(_by_threshold, metric),
    }
    return {name: _figure(y, contenders, drawing) for name, drawing in drawings.items()}


def draw_gains(gains: NDArray[np.float64], wanted: float, metric: Objective) -> Figure:
    """Return the histogram of gains on resampled rows, float64 of shape (draws,).

    Zero is marked, and the gain that the share `wanted` of them exceeds.
    """
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    axes.hist(gains, bins=60, color="tab:blue", alpha=0.6)
    axes.axvline(0, color="black", linewidth=1, label="no gain")
    reached = float(np.quantile(gains, 1 - wanted))
    label = f"{wanted:.1%} are above {reached:+.4f}"
    axes.axvline(reached, color="tab:red", linestyle="--", linewidth=1.5, label=label)
    axes.set(
        xlabel=f"gain in {metric.title}, challenger less champion", ylabel="resampled holdouts"
    )
    axes.legend()
    return figure


def _figure(y: Labels, contenders: Contenders, draw: Drawing) -> Figure:
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    for name, contender in contenders.items():
        draw(axes, y, name, contender)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


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
