"""The exact test of few calls that differ, against every swap made by hand."""

from fractions import Fraction
from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from include.metrics.call_counts import Cells, count_agreement
from include.metrics.swaps import Swaps
from include.metrics.swaps import swaps as swaps_by
from include.records.arrays import Calls, Labels

ROW = st.tuples(st.booleans(), st.booleans(), st.booleans())
"""Its label, the challenger's call and the champion's."""
FEW = 7
"""So many calls may differ: there are 2^7 ways to swap them."""


def few(rows: list[tuple[bool, bool, bool]]) -> list[tuple[bool, bool, bool]]:
    """Let no more than a few rows differ."""
    apart = [row for row in rows if row[1] != row[2]][:FEW]
    return [row for row in rows if row[1] == row[2]] + apart


ROWS = st.lists(ROW, max_size=25).map(few)


def f1(y: Labels, called: Calls) -> Fraction:
    """Return F1 by its definition."""
    hits = int((called & (y == 1)).sum())
    return Fraction(2 * hits, int(called.sum() + y.sum())) if hits else Fraction(0)


def swaps(y: Labels, mine: Calls, theirs: Calls) -> Swaps:
    """Return every way to swap, by F1."""

    def merit(cells: Cells) -> Fraction:
        whole = 2 * cells.hits + cells.misses + cells.false_calls
        return Fraction(2 * cells.hits, whole) if cells.hits else Fraction(0)

    return swaps_by(count_agreement(y, mine, theirs), merit)


def every_gain(y: Labels, mine: Calls, theirs: Calls) -> list[Fraction]:
    """Return the gain of every way to swap the calls that differ."""
    apart = np.flatnonzero(mine != theirs)
    gained = []
    for chosen in product([False, True], repeat=len(apart)):
        swapped = np.zeros(len(y), bool)
        swapped[apart] = chosen
        one, two = np.where(swapped, theirs, mine), np.where(swapped, mine, theirs)
        gained.append(f1(y, one) - f1(y, two))
    return gained


@given(ROWS, st.floats(0.5, 0.99))
def test_the_shares_are_those_of_every_swap(
    rows: list[tuple[bool, bool, bool]], bound: float
) -> None:
    """Of smaller and of larger gains, and the smallest gain that a bound lets through."""
    y = np.array([row[0] for row in rows], np.int8)
    mine, theirs = (np.array([row[at] for row in rows], bool) for at in (1, 2))
    found, every = swaps(y, mine, theirs), every_gain(y, mine, theirs)
    seen = f1(y, mine) - f1(y, theirs)
    assert found.smaller == sum(gain < seen for gain in every) / len(every)
    assert found.larger == sum(gain > seen for gain in every) / len(every)
    passing = [
        gain
        for gain in every
        if gain > 0 and sum(other < gain for other in every) / len(every) >= bound
    ]
    assert found.smallest_gain(bound) == (float(min(passing)) if passing else None)


@given(ROWS)
def test_swapped_contenders_have_the_shares_the_other_way_round(
    rows: list[tuple[bool, bool, bool]],
) -> None:
    """What one wins the other loses; both cannot be better than half of all ways."""
    y = np.array([row[0] for row in rows], np.int8)
    mine, theirs = (np.array([row[at] for row in rows], bool) for at in (1, 2))
    there, back = swaps(y, mine, theirs), swaps(y, theirs, mine)
    assert (there.smaller, there.larger) == (back.larger, back.smaller)
    assert there.smaller + there.larger < 1
