"""How good a candidate is, and which candidates are clearly beaten.

A candidate is judged at the threshold that it would be served with, tuned on the out-of-fold
probabilities of all its folds together, because F1 at one half says little when one row in ten is
positive.

The rule by which one drops out compares it with the leader on the same validation rows. The
variance of the difference in F1 over the rows comes from F1's influence function; fits on other
rows would vary it further, which Nadeau and Bengio (Inference for the Generalization Error, Machine
Learning 52, 2003) correct for: over k folds the variance of the mean is (1/k + n2/n1) S^2, with n1
rows to fit on and n2 to validate on. With S^2 from the rows it needs no second fold. And since a
candidate may learn more from more rows than the leader does, it is out only when it would still be
beaten with the gap closing on as it closed between the last two sizes.
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
CERTAINTY = 2.326
"""Standard errors behind the leader at which a candidate is out: one chance in a hundred that an
equal one is."""


@dataclass(frozen=True)
class Cut:
    """How many train rows are cut into how many folds."""

    rows: int
    folds: int

    @property
    def fitted(self) -> int:
        """Rows that each fold is fitted on."""
        return self.rows - self.rows // self.folds


@dataclass(frozen=True)
class Lap:
    """A candidate over some folds cut from a number of train rows."""

    trial: Trial
    y: Labels
    """Of the validation rows of all folds, one fold after the other."""
    probability: Probabilities
    fitted: int
    """Rows that each fold is fitted on."""
    validated: tuple[int, ...]
    """Rows that each fold is validated on."""

    @property
    def calls(self) -> Calls:
        """The validation rows that it calls positive."""
        return self.probability >= self.trial.threshold


def judge(
    candidate: Candidate,
    cut: Cut,
    labels: Sequence[Labels],
    probabilities: Sequence[Probabilities],
    seconds: float,
) -> Lap:
    """Judge a candidate by the labels and its probabilities of the validation rows of each fold."""
    y, probability = np.concatenate(labels), np.concatenate(probabilities)
    threshold = best_threshold(y, probability)
    fold_f1 = _fold_f1(labels, probabilities, threshold)
    trial = Trial(candidate, cut.rows, float(np.mean(fold_f1)), fold_f1, threshold, seconds)
    return Lap(trial, y, probability, cut.fitted, tuple(map(len, labels)))


def with_served_threshold(lap: Lap, seed: int) -> Trial:
    """Return a lap's trial at the bagged threshold, with its F1 there and at the best one."""
    threshold = bagged_threshold(lap.y, lap.probability, seed)
    ends = np.cumsum(lap.validated)[:-1]
    fold_f1 = _fold_f1(np.split(lap.y, ends), np.split(lap.probability, ends), threshold)
    f1 = float(np.mean(fold_f1))
    return replace(lap.trial, threshold=threshold, fold_f1=fold_f1, f1=f1, best_f1=lap.trial.f1)


def best_threshold(y: Labels, probability: Probabilities) -> float:
    """Return the threshold with the best F1; rows at or above it are called positive.

    It lies halfway between two neighbouring probabilities, where there is a number between them,
    so that a rounding of the last digit moves no row across it.
    """
    order = np.argsort(-probability, kind="stable")
    return _best_cut(y[order], probability[order], np.ones(len(y), np.int64))


def bagged_threshold(y: Labels, probability: Probabilities, seed: int) -> float:
    """Return the mean of the best thresholds of resampled rows.

    The best threshold of one set of rows follows its luck: with few positives, F1 by threshold is
    ragged. The mean over bootstrap samples is steadier (Breiman, "Bagging Predictors", 1996), and
    its F1 on rows that it was not tuned on no worse (decision 17). y must hold a positive.
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(-probability, kind="stable")
    ranked, labels = probability[order], y[order]
    found = []
    for _ in range(_RESAMPLES):
        times = rng.poisson(1.0, len(y))
        drawn = times > 0
        if labels[drawn].any():
            found.append(_best_cut(labels[drawn], ranked[drawn], times[drawn]))
    return float(np.float32(np.mean(found)))


def standard_error(lap: Lap, other: Lap) -> float:
    """Return the standard error of the difference in F1 of two candidates on the same folds."""
    difference = _influence(lap) - _influence(other)
    over_rows = float(np.mean(difference**2)) / len(difference)
    return math.sqrt((1 + len(lap.y) / lap.fitted) * over_rows)


def beaten(leader: Lap, lap: Lap, gap: float) -> str:
    """Say why a candidate is out, or return an empty string while it may still be the best.

    `gap` is its distance from the leader, or what of it would be left on all rows.
    """
    error = standard_error(leader, lap)
    if gap <= CERTAINTY * error:
        return ""
    behind = gap_between(leader, lap)
    return (
        f"F1 {lap.trial.f1:.4f} on {lap.trial.rows} rows, {behind:.4f} behind "
        f"{leader.trial.candidate.title}: of it {gap:.4f} would last, more than "
        f"{CERTAINTY} standard errors of {error:.4f}"
    )


def gap_between(leader: Lap, lap: Lap) -> float:
    """Return how far one is behind the leader in F1."""
    return leader.trial.f1 - lap.trial.f1


def gap_on_all(gap_before: float, gap: float, rows: tuple[int, int, int]) -> float:
    """Return the gap on all rows if it goes on changing with the logarithm of the rows.

    `rows` are the two sizes at which the gaps were measured, and all.
    """
    before, now, every = rows
    return gap + (gap - gap_before) / math.log(now / before) * math.log(every / now)


def leaderboard(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials: who ran furthest first, then by the best F1, who was not fitted last."""
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
        float(f1_score(true, said >= threshold, zero_division=0.0))
        for true, said in zip(labels, probabilities, strict=True)
    )


def _influence(lap: Lap) -> Probabilities:
    """Return the influence of each validation row on F1 = 2 sum(y c) / sum(y + c), c the call."""
    y, calls = lap.y.astype(np.float64), lap.calls.astype(np.float64)
    both = (y + calls).mean()
    f1 = 2 * (y * calls).mean() / both
    influence: Probabilities = (2 * y * calls - f1 * (y + calls)) / both
    return influence


def _best_cut(y: Labels, ranked: Probabilities, times: NDArray[np.int64]) -> float:
    """Return the best threshold of rows in falling order of probability, each there some times."""
    hits = np.cumsum(y * times)
    f1 = 2 * hits / (np.cumsum(times) + hits[-1])
    boundary = np.append(ranked[:-1] > ranked[1:], True)
    last = int(np.argmax(np.where(boundary, f1, -1.0)))
    below = ranked[last + 1] if last + 1 < len(ranked) else 0.0
    # In float32, so that the comparison is the same whichever precision a model answers in.
    halfway = float(np.float32((ranked[last] + below) / 2))
    return halfway if below < halfway <= ranked[last] else float(ranked[last])
