"""A year of nights: challengers that are as good as the champion, each judged on a growing holdout.

One positive in ten. A model scores a row with a Gaussian, shifted for a positive by as much as its
F1 wants, and cuts at its best threshold. The noise of two models on one row is correlated, so they
agree as models of one pipeline do: at `AGREEMENT`, 0.86 of the rows that either calls positive are
called by both (naive Bayes on 30,000 and on 40,000 Santander-shaped rows: 0.89; logistic regression
on 20,000 and on 40,000: 0.80). True figures are then known, so what a champion's F1 on the holdout
says too much is luck.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from include.metrics import objective
from include.metrics.call_counts import count_agreement
from include.metrics.predictions import ThresholdedProbability
from include.problems import problem_named
from include.records.arrays import Calls, Labels
from include.records.judging import Rival, Scorecard, Scores, Verdict
from include.records.proofs import LeakProof
from include.records.training import Form
from include.spec.model_spec import Gate
from include.stages.decide import decide
from include.stages.score import score

NIGHTS = 365
FIRST_ROWS, LAST_ROWS = 4_000, 20_000
SIZES = np.linspace(FIRST_ROWS, LAST_ROWS, NIGHTS).astype(int)
"""Holdout rows on each night: the same number lands every day."""
POSITIVE_SHARE = 0.1
F1, GAIN = 0.5, 0.02
AGREEMENT = 0.99
"""Correlation of two models' noise."""
UNSELECTED = 30
"""Equal models beside which the champion's F1 is called luck."""
BETTER = 20
"""Challengers with a true gain that are shown to a gate at a time."""
Passes = Callable[[Scores], bool]
"""A gate: whether the challenger takes over."""
_METRIC = objective("f1")
_SURE = ThresholdedProbability(np.array([0.9, 0.1]), 0.5)
_CARD = score(problem_named("binary"), np.array([1, 0], np.int8), _SURE, "1", 0)
_PROOFS = (LeakProof("2", 0, 0), LeakProof("1", 0, 0))
_NORMAL = NormalDist()


def ratchet(scores: Scores) -> bool:
    """Judge as a run does."""
    # Most nights end here: what is not better is held whatever is drawn.
    return naive(scores) and decide(scores, Form(), Gate()).verdict is Verdict.PROMOTE


def bootstrap(scores: Scores) -> bool:
    """Judge at 95 % however often the holdout was looked at."""
    return ratchet(replace(scores, looks=0))


def naive(scores: Scores) -> bool:
    """Judge by the figures alone, as most templates do."""
    return scores.champion is None or scores.challenger.value(_METRIC) >= scores.champion.value(
        _METRIC
    )


def looks(night: int, rows: int) -> int:
    """Return the earlier looks as a run counts them: on a holdout at least half this large."""
    return int((SIZES[:night] >= rows / 2).sum())


@dataclass(frozen=True)
class Year:
    """What a gate did in one year."""

    promoted: tuple[int, ...]
    """The nights of promotion; all are false, since no challenger is better."""
    luck: NDArray[np.float64]
    """By how much the champion's F1 on the holdout overstates it, after each night."""
    early_power: float
    """Share of challengers with a true gain promoted at the first look at the largest holdout."""
    late_power: float
    """The same after the year, against the champion that the year left."""


@dataclass(frozen=True)
class _Holdout:
    """Rows and, per row, the noise from which a model calls it positive."""

    y: Labels
    equal: NDArray[np.float32]
    better: NDArray[np.float32]
    """The same for a model with a true gain."""


def year(seed: int, passes: Passes, agreement: float = AGREEMENT) -> Year:
    """Play a year; the same seed has the same rows and challengers for every gate."""
    rng = np.random.default_rng(seed)
    holdout = _holdout(rng, agreement)
    first = champion = _calls(rng, holdout.equal)
    promoted, luck = [], np.zeros(NIGHTS)
    for night, rows in enumerate(SIZES):
        challenger, other = _calls(rng, holdout.equal), _calls(rng, holdout.equal)
        y = holdout.y[:rows]
        if passes(_scores(y, challenger[:rows], champion[:rows], looks(night, rows))):
            promoted.append(night)
            champion = challenger
        luck[night] = _f1(y, champion[:rows]) - _f1(y, other[:rows])
    luck[-1] = _luck(rng, holdout, champion)
    early = _power(rng, holdout, first, 0, passes)
    late = _power(rng, holdout, champion, looks(NIGHTS, LAST_ROWS), passes)
    return Year(tuple(promoted), luck, early, late)


def _holdout(rng: np.random.Generator, agreement: float) -> _Holdout:
    y = (rng.random(LAST_ROWS) < POSITIVE_SHARE).astype(np.int8)
    shared = rng.standard_normal(LAST_ROWS) * np.sqrt(agreement)
    own = np.sqrt(1 - agreement)
    bars = (((cut - shift * y - shared) / own) for shift, cut in map(_model, (F1, F1 + GAIN)))
    equal, better = (bar.astype(np.float32) for bar in bars)
    return _Holdout(y, equal, better)


def _model(f1: float) -> tuple[float, float]:
    """Return the shift of a positive and the threshold of the model whose best F1 is this."""
    low, high = 0.0, 6.0
    while high - low > 1e-6:  # noqa: PLR2004 - far finer than any F1 is told
        shift = (low + high) / 2
        best, cut = max((_true_f1(shift, at), at) for at in np.linspace(0, 4, 401))
        low, high = (shift, high) if best < f1 else (low, shift)
    return shift, float(cut)


def _true_f1(shift: float, cut: float) -> float:
    hits = POSITIVE_SHARE * _NORMAL.cdf(shift - cut)
    alarms = (1 - POSITIVE_SHARE) * _NORMAL.cdf(-cut)
    return 2 * hits / (hits + alarms + POSITIVE_SHARE)


def _calls(rng: np.random.Generator, bar: NDArray[np.float32]) -> Calls:
    return rng.standard_normal(len(bar), dtype=np.float32) > bar


def _scores(y: Labels, challenger: Calls, champion: Calls, seen: int) -> Scores:
    mine, theirs = (_card(y, called) for called in (challenger, champion))
    agreement = count_agreement(y, challenger, champion)
    challenged = replace(mine, model_version="2")
    return Scores(challenged, Rival(theirs, agreement), proofs=_PROOFS, looks=seen)


def _card(y: Labels, called: Calls) -> Scorecard:
    """Return a scorecard with the figures that the gate compares."""
    positives = int(y.sum())
    hits = int((called & (y == 1)).sum())
    figures = {"f1": _f1(y, called), "true_positives": hits, "false_negatives": positives - hits}
    return replace(_CARD, rows=len(y), figures={**_CARD.figures, **figures})


def _f1(y: Labels, called: Calls) -> float:
    return float(2 * y[called].sum() / (called.sum() + y.sum()))


def _luck(rng: np.random.Generator, holdout: _Holdout, champion: Calls) -> float:
    others = [_f1(holdout.y, _calls(rng, holdout.equal)) for _ in range(UNSELECTED)]
    return _f1(holdout.y, champion) - float(np.mean(others))


def _power(
    rng: np.random.Generator, holdout: _Holdout, champion: Calls, seen: int, passes: Passes
) -> float:
    shown = (_scores(holdout.y, _calls(rng, holdout.better), champion, seen) for _ in range(BETTER))
    return float(np.mean([passes(scores) for scores in shown]))
