"""Plots of scores: four of both contenders, and one of the resampled gains.

In the four, each contender is a line on the same axes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve, roc_curve

from include.records.arrays import Calls, Labels, Probabilities


@dataclass(frozen=True)
class Contender:
    """A model's probabilities on the holdout, shape (rows,), and its threshold."""

    probability: Probabilities
    threshold: float

    @property
    def calls(self) -> Calls:
        """True for the rows that it calls positive, shape (rows,)."""
        return self.probability >= self.threshold


Contenders = Mapping[str, Contender]


def draw(y: Labels, contenders: Contenders) -> dict[str, Figure]:
    """Return the figures by file stem; y has shape (rows,), 1 for positive."""
    drawings: dict[str, Callable[[Axes, Labels, str, Contender], None]] = {
        "roc": _roc,
        "precision_recall": _precision_recall,
        "calibration": _calibration,
        "f1_by_threshold": _f1_by_threshold,
    }
    return {name: _figure(y, contenders, drawing) for name, drawing in drawings.items()}


def draw_gains(gained: NDArray[np.float64], wanted: float) -> Figure:
    """Return the histogram of resampled gains in F1, float64 of shape (draws,).

    Zero is marked, and the gain that the share `wanted` of them exceeds.
    """
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    axes.hist(gained, bins=60, color="tab:blue", alpha=0.6)
    axes.axvline(0, color="black", linewidth=1, label="no gain")
    reached = float(np.quantile(gained, 1 - wanted))
    label = f"{wanted:.1%} are above {reached:+.4f}"
    axes.axvline(reached, color="tab:red", linestyle="--", linewidth=1.5, label=label)
    axes.set(xlabel="gain in F1, challenger less champion", ylabel="resampled holdouts")
    axes.legend()
    return figure


def _figure(
    y: Labels, contenders: Contenders, draw: Callable[[Axes, Labels, str, Contender], None]
) -> Figure:
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    for name, contender in contenders.items():
        draw(axes, y, name, contender)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _roc(axes: Axes, y: Labels, name: str, contender: Contender) -> None:
    false_share, true_share, _ = roc_curve(y, contender.probability)
    axes.plot(false_share, true_share, label=name)
    axes.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")


def _precision_recall(axes: Axes, y: Labels, name: str, contender: Contender) -> None:
    precision, recall, _ = precision_recall_curve(y, contender.probability)
    axes.plot(recall, precision, label=name)
    axes.set(title="Precision and recall", xlabel="recall", ylabel="precision")


def _calibration(axes: Axes, y: Labels, name: str, contender: Contender) -> None:
    observed, predicted = calibration_curve(
        y, contender.probability, n_bins=10, strategy="quantile"
    )
    axes.plot(predicted, observed, marker="o", label=name)
    axes.axline((0, 0), slope=1, color="grey", linestyle=":", linewidth=1)
    axes.set(title="Calibration", xlabel="mean probability", ylabel="share of positives")


def _f1_by_threshold(axes: Axes, y: Labels, name: str, contender: Contender) -> None:
    precision, recall, thresholds = precision_recall_curve(y, contender.probability)
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    (line,) = axes.plot(thresholds, f1[:-1], label=name)
    axes.axvline(contender.threshold, color=line.get_color(), linestyle=":", linewidth=1)
    axes.set(title="F1 by threshold", xlabel="threshold", ylabel="F1")
