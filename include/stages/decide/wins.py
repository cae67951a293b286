"""On how large a share of resampled holdouts a challenger wins, and has to win."""

import math
from statistics import NormalDist

import numpy as np

from include.metrics.predictions import Numbers


def win_share(gains: Numbers) -> float:
    """Return the share of resampled holdouts on which the challenger wins, from 0 to 1.

    No gain counts half: two models that predict every row alike win half of the time.
    """
    return float(np.mean(gains > 0) + np.mean(gains == 0) / 2)


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
