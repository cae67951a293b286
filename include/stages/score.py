"""Metrics of a model on the holdout, and of both contenders on each slice of it."""

from dataclasses import replace

import numpy as np

from include.metrics import Objective
from include.metrics.predictions import Predictions
from include.problems import Criterion, Problem
from include.records.arrays import Calls, Labels, Matrix
from include.records.judging import Scorecard, SliceScore
from include.spec.model_spec import Slice
from serving.bundle import Layout


def score(
    problem: Problem, y: Labels, predictions: Predictions, model_version: str, data_version: int
) -> Scorecard:
    """Score a model's predictions of the holdout; y, shape (rows,), must hold every class."""
    figures = problem.figures(y, predictions)
    return Scorecard(model_version, data_version, len(y), figures)


def members(X: Matrix, layout: Layout, part: Slice) -> Calls:
    """Return which rows of a matrix belong to a slice, bool of shape (rows,).

    A row whose value is missing belongs to no slice; a category that the layout does not know
    counts as missing.
    """
    column = X[:, layout.features.index(part.column)]
    if part.values:
        places = layout.places.get(part.column)
        wanted = part.values if places is None else [places.get(str(v)) for v in part.values]
        return np.isin(column, np.array(wanted, dtype=np.float32))
    # A bound is rounded to float32 as the values are, so that 0.1 is at least 0.1.
    low = np.float32(-np.inf if part.at_least is None else part.at_least)
    high = np.float32(np.inf if part.below is None else part.below)
    return (column >= low) & (column < high)


def score_slice(
    name: str,
    criterion: Criterion,
    y: Labels,
    challenger: Predictions,
    champion: Predictions | None = None,
) -> SliceScore:
    """Score the predictions of both contenders on the rows of a slice, which may have no row."""
    metric = criterion.metric
    counts = criterion.problem.slice_counts(y)
    alone = SliceScore(name, len(y), counts, metric.value(y, challenger))
    if champion is None:
        return alone
    evidence = metric.paired(y, challenger, champion)
    return replace(alone, champion=metric.value(y, champion), agreement=evidence)


def slice_sentence(part: SliceScore, metric: Objective) -> str:
    """Return rows and scores of a slice for a person."""
    theirs = part.champion
    counts = "".join(f", {rows} {what}" for what, rows in part.counts.items())
    other = "" if theirs is None else f", the champion's {metric.written(theirs)}"
    return (
        f"{part.rows} rows{counts}: the challenger's {metric.title} "
        f"{metric.written(part.challenger)}{other}"
    )
