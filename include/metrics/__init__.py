"""The metrics by which models are judged.

A module of this folder is one metric, as its `METRIC`. Whoever scores, selects, decides, draws or
tells asks the metric that the spec names, and never which one it is. A module imports a learning
library when it is asked for a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

if TYPE_CHECKING:
    from include.metrics.evidence import Evidence, PairedEvidence
    from include.metrics.mistakes import Mistakes
    from include.metrics.predictions import Labels, Numbers, Predictions
    from include.metrics.swaps import Swaps

METRICS = (
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
"""The modules of this folder that are a metric each, in the order in which people read them."""
FIRST_OBJECTIVE = "f1"
"""What a spec that names no metric is decided by, as was all that release 0.1.0 stored."""
Figures = Mapping[str, int | float]
"""What a model came to on some rows, by name: counts, and a value of each metric."""


class Metric(Protocol):
    """A number that says how good a model's predictions of some rows are."""

    name: str
    """As a spec, MLflow and Prometheus have it: that of its module."""
    title: str
    """As people read it within a sentence."""
    greater_is_better: bool = True
    decides: ClassVar[bool] = False
    """Whether it is an `Objective`."""

    def value(self, y: Labels, predictions: Predictions) -> float:
        """Return the value on rows; `y` has shape (rows,)."""

    @property
    def better_word(self) -> str:
        """How a value is that is better than another."""
        return "higher" if self.greater_is_better else "lower"

    @property
    def better_verb(self) -> str:
        """Where a value is that is better than another."""
        return "is above" if self.greater_is_better else "is below"

    def merit(self, value: Any) -> Any:
        """Return values, a number or an array, such that the greater is the better."""
        return value if self.greater_is_better else -value

    def written(self, value: float) -> str:
        """Return a value for people, with its digits and its unit."""
        return f"{value:.4f}"


class Skill(Metric, Protocol):
    """A metric that knows its value for predictions that take no skill."""

    without_skill: str
    """How predictions come about that take no skill, as the end of a sentence."""

    def no_skill(self, figures: Figures) -> float:
        """Return the value without skill on the rows that a model's figures are of."""


class Objective(Skill, Protocol):
    """A metric that candidates are selected by and the gate decides by.

    It chooses what is kept of predictions of the holdout, which a decision is made from later
    without the rows: counts, sums, or gains on rows that were resampled when they were scored.
    """

    decides: ClassVar[bool] = True

    def tuned(self, y: Labels, probability: Numbers) -> float:
        """Return the threshold with the best value on these rows."""

    def tuned_steadily(self, y: Labels, probability: Numbers, seed: int) -> float:
        """Return the threshold to serve with: one that follows the luck of these rows less."""

    def by_threshold(self, y: Labels, probability: Numbers) -> tuple[Numbers, Numbers]:
        """Return rising thresholds and the value at each, for a picture."""

    def influence(self, y: Labels, predictions: Predictions) -> Numbers:
        """Return the influence of each row on the value, shape (rows,).

        The value on other rows varies as the mean of as many influences does.
        """

    def evidence(self, y: Labels, predictions: Predictions) -> Evidence:
        """Return what is kept of one model's predictions of some rows, perhaps of none."""

    def value_of(self, evidence: Evidence) -> float:
        """Return the value that evidence comes to."""

    def resampled(self, evidence: Sequence[Evidence], draws: int) -> list[Numbers]:
        """Return the value on resampled rows, shape (draws,) for each evidence."""

    def paired(self, y: Labels, challenger: Predictions, champion: Predictions) -> PairedEvidence:
        """Return what is kept of two models' predictions of the same rows, perhaps of none."""

    def gains(self, paired: PairedEvidence) -> Numbers:
        """Return by how much the challenger is better on resampled rows, shape (DRAWS,).

        There must be rows. Equal evidence gives equal gains, and exchanging the contenders gives
        the same gains with the opposite sign.
        """

    def exact(self, paired: PairedEvidence) -> Swaps | None:
        """Return all ways to swap predictions where the two differ; None where resampling is due.

        It is due where they differ on many rows, or on every one of them.
        """

    def mistakes(self, paired: PairedEvidence) -> Mistakes | None:
        """Return the mistakes to compare on rows that the metric says nothing of; else None."""


@cache
def metrics() -> tuple[Metric, ...]:
    """Return every metric, in the order in which people read them."""
    return tuple(import_module(f"{__name__}.{module}").METRIC for module in METRICS)


def objectives() -> tuple[str, ...]:
    """Return the names of the metrics that a spec may decide by."""
    return tuple(metric.name for metric in metrics() if metric.decides)


@cache
def metric_named(name: str) -> Metric:
    """Return a metric by its name; KeyError for none."""
    return {metric.name: metric for metric in metrics()}[name]


def skill_named(name: str) -> Skill:
    """Return the metric of this name that knows its value without skill; KeyError for none."""
    found = metric_named(name)
    if not hasattr(found, "no_skill"):
        raise KeyError(name)
    return cast("Skill", found)


def objective(name: str) -> Objective:
    """Return the metric of this name that a spec decides by; KeyError for none."""
    found = metric_named(name)
    if not found.decides:
        raise KeyError(name)
    return cast("Objective", found)
