"""What the real server has to answer before a challenger may become champion.

Golden rows are real rows of the holdout, of both labels, and where the layout has optional features
or categories, variants of them with a gap or with a category that nobody has ever seen: that is
where two ways of laying a row out would differ first. The server's answers must be the pipeline's
own: the label exactly, the probability to `TOLERANCE`.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from include.arrays import Probabilities
from serving.bundle import Layout, Value

ROWS_OF_A_LABEL = 200
TOLERANCE = 1e-6
_VARIED_ROWS = 10
_UNSEEN = "a category that no row has ever had"

Row = tuple[Value, ...]


def golden_rows(sampled: Sequence[Row], layout: Layout) -> list[Row]:
    """Return what to ask: the sampled rows, then variants with gaps and unknown categories."""
    return [*sampled, *_variants(sampled, layout)]


def differences(
    expected: Probabilities,
    expected_labels: Sequence[str],
    answered: Probabilities,
    answered_labels: Sequence[str],
) -> list[str]:
    """Return a sentence a row that the server answers otherwise; both probabilities shape (n,)."""
    if len(answered) != len(expected) or len(answered_labels) != len(expected):
        return [f"{len(answered)} answers for {len(expected)} rows"]
    # Not "farther than": a NaN is a difference, too.
    wrong = ~(np.abs(answered - expected) <= TOLERANCE)
    wrong |= np.array(answered_labels) != np.array(expected_labels)
    return [
        f"row {at} got {answered_labels[at]} at {answered[at]:.9f}, the pipeline gives "
        f"{expected_labels[at]} at {expected[at]:.9f}"
        for at in np.flatnonzero(wrong).tolist()
    ]


def _variants(sampled: Sequence[Row], layout: Layout) -> Iterator[Row]:
    some = sampled[:_VARIED_ROWS]
    gaps = [at for at, name in enumerate(layout.features) if name in layout.optional]
    for number, at in enumerate(gaps):
        if some:
            yield _with(some[number % len(some)], {at: None})
    if gaps:
        nothing: dict[int, Value] = dict.fromkeys(gaps)
        yield from (_with(row, nothing) for row in some)
    categories = [at for at, name in enumerate(layout.features) if name in layout.categories]
    if categories:
        unseen: dict[int, Value] = dict.fromkeys(categories, _UNSEEN)
        yield from (_with(row, unseen) for row in some)


def _with(row: Row, changed: dict[int, Value]) -> Row:
    return tuple(changed.get(at, value) for at, value in enumerate(row))
