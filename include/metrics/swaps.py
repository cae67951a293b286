"""The exact paired randomisation test of a gain, for models that differ on few rows.

If the two models were equally good, either could have made either call on a row where they differ.
So on each of d such rows their calls are swapped or not, 2^d ways of equal chance, and the share of
ways whose gain is at least as large as the observed one is the p-value (Noreen, Computer Intensive
Methods for Testing Hypotheses, 1989; for F1: Yeh, COLING 2000).

Where a metric depends on counts alone, and of P differing positives and N differing negatives the
challenger has the calls on a and b after a swap, in C(P, a) * C(N, b) ways, at most (P + 1) * (N +
1) gains stand for all ways. They are fractions, so that equal gains compare equal.

Example by F1: of 8 positives both call 5 and the challenger alone the other 3, without false calls.
Of the 2^3 = 8 ways 1 gives a gain of 3/13, 3 of 8/105, 3 of -8/105 and 1 of -3/13. The observed
gain is 3/13, so p = 1/8 and `smaller` is 7/8.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import comb

from include.metrics.call_counts import Agreement, Cells

ExactMerit = Callable[[Cells], Fraction]
"""How good a confusion matrix is; the greater, the better."""


@dataclass(frozen=True)
class Swaps:
    """The gains that swapping can give, each with the number of ways to it."""

    seen: Fraction
    """The observed gain: that of the calls as they are."""
    ways: dict[Fraction, int]
    rows: int
    """Rows on which the two differ."""

    @property
    def smaller(self) -> float:
        """The share of ways that give the challenger a smaller gain than observed: 1 - p."""
        return self._share(gain for gain in self.ways if gain < self.seen)

    @property
    def larger(self) -> float:
        """The share of ways that give it a larger gain than observed: 1 - p of a loss."""
        return self._share(gain for gain in self.ways if gain > self.seen)

    def smallest_gain(self, bound: float) -> float | None:
        """Return the smallest positive gain with this share of ways below it or more, else None."""
        left = sum(self.ways.values())
        smallest = None
        for gain in sorted(self.ways, reverse=True):
            left -= self.ways[gain]
            if gain <= 0 or left / sum(self.ways.values()) < bound:
                break
            smallest = float(gain)
        return smallest

    def _share(self, gains: Iterator[Fraction]) -> float:
        return float(Fraction(sum(self.ways[gain] for gain in gains), sum(self.ways.values())))


def swaps(agreement: Agreement, merit: ExactMerit) -> Swaps:
    """Return what every swap of differing calls gives; there are 2^d ways, so d has to be small."""
    _, mine, theirs, _ = agreement.positives
    _, mine_false, theirs_false, _ = agreement.negatives
    hits, alarms = mine + theirs, mine_false + theirs_false
    ways: dict[Fraction, int] = {}
    for a, b in product(range(hits + 1), range(alarms + 1)):
        gain = _gain(agreement, merit, (a, hits - a), (b, alarms - b))
        ways[gain] = ways.get(gain, 0) + comb(hits, a) * comb(alarms, b)
    seen = _gain(agreement, merit, (mine, theirs), (mine_false, theirs_false))
    return Swaps(seen, ways, agreement.disagreements)


def _gain(
    agreement: Agreement, merit: ExactMerit, hits: tuple[int, int], alarms: tuple[int, int]
) -> Fraction:
    """Return the gain when each contender alone has so many hits and so many false calls."""
    positives, both_hit = sum(agreement.positives), agreement.positives[3]
    negatives, both_false = sum(agreement.negatives), agreement.negatives[3]
    challenger, champion = (
        merit(
            Cells(
                both_hit + hit,
                positives - both_hit - hit,
                both_false + alarm,
                negatives - both_false - alarm,
            )
        )
        for hit, alarm in zip(hits, alarms, strict=True)
    )
    return challenger - champion
