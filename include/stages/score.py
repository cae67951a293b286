"""Metrics of one model on the holdout."""

import numpy as np
from sklearn import metrics

from include.arrays import Calls, Labels, Probabilities
from include.records import Agreement, Scorecard


def score(
    y: Labels, probability: Probabilities, threshold: float, model_version: str, data_version: int
) -> Scorecard:
    """Score a model's probabilities on the holdout; y must hold both classes.

    Definitions are scikit-learn's; labels are cut at the model's own threshold.
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
    )


def agree(y: Labels, challenger: Calls, champion: Calls) -> Agreement:
    """Count how two models called the same rows; calls are True for positive, shape (rows,)."""
    cell = challenger.astype(np.int64) + 2 * champion.astype(np.int64)
    counted = [np.bincount(cell[y == label], minlength=4).tolist() for label in (1, 0)]
    return Agreement(tuple(counted[0]), tuple(counted[1]))
