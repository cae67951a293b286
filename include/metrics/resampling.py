"""The paired bootstrap: how much the choice of rows changes a difference between two models.

Efron and Tibshirani, An Introduction to the Bootstrap, 1993; paired over two systems in Koehn,
EMNLP 2004. Where a metric depends on eight counts alone, drawing rows with replacement makes these
a multinomial, so the counts are drawn directly: exact, in milliseconds.

Example by F1 = 2 hits / (2 hits + misses + false calls): of 50 positives both models call 30, the
challenger alone 8, the champion alone 2; of 150 negatives it is 0, 3 and 7. The challenger has 38
hits, 12 misses and 3 false calls, F1 0.835; the champion 32, 18 and 7, F1 0.719. The gain of 0.116
is above 0 on 99.0 % of resamples.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from include.metrics.call_counts import Agreement, Cells
from include.metrics.predictions import Numbers

DRAWS = 10_000
"""Resampled holdouts."""
# A decision made again from the same scores has to come out the same.
SEED = 0
Merits = Callable[[Cells], Numbers]
"""How good each of many confusion matrices is, shape (n,); the greater, the better."""


def drawn_gains(agreement: Agreement, merits: Merits) -> Numbers:
    """Return by how much the challenger is better on resampled rows, float64 of shape (DRAWS,).

    The agreement must count at least one row. Exchanging the contenders gives the same gains with
    the opposite sign, number by number: only one of the two orders is drawn and stands for both.
    Where both orders have the same counts, the second half of the gains is the first with the
    opposite sign.
    """
    mirror = agreement.mirrored
    if _counts(mirror) < _counts(agreement):
        return -drawn_gains(mirror, merits)
    drawn = _draw(agreement, merits)
    if mirror == agreement:
        half = drawn[: DRAWS // 2]
        return np.concatenate([half, -half])
    return drawn


def _draw(agreement: Agreement, merits: Merits) -> Numbers:
    counts = np.array([agreement.positives, agreement.negatives], dtype=np.float64).ravel()
    rng = np.random.default_rng(SEED)
    drawn = rng.multinomial(int(counts.sum()), counts / counts.sum(), size=DRAWS)
    # Four columns each: called so by neither, by the challenger alone, by the champion alone, by
    # both.
    positives, negatives = drawn[:, :4], drawn[:, 4:]
    challenger, champion = (
        Cells(*_called(positives, own), *_called(negatives, own)) for own in (1, 2)
    )
    return merits(challenger) - merits(champion)


def _called(drawn: NDArray[np.int64], own: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many rows of a class a contender called positive, and how many it did not."""
    return drawn[:, own] + drawn[:, 3], drawn[:, 0] + drawn[:, 3 - own]


def _counts(agreement: Agreement) -> tuple[int, ...]:
    return agreement.positives + agreement.negatives
