"""Plots of scores: what the problem draws of both contenders, and the resampled gains."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from include.metrics import Objective
from include.metrics.predictions import Predictions
from include.problems import Criterion, Drawing
from include.records.arrays import Labels

Contenders = Mapping[str, Predictions]


def draw(y: Labels, contenders: Contenders, criterion: Criterion) -> dict[str, Figure]:
    """Return what the problem draws of all contenders, by file stem; y has shape (rows,)."""
    drawings = criterion.problem.drawings(criterion.metric)
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
