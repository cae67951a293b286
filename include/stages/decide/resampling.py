"""The paired bootstrap: how much the choice of holdout rows changes a difference in F1.

Efron and Tibshirani, An Introduction to the Bootstrap, 1993; paired over two systems in Koehn,
EMNLP 2004. F1 depends on eight counts alone, and drawing rows with replacement makes these a
multinomial, so the counts are drawn directly: exact, in milliseconds.

    F1 = 2 hits / (2 hits + misses + false calls)

Example: of 50 positives both models call 30, the challenger alone 8, the champion alone 2; of 150
negatives it is 0, 3 and 7. The challenger has 38 hits, 12 misses and 3 false calls, F1 0.835; the
champion 32, 18 and 7, F1 0.719. The gain of 0.116 is above 0 on 99.0 % of resamples.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from include.records.judging import Agreement

DRAWS = 10_000
"""Resampled holdouts."""
# A decision made again from the same scores has to come out the same.
SEED = 0
Gains = NDArray[np.float64]
"""Shape (DRAWS,): F1 of the challenger less F1 of the champion on each resampled holdout."""


def gains(agreement: Agreement) -> Gains:
    """Return the gain in F1 on resampled holdouts, float64 of shape (DRAWS,).

    The agreement must count at least one row. Exchanging the contenders gives the same gains with
    the opposite sign, number by number: only one of the two orders is drawn and stands for both.
    Where both orders have the same counts, the second half of the gains is the first with the
    opposite sign.
    """
    mirror = Agreement(_swapped(agreement.positives), _swapped(agreement.negatives))
    if _counts(mirror) < _counts(agreement):
        return -gains(mirror)
    drawn = _draw(agreement)
    if mirror == agreement:
        half = drawn[: DRAWS // 2]
        return np.concatenate([half, -half])
    return drawn


def win_share(gained: Gains) -> float:
    """Return the share of resampled holdouts on which the challenger wins, from 0 to 1.

    An equal F1 counts half: two models that call every row alike win half of the time.
    """
    return float(np.mean(gained > 0) + np.mean(gained == 0) / 2)


def required_win_share(confidence: float, looks: int, rows: int) -> float:
    """Return the share of resamples to be won, after so many looks at a holdout of so many rows.

    As in the Ladder (Blum and Hardt, The Ladder: A Reliable Leaderboard for Machine Learning
    Competitions, ICML 2015) the champion is replaced only for a gain beyond the noise of the
    difference. The paper's union bound (theorem 3.1) runs over the k models judged and the steps of
    the score, 1/n in its parameter-free form, so the square of what chance can do grows with log(4
    k n). With Phi the normal distribution function, k earlier looks and n rows::

        Phi(Phi^-1(confidence) * sqrt(log(4 n (1 + k)) / log(4 n)))

    At n = 1,000 a confidence of 0.95 becomes 0.957 after 1 look, 0.969 after 10 and 0.980 after
    100. A confidence of 0.5 has no margin and is never corrected.
    """
    if not looks:
        return confidence
    first = math.log(4 * rows)
    growth = math.sqrt((first + math.log(1 + looks)) / first)
    normal = NormalDist()
    return normal.cdf(normal.inv_cdf(confidence) * growth)


def _draw(agreement: Agreement) -> Gains:
    counts = np.array([agreement.positives, agreement.negatives], dtype=np.float64).ravel()
    rng = np.random.default_rng(SEED)
    drawn = rng.multinomial(int(counts.sum()), counts / counts.sum(), size=DRAWS)
    # Four columns each: called so by neither, by the challenger alone, by the champion alone, by
    # both.
    positives, negatives = drawn[:, :4], drawn[:, 4:]
    challenger = _f1(positives[:, [1, 3]], positives[:, [0, 2]], negatives[:, [1, 3]])
    champion = _f1(positives[:, [2, 3]], positives[:, [0, 1]], negatives[:, [2, 3]])
    return challenger - champion


def _f1(
    hits: NDArray[np.int64], misses: NDArray[np.int64], alarms: NDArray[np.int64]
) -> NDArray[np.float64]:
    twice = 2.0 * hits.sum(axis=1)
    total = twice + misses.sum(axis=1) + alarms.sum(axis=1)
    # Without a hit F1 is zero, whatever else is counted.
    share: NDArray[np.float64] = twice / np.maximum(total, 1.0)
    return share


def _swapped(counts: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    neither, challenger, champion, both = counts
    return neither, champion, challenger, both


def _counts(agreement: Agreement) -> tuple[int, ...]:
    return agreement.positives + agreement.negatives
