"""How good a candidate is, and which candidates are clearly beaten.

A candidate is judged at the threshold that it would be served with, tuned on the out-of-fold
probabilities of all its folds together: at 0.5 it says little where one row in ten is positive.

A candidate is compared with the leader on the same validation rows. The variance of the difference
in the metric over the rows comes from its influence function. Fits on other rows would vary it
further, which Nadeau and Bengio (Inference for the Generalization Error, Machine Learning 52, 2003)
correct for: over k folds the variance of the mean is (1/k + n2/n1) S^2, with n1 rows to fit on and
n2 to validate on. With S^2 from the rows no second fit is needed. A candidate may gain more from
more rows than the leader does, so it is out only where it would still be beaten if the gap went on
closing as it did between the last two sizes.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from include.metrics import Objective
from include.problems import Criterion
from include.records.arrays import Labels, Probabilities
from include.records.training import Candidate, Trial

CERTAINTY = 2.326
"""Standard errors behind the leader at which a candidate is out: the chance that one as good as the
leader is eliminated is one in a hundred."""


@dataclass(frozen=True)
class FoldSize:
    """How large the folds are that a stratified part of the train rows is divided into."""

    rows: int
    """Train rows of the part, all folds together."""
    folds: int
    """Number of folds, those that are not run included."""

    @property
    def rows_to_fit(self) -> int:
        """Rows that each fold is fitted on: those of all other folds."""
        return self.rows - self.rows // self.folds


@dataclass(frozen=True)
class OutOfFold:
    """A candidate's probabilities of the validation rows of each fold, beside their labels."""

    labels: Sequence[Labels]
    probabilities: Sequence[Probabilities]
    seconds: float
    """How long its fits took."""

    def values(self, criterion: Criterion, threshold: float) -> tuple[float, ...]:
        """Return the value at a threshold, of each fold."""
        return tuple(
            criterion.value(y, probability, threshold)
            for y, probability in zip(self.labels, self.probabilities, strict=True)
        )


@dataclass(frozen=True)
class CandidateResult:
    """The result of a candidate over some folds: its trial and its out-of-fold probabilities."""

    trial: Trial
    y: Labels
    """Labels of the validation rows of all folds, one fold after the other, shape (rows,)."""
    probability: Probabilities
    """Its probabilities of the same rows, shape (rows,)."""
    fitted: int
    """Rows that each fold is fitted on."""
    validated: tuple[int, ...]
    """Rows that each fold is validated on."""
    criterion: Criterion
    """What it is judged by."""

    @property
    def merit(self) -> float:
        """Its value, such that the greater is the better."""
        return float(self.criterion.metric.merit(self.trial.value))

    @property
    def influence(self) -> Probabilities:
        """The influence of each validation row on its value, shape (rows,)."""
        return self.criterion.influence(self.y, self.probability, self.trial.threshold)

    def __str__(self) -> str:
        """Return its value and its rows for a person."""
        metric = self.criterion.metric
        return f"{metric.title} {metric.written(self.trial.value)} on {self.trial.rows} rows"


def judge(
    candidate: Candidate, fold_size: FoldSize, answers: OutOfFold, criterion: Criterion
) -> CandidateResult:
    """Judge a candidate by its probabilities of the validation rows of each fold.

    Its value is the mean over the folds at the one threshold that is best on all of them together.
    """
    y, probability = np.concatenate(answers.labels), np.concatenate(answers.probabilities)
    threshold = criterion.metric.tuned(y, probability)
    values = answers.values(criterion, threshold)
    trial = Trial(
        candidate, fold_size.rows, float(np.mean(values)), values, threshold, answers.seconds
    )
    validated = tuple(map(len, answers.labels))
    return CandidateResult(trial, y, probability, fold_size.rows_to_fit, validated, criterion)


def with_served_threshold(result: CandidateResult, seed: int) -> Trial:
    """Return a result's trial at the threshold to serve with, with its value there and the best."""
    criterion = result.criterion
    threshold = criterion.metric.tuned_steadily(result.y, result.probability, seed)
    ends = np.cumsum(result.validated)[:-1]
    labels, probabilities = np.split(result.y, ends), np.split(result.probability, ends)
    values = OutOfFold(labels, probabilities, result.trial.seconds).values(criterion, threshold)
    return replace(
        result.trial,
        threshold=threshold,
        fold_values=values,
        value=float(np.mean(values)),
        best_value=result.trial.value,
    )


def standard_error(result: CandidateResult, other: CandidateResult) -> float:
    """Return the standard error of the difference of two candidates on the same folds.

    With d the difference of the two influences of each of n validation rows, and n1 rows that each
    fold is fitted on::

        sqrt((1 + n / n1) * mean(d^2) / n)

    Example by F1 with n = 4 and n1 = 16: one candidate calls all four rows rightly (influences 0),
    the other one of two positives and one of two negatives wrongly (1, -1/2, -1/2, 0). mean(d^2) =
    0.375, so the standard error is sqrt(1.25 * 0.375 / 4) = 0.342.
    """
    difference = result.influence - other.influence
    over_rows = float(np.mean(difference**2)) / len(difference)
    return math.sqrt((1 + len(result.y) / result.fitted) * over_rows)


def why_beaten(leader: CandidateResult, result: CandidateResult, gap: float) -> str:
    """Say why a candidate is eliminated; empty while it may still be the best.

    `gap` is how far it is behind the leader, or how much of that would be left on all rows.
    """
    error = standard_error(leader, result)
    if gap <= CERTAINTY * error:
        return ""
    behind, lasting, deviation = map(
        leader.criterion.metric.written, (gap_between(leader, result), gap, error)
    )
    return (
        f"{result}, {behind} behind {leader.trial.candidate.title}: of it {lasting} would last, "
        f"more than {CERTAINTY} standard errors of {deviation}"
    )


def gap_between(leader: CandidateResult, result: CandidateResult) -> float:
    """Return how far a candidate is behind the leader."""
    return leader.merit - result.merit


def gap_on_all(gap_before: float, gap: float, rows: tuple[int, int, int]) -> float:
    """Return the gap on all rows if it goes on changing with the logarithm of the rows.

    `rows` are the two sizes at which the gaps were measured, then all rows::

        gap + (gap - gap_before) * log(all / now) / log(now / before)

    Example: 0.04 on 1,250 rows and 0.03 on 5,000 become 0.02 on 20,000, another four times as many.
    """
    before, now, every = rows
    return gap + (gap - gap_before) / math.log(now / before) * math.log(every / now)


def leaderboard(trials: Iterable[Trial], metric: Objective) -> list[Trial]:
    """Return the trials in order of rank.

    Those that ran on the most rows and folds come first, then those with the best value; those that
    could not be fitted come last.
    """
    return sorted(
        trials,
        key=lambda item: (
            bool(item.failure),
            -item.rows,
            -len(item.fold_values),
            -metric.merit(item.value if item.best_value is None else item.best_value),
            item.candidate.title,
        ),
    )
