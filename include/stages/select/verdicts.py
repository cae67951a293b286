"""How good a candidate is, and which candidates are clearly beaten.

A candidate is judged at the threshold that it would be served with, tuned on the out-of-fold
probabilities of all its folds together: F1 at 0.5 says little where one row in ten is positive.

A candidate is compared with the leader on the same validation rows. The variance of the difference
in F1 over the rows comes from F1's influence function. Fits on other rows would vary it further,
which Nadeau and Bengio (Inference for the Generalization Error, Machine Learning 52, 2003) correct
for: over k folds the variance of the mean is (1/k + n2/n1) S^2, with n1 rows to fit on and n2 to
validate on. With S^2 from the rows no second fit is needed. A candidate may gain more from more
rows than the leader does, so it is out only where it would still be beaten if the gap went on
closing as it did between the last two sizes.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from include.records.arrays import Calls, Labels, Probabilities
from include.records.training import Candidate, Trial

_RESAMPLES = 200
"""Resamples of the rows that a bagged threshold is the mean over."""
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

    @property
    def calls(self) -> Calls:
        """True for the validation rows that it calls positive, shape (rows,)."""
        return self.probability >= self.trial.threshold


def judge(
    candidate: Candidate,
    fold_size: FoldSize,
    labels: Sequence[Labels],
    probabilities: Sequence[Probabilities],
    seconds: float,
) -> CandidateResult:
    """Judge a candidate by the labels and its probabilities of the validation rows of each fold.

    F1 is the mean over the folds at the one threshold that is best on all of them together.
    `seconds` is how long its fits took.
    """
    y, probability = np.concatenate(labels), np.concatenate(probabilities)
    threshold = best_threshold(y, probability)
    fold_f1 = _fold_f1(labels, probabilities, threshold)
    trial = Trial(candidate, fold_size.rows, float(np.mean(fold_f1)), fold_f1, threshold, seconds)
    return CandidateResult(trial, y, probability, fold_size.rows_to_fit, tuple(map(len, labels)))


def with_served_threshold(result: CandidateResult, seed: int) -> Trial:
    """Return a result's trial at the bagged threshold, with F1 there and at the best threshold."""
    threshold = bagged_threshold(result.y, result.probability, seed)
    ends = np.cumsum(result.validated)[:-1]
    fold_f1 = _fold_f1(np.split(result.y, ends), np.split(result.probability, ends), threshold)
    f1 = float(np.mean(fold_f1))
    return replace(
        result.trial, threshold=threshold, fold_f1=fold_f1, f1=f1, best_f1=result.trial.f1
    )


def best_threshold(y: Labels, probability: Probabilities) -> float:
    """Return the threshold with the best F1; rows at or above it are called positive.

    It lies halfway between two neighbouring probabilities, where there is a number between them, so
    that rounding the last digit moves no row across it. With the k rows of highest probability
    called positive, F1 = 2 hits / (k + positives).

    Example: probabilities .9, .8, .6, .5, .1 of rows labelled 1, 1, 0, 1, 0 give F1 of .50, .80,
    .67, .86 and .75 for k = 1 to 5, so the threshold is halfway between .5 and .1, at .3.
    """
    order = np.argsort(-probability, kind="stable")
    return _best_cut(y[order], probability[order], np.ones(len(y), np.int64))


def bagged_threshold(y: Labels, probability: Probabilities, seed: int) -> float:
    """Return the mean of the best thresholds of resampled rows.

    The best threshold of one set of rows follows its luck: with few positives, F1 as a function of
    the threshold is ragged. The mean over bootstrap samples is steadier (Breiman, Bagging
    Predictors, Machine Learning 24, 1996), and its F1 on rows that it was not tuned on is no worse
    (decision 17). Each sample counts every row a Poisson(1) number of times. y must hold a positive
    row.
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(-probability, kind="stable")
    ranked, labels = probability[order], y[order]
    thresholds = []
    for _ in range(_RESAMPLES):
        times = rng.poisson(1.0, len(y))
        drawn = times > 0
        if labels[drawn].any():
            thresholds.append(_best_cut(labels[drawn], ranked[drawn], times[drawn]))
    return float(np.float32(np.mean(thresholds)))


def standard_error(result: CandidateResult, other: CandidateResult) -> float:
    """Return the standard error of the difference in F1 of two candidates on the same folds.

    With d the difference of the two influences of each of n validation rows, and n1 rows that each
    fold is fitted on::

        sqrt((1 + n / n1) * mean(d^2) / n)

    Example with n = 4 and n1 = 16: one candidate calls all four rows rightly (influences 0), the
    other one of two positives and one of two negatives wrongly (1, -1/2, -1/2, 0). mean(d^2) =
    0.375, so the standard error is sqrt(1.25 * 0.375 / 4) = 0.342.
    """
    difference = _influence(result) - _influence(other)
    over_rows = float(np.mean(difference**2)) / len(difference)
    return math.sqrt((1 + len(result.y) / result.fitted) * over_rows)


def why_beaten(leader: CandidateResult, result: CandidateResult, gap: float) -> str:
    """Say why a candidate is eliminated; empty while it may still be the best.

    `gap` is how far it is behind the leader in F1, or how much of that would be left on all rows.
    """
    error = standard_error(leader, result)
    if gap <= CERTAINTY * error:
        return ""
    behind = gap_between(leader, result)
    return (
        f"F1 {result.trial.f1:.4f} on {result.trial.rows} rows, {behind:.4f} behind "
        f"{leader.trial.candidate.title}: of it {gap:.4f} would last, more than "
        f"{CERTAINTY} standard errors of {error:.4f}"
    )


def gap_between(leader: CandidateResult, result: CandidateResult) -> float:
    """Return how far a candidate is behind the leader in F1."""
    return leader.trial.f1 - result.trial.f1


def gap_on_all(gap_before: float, gap: float, rows: tuple[int, int, int]) -> float:
    """Return the gap on all rows if it goes on changing with the logarithm of the rows.

    `rows` are the two sizes at which the gaps were measured, then all rows::

        gap + (gap - gap_before) * log(all / now) / log(now / before)

    Example: 0.04 on 1,250 rows and 0.03 on 5,000 become 0.02 on 20,000, another four times as many.
    """
    before, now, every = rows
    return gap + (gap - gap_before) / math.log(now / before) * math.log(every / now)


def leaderboard(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials in order of rank.

    Those that ran on the most rows and folds come first, then those with the best F1; those that
    could not be fitted come last.
    """
    return sorted(
        trials,
        key=lambda item: (
            bool(item.failure),
            -item.rows,
            -len(item.fold_f1),
            -(item.f1 if item.best_f1 is None else item.best_f1),
            item.candidate.title,
        ),
    )


def _fold_f1(
    labels: Sequence[Labels], probabilities: Sequence[Probabilities], threshold: float
) -> tuple[float, ...]:
    return tuple(
        float(f1_score(true, probability >= threshold, zero_division=0.0))
        for true, probability in zip(labels, probabilities, strict=True)
    )


def _influence(result: CandidateResult) -> Probabilities:
    """Return the influence of each validation row on F1, shape (rows,).

    F1 = 2 sum(y c) / sum(y + c), with c the call, so the influence of a row on it is (2 y c - F1 (y
    + c)) / mean(y + c).
    """
    y, calls = result.y.astype(np.float64), result.calls.astype(np.float64)
    both = (y + calls).mean()
    f1 = 2 * (y * calls).mean() / both
    influence: Probabilities = (2 * y * calls - f1 * (y + calls)) / both
    return influence


def _best_cut(y: Labels, ranked: Probabilities, times: NDArray[np.int64]) -> float:
    """Return the best threshold of rows in falling order of probability.

    `times` is how often each row counts, shape (rows,).
    """
    hits = np.cumsum(y * times)
    f1 = 2 * hits / (np.cumsum(times) + hits[-1])
    # Rows of equal probability are on one side: only the last of them can be where the positive
    # calls end.
    boundary = np.append(ranked[:-1] > ranked[1:], True)
    last = int(np.argmax(np.where(boundary, f1, -1.0)))
    below = ranked[last + 1] if last + 1 < len(ranked) else 0.0
    # In float32, so that the comparison is the same whichever precision a model answers in.
    halfway = float(np.float32((ranked[last] + below) / 2))
    return halfway if below < halfway <= ranked[last] else float(ranked[last])
