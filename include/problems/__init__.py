"""The problems that models are trained for: the half of training of each.

A module of this folder answers for one problem, as its `PROBLEM`: what a prediction is, what a
scorecard holds, which metrics apply, and what is drawn. Whoever has rows, predictions or figures
asks here and never which problem it is. The other half, what a server answers, is
`serving.bundle.problems`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from include.metrics import Figures, Objective, objective

if TYPE_CHECKING:
    import polars as pl

    from include.metrics.evidence import Evidence
    from include.metrics.predictions import Labels, Numbers, Predictions
    from include.problems.label_rule import LabelRule

PROBLEMS = ("binary",)
"""The modules of this folder, a problem each: those of the other half."""
Drawing = Callable[[Any, "Labels", str, "Predictions"], None]
"""Draws the predictions of one contender on matplotlib's axes, under its name."""


class Problem(Protocol):
    """One problem."""

    name: str
    """As a spec and a manifest have it: that of its module."""
    metrics: tuple[str, ...]
    """The metrics of a scorecard, in the order in which people read them."""
    floors: tuple[str, ...]
    """Metrics, beside that of the gate, that have to be better than without skill."""
    calibration: str
    """The metric that `gate.max_calibration_error` bounds; empty where none is."""

    def read_labels(self, values: pl.Series, rule: LabelRule) -> pl.Series:
        """Return texts of the target as they are learned from, null for no label."""

    def predictions(self, scores: Numbers, threshold: float) -> Predictions:
        """Return what a model's scores of rows predict."""

    def figures(self, y: Labels, predictions: Predictions) -> Figures:
        """Return everything that a scorecard has of predictions; every class has a row."""

    def strata(self, figures: Figures) -> Mapping[str, int]:
        """Return how many rows of each class a scorecard is of; each needs some to be judged on."""

    def strata_of(self, evidence: Evidence) -> Mapping[str, int]:
        """Return the same of evidence that was kept of predictions."""

    def arrival(self, figures: Figures) -> Figures:
        """Return what is recorded of a scorecard on the rows of a batch when it came."""

    def slice_counts(self, y: Labels) -> Mapping[str, int]:
        """Return what is counted of a slice beside its rows, by headings of a table."""

    def what_is_wrong(self, model: Any, X: Any) -> str:
        """Ask a model from elsewhere about rows; say what is wrong with its answers, if anything.

        Raises whatever the model raises.
        """

    def drawings(self, metric: Objective) -> Mapping[str, Drawing]:
        """Return what is drawn of all contenders, by the names of the pictures."""


@dataclass(frozen=True)
class Criterion:
    """What models are compared by: a metric of what a problem predicts."""

    problem: Problem
    metric: Objective

    def value(self, y: Labels, scores: Numbers, threshold: float) -> float:
        """Return the value of what scores predict at a threshold."""
        return self.metric.value(y, self.problem.predictions(scores, threshold))

    def influence(self, y: Labels, scores: Numbers, threshold: float) -> Numbers:
        """Return the influence of each row on that value, shape (rows,)."""
        return self.metric.influence(y, self.problem.predictions(scores, threshold))


@cache
def problems() -> Mapping[str, Problem]:
    """Return every problem by its name."""
    modules = (import_module(f"{__name__}.{module}") for module in PROBLEMS)
    return {module.PROBLEM.name: module.PROBLEM for module in modules}


def problem_named(name: str) -> Problem:
    """Return the problem of this name; KeyError for none."""
    return problems()[name]


def criterion(problem: str, metric: str) -> Criterion:
    """Return what models of a problem are compared by; KeyError for names that are not known."""
    return Criterion(problem_named(problem), objective(metric))
