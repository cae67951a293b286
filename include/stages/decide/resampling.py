"""What the choice of holdout rows can do to a difference in F1 by chance.

The paired bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993; paired over two
systems in Koehn, EMNLP 2004). F1 needs only eight counts, and drawing rows with replacement makes
these a multinomial, so it is drawn directly: exact, in milliseconds.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from include.records.judging import Agreement

DRAWS = 10_000
# A decision made again from the same scores has to come out the same.
SEED = 0
Gains = NDArray[np.float64]
"""Shape (DRAWS,): F1 of the challenger less F1 of the champion on each resampled holdout."""


def gains(agreement: Agreement) -> Gains:
    """Return the gain in F1 on resampled holdouts; the agreement must count a row.

    Swapped contenders have the same gains with the other sign, number by number: one of the two
    orders is drawn and stands for both. Where both orders are the same counts, half of the gains
    are the other half with the other sign.
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
    """Return on what share of the resampled holdouts the challenger wins.

    An equal F1 is half a win: two models that call every row alike win half of the time.
    """
    return float(np.mean(gained > 0) + np.mean(gained == 0) / 2)


def asked(confidence: float, looks: int, rows: int) -> float:
    """Return the share that has to be won after so many looks at a holdout of so many rows.

    As in the Ladder (Blum and Hardt, The Ladder: A Reliable Leaderboard for Machine Learning
    Competitions, ICML 2015) the champion gives way only to a gain beyond the noise of the
    difference. The paper's union bound (theorem 3.1) runs over the k models judged and the steps of
    the score, 1/n in its parameter-free form, so the square of what chance can do grows with
    log(4kn). The margin, in standard deviations, grows by as much from the first look on. No margin
    stays none: a confidence of 0.5 is never corrected.
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
