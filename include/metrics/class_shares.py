"""The share of the positive class, which predictions without skill are made of."""

from include.metrics import Figures

ROWS, HITS, MISSES = "rows", "true_positives", "false_negatives"
"""Figures of a scorecard of two classes."""


def positive_share(figures: Figures) -> float:
    """Return the share of positive rows, by the figures of any model on them."""
    return (figures[HITS] + figures[MISSES]) / figures[ROWS]
