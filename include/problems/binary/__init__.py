"""Two classes: a row is positive or negative, and a model gives the probability of the first."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from include.metrics import Figures, Objective, metric_named
from include.metrics.call_counts import count_calls
from include.metrics.class_shares import HITS, MISSES, ROWS
from include.metrics.evidence import Evidence
from include.metrics.predictions import Labels, Numbers, ThresholdedProbability
from include.problems import Drawing, Problem
from include.problems.label_rule import LabelRule


class Binary(Problem):
    """Labels are 1 and 0, predictions are probabilities and calls from a threshold on."""

    name = "binary"
    metrics = (
        "f1",
        "precision",
        "recall",
        "accuracy",
        "balanced_accuracy",
        "mcc",
        "roc_auc",
        "average_precision",
        "log_loss",
        "brier",
        "expected_calibration_error",
    )
    floors = ("average_precision",)
    calibration = "expected_calibration_error"

    def read_labels(self, values: pl.Series, rule: LabelRule) -> pl.Series:
        """Return 1 for the positive label and 0 for a negative one, Int8."""
        from include.problems.binary.label_values import labels

        return labels(values, rule)

    def predictions(self, scores: Numbers, threshold: float) -> ThresholdedProbability:
        """Return the probabilities, and from where on a row is called positive."""
        return ThresholdedProbability(scores, threshold)

    def figures(self, y: Labels, predictions: ThresholdedProbability) -> Figures:
        """Return the metrics, those of labels by the calls from the model's own threshold on."""
        counts = count_calls(y, predictions.calls)
        return {
            "threshold": predictions.threshold,
            **{name: metric_named(name).value(y, predictions) for name in self.metrics},
            "true_negatives": counts.rest,
            "false_positives": counts.false_calls,
            MISSES: counts.misses,
            HITS: counts.hits,
        }

    def strata(self, figures: Figures) -> Mapping[str, int]:
        """Return how many rows are positive and negative."""
        positives = int(figures[HITS] + figures[MISSES])
        return _classes(int(figures[ROWS]), positives)

    def strata_of(self, evidence: Evidence) -> Mapping[str, int]:
        """Return how many rows are positive and negative."""
        return _classes(evidence.rows, evidence.positives)

    def arrival(self, figures: Figures) -> Figures:
        """Return every metric, and how many rows are positive."""
        values = {name: figures[name] for name in self.metrics}
        return values | {"positives": figures[HITS] + figures[MISSES]}

    def slice_counts(self, y: Labels) -> Mapping[str, int]:
        """Return how many rows are positive."""
        return {"positives": int(y.sum())}

    def what_is_wrong(self, model: Any, X: Any) -> str:
        """Ask for probabilities of both classes, each from 0 to 1."""
        answers = np.asarray(model.predict_proba(X), dtype=np.float64)
        if answers.shape != (len(X), 2):
            return (
                f"predict_proba answered {len(X)} rows with the shape {answers.shape}; a column a "
                "class is expected, the positive one last"
            )
        if not (np.isfinite(answers).all() and (answers >= 0).all() and (answers <= 1).all()):
            return "predict_proba answered with what are no probabilities"
        return ""

    def drawings(self, metric: Objective) -> Mapping[str, Drawing]:
        """Return four curves, one of them of the metric by threshold."""
        from include.problems.binary.curves import drawings

        return drawings(metric)


def _classes(rows: int, positives: int) -> Mapping[str, int]:
    return {"positive": positives, "negative": rows - positives}


PROBLEM = Binary()
