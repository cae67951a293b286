"""What chance can do to a difference in F1 where two models differ on few rows: exactly.

Were the two equally good, either could have made either call on a row where they differ. So their
calls are swapped on each of d such rows or not, 2^d ways of equal chance, and the share of ways
whose gain is as large as the one that was seen is the p-value (the paired randomisation test:
Noreen, Computer Intensive Methods for Testing Hypotheses, 1989; for F1: Yeh, COLING 2000).

F1 needs counts alone. Of P differing positives and N differing negatives the challenger has the
calls on a and b after a swap, in C(P, a) * C(N, b) ways, so at most (P + 1) * (N + 1) gains stand
for all. They are fractions: equal gains are equal.

    3 positives found by the challenger alone, none by the champion alone: of 8 ways 1 has a gain as
    large, p = 1/8.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import comb

from include.records.judging import Agreement


@dataclass(frozen=True)
class Swaps:
    """The gains in F1 that swapping can give, each with the number of ways to it."""

    seen: Fraction
    """The gain of the calls as they are."""
    ways: dict[Fraction, int]

    @property
    def smaller(self) -> float:
        """Share of all ways that give the challenger a smaller gain: 1 - p."""
        return self._share(gain for gain in self.ways if gain < self.seen)

    @property
    def larger(self) -> float:
        """Share of all ways that give it a larger gain: 1 - p of a loss."""
        return self._share(gain for gain in self.ways if gain > self.seen)

    def smallest_gain(self, bound: float) -> float | None:
        """Return the smallest gain with that share of all ways below it, None without one."""
        left = sum(self.ways.values())
        found = None
        for gain in sorted(self.ways, reverse=True):
            left -= self.ways[gain]
            if gain <= 0 or left / sum(self.ways.values()) < bound:
                break
            found = float(gain)
        return found

    def _share(self, gains: Iterator[Fraction]) -> float:
        return float(Fraction(sum(self.ways[gain] for gain in gains), sum(self.ways.values())))


def swaps(agreement: Agreement) -> Swaps:
    """Return what every swap of differing calls gives; 2^d ways, so d has to be small."""
    _, mine, theirs, _ = agreement.positives
    _, mine_false, theirs_false, _ = agreement.negatives
    hits, alarms = mine + theirs, mine_false + theirs_false
    ways: dict[Fraction, int] = {}
    for a, b in product(range(hits + 1), range(alarms + 1)):
        gain = _gain(agreement, (a, hits - a), (b, alarms - b))
        ways[gain] = ways.get(gain, 0) + comb(hits, a) * comb(alarms, b)
    return Swaps(_gain(agreement, (mine, theirs), (mine_false, theirs_false)), ways)


def _gain(agreement: Agreement, hits: tuple[int, int], alarms: tuple[int, int]) -> Fraction:
    """Return the gain in F1 when each contender alone has so many hits and false alarms."""
    positives, found = sum(agreement.positives), agreement.positives[3]
    false = agreement.negatives[3]
    challenger, champion = (
        _f1(positives, found + hit, false + alarm) for hit, alarm in zip(hits, alarms, strict=True)
    )
    return challenger - champion


def _f1(positives: int, hits: int, alarms: int) -> Fraction:
    # Without a hit F1 is zero, whatever else is counted.
    return Fraction(2 * hits, positives + hits + alarms) if hits else Fraction(0)
