"""Metrics of a model on the holdout, and of both contenders on each slice of it."""

from dataclasses import replace

import numpy as np
from sklearn import metrics

from include.records.arrays import Calls, Labels, Matrix, Probabilities
from include.records.judging import Agreement, Scorecard, SliceScore
from include.records.proofs import CallCounts
from include.spec.model_spec import Slice
from serving.bundle import Layout

QUANTILES = 10
"""Bins of the calibration error."""


def score(
    y: Labels, probability: Probabilities, threshold: float, model_version: str, data_version: int
) -> Scorecard:
    """Score a model's probabilities on the holdout; y must hold both classes.

    `y` and `probability` have shape (rows,). The metrics are scikit-learn's; those of labels call a
    row positive when its probability is at least the model's own `threshold`.
    """
    called = (probability >= threshold).astype(np.int8)
    tn, fp, fn, tp = (int(count) for count in metrics.confusion_matrix(y, called).ravel())
    return Scorecard(
        model_version=model_version,
        data_version=data_version,
        rows=len(y),
        threshold=threshold,
        f1=float(metrics.f1_score(y, called, zero_division=0.0)),
        precision=float(metrics.precision_score(y, called, zero_division=0.0)),
        recall=float(metrics.recall_score(y, called, zero_division=0.0)),
        accuracy=float(metrics.accuracy_score(y, called)),
        balanced_accuracy=float(metrics.balanced_accuracy_score(y, called)),
        mcc=float(metrics.matthews_corrcoef(y, called)),
        roc_auc=float(metrics.roc_auc_score(y, probability)),
        average_precision=float(metrics.average_precision_score(y, probability)),
        log_loss=float(metrics.log_loss(y, probability)),
        brier=float(metrics.brier_score_loss(y, probability)),
        true_negatives=tn,
        false_positives=fp,
        false_negatives=fn,
        true_positives=tp,
        expected_calibration_error=calibration_error(y, probability),
    )


def calibration_error(y: Labels, probability: Probabilities) -> float:
    """Return the expected calibration error over bins of equally many rows, from 0 to 1.

    The distance between the mean probability of a bin and its share of positives, averaged over the
    bins by their rows (Naeini, Cooper and Hauskrecht, AAAI 2015; on quantiles: Nguyen and O'Connor,
    EMNLP 2015). Rows of equal probability share a bin. With n rows it is::

        sum over bins of |sum over the bin's rows of (probability - y)| / n

    Example: y = 0, 0, 1, 1, 1 with probabilities .1, .3, .3, .8, .9 makes the bins {.1}, {.3, .3},
    {.8}, {.9} with the sums .1, -.4, -.2, -.1, so the error is 0.8 / 5 = 0.16.
    """
    edges = np.quantile(probability, np.linspace(0, 1, QUANTILES + 1)[1:-1])
    bins = np.searchsorted(edges, probability)
    surplus = np.bincount(bins, weights=probability - y, minlength=QUANTILES)
    return float(np.abs(surplus).sum() / len(y))


def count_agreement(y: Labels, challenger: Calls, champion: Calls) -> Agreement:
    """Count how two models called the same rows; calls are True for positive, shape (rows,)."""
    # 0: positive by neither, 1: by the challenger alone, 2: by the champion alone, 3: by both.
    cell = challenger.astype(np.int64) + 2 * champion.astype(np.int64)
    counted = [np.bincount(cell[y == label], minlength=4).tolist() for label in (1, 0)]
    return Agreement(tuple(counted[0]), tuple(counted[1]))


def count_calls(y: Labels, called: Calls) -> CallCounts:
    """Count the right and wrong calls of a model; `called` is True for positive, shape (rows,)."""
    misses, hits = np.bincount(called[y == 1], minlength=2).tolist()
    rest, false_calls = np.bincount(called[y == 0], minlength=2).tolist()
    return CallCounts(hits, misses, false_calls, rest)


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
    name: str, y: Labels, challenger: Calls, champion: Calls | None = None
) -> SliceScore:
    """Score the calls of both contenders on the rows of one slice; a slice may have no row."""
    f1 = metrics.f1_score(y, challenger, zero_division=0.0) if len(y) else 0.0
    alone = SliceScore(name, len(y), int(y.sum()), float(f1))
    if champion is None:
        return alone
    other = metrics.f1_score(y, champion, zero_division=0.0) if len(y) else 0.0
    return replace(
        alone, champion_f1=float(other), agreement=count_agreement(y, challenger, champion)
    )
