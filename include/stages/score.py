"""Metrics of a model on the holdout, and of both contenders on each slice of it."""

from dataclasses import replace

import numpy as np

from include.metrics import Objective, metrics
from include.metrics.call_counts import count_calls
from include.metrics.predictions import ThresholdedProbability
from include.records.arrays import Calls, Labels, Matrix
from include.records.judging import Scorecard, SliceScore
from include.spec.model_spec import Slice
from serving.bundle import Layout


def score(
    y: Labels, predictions: ThresholdedProbability, model_version: str, data_version: int
) -> Scorecard:
    """Score a model's predictions of the holdout; y, shape (rows,), must hold both classes."""
    values = {metric.name: metric.value(y, predictions) for metric in metrics()}
    counts = count_calls(y, predictions.calls)
    figures = {
        "threshold": predictions.threshold,
        **values,
        "true_negatives": counts.rest,
        "false_positives": counts.false_calls,
        "false_negatives": counts.misses,
        "true_positives": counts.hits,
    }
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
    metric: Objective,
    y: Labels,
    challenger: ThresholdedProbability,
    champion: ThresholdedProbability | None = None,
) -> SliceScore:
    """Score the predictions of both contenders on the rows of a slice, which may have no row."""
    mine = metric.value(y, challenger)
    alone = SliceScore(name, len(y), int(y.sum()), mine)
    if champion is None:
        return alone
    evidence = metric.paired(y, challenger, champion)
    return replace(alone, champion=metric.value(y, champion), agreement=evidence)


def slice_sentence(part: SliceScore, metric: Objective) -> str:
    """Return rows and scores of a slice for a person."""
    theirs = part.champion
    other = "" if theirs is None else f", the champion's {metric.written(theirs)}"
    return (
        f"{part.rows} rows, {part.positives} of them positive: the challenger's {metric.title} "
        f"{metric.written(part.challenger)}{other}"
    )
