"""Rows at the edges of what a model may be asked, and what it says of them.

Training asks the server about such rows before a model may become champion, and the server tries
its quicker ways on them when it opens one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.bundle.layout import Layout, Value

_LIMITS = np.finfo(np.float32)
_EDGES = tuple(
    sign * float(size)
    for size in (0.0, _LIMITS.smallest_subnormal, _LIMITS.tiny, 1e18, _LIMITS.max)
    for sign in (1, -1)
)
"""Numbers that a caller may send and hardly any training row holds."""
_UNSEEN = "a category that no row has ever had"
_MOST_FEATURES = 24
"""Features of a kind that are varied one at a time: a model with more has more of the same."""
TOLERANCE = 1e-6
"""The largest difference of two probabilities that count as equal."""
CLOSE = TOLERANCE / 2
"""As much for each of two answers that are compared with a third."""

Row = Sequence[Value]
Ask = Callable[[NDArray[np.float32]], NDArray[Any]]
"""Gives a model's scores of a matrix, whose first axis is the rows."""
Usable = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Gives scores as they are answered, NaN where one is of no use."""


@dataclass(frozen=True)
class ProbedAnswers:
    """What a model says of rows, each asked alone; both of shape (rows,)."""

    alone: NDArray[np.float64]
    """The score, NaN where the model cannot score the row."""
    steady: NDArray[np.bool_]
    """Where it is the same when all rows are asked together. Far from all that was fitted, some
    models divide by nothing or compare what is equal, and say something else each time."""


def odd_rows(layout: Layout, rows: Sequence[Row]) -> list[tuple[Value, ...]]:
    """Return variants of some rows that hold every kind of value that a caller may send.

    Each category unknown, or an empty text; each value that may be missing; numbers from the
    smallest to the largest that 32 bits hold: one feature at a time, then all of the kind at once.
    """
    if not rows:
        return []
    changes = _changes(layout)
    return [_with(rows[at % len(rows)], change) for at, change in enumerate(changes)]


def answers(ask: Ask, X: NDArray[np.float32], usable: Usable) -> ProbedAnswers:
    """Ask about rows one at a time and then about all that can be scored at once."""
    alone = np.array([_asked(ask, X[at : at + 1], usable)[0] for at in range(len(X))])
    steady = ~np.isnan(alone)
    if steady.any():
        together = _asked(ask, X[steady], usable)
        steady[steady] = np.abs(together - alone[steady]) <= CLOSE
    return ProbedAnswers(alone, steady)


def _asked(ask: Ask, X: NDArray[np.float32], usable: Usable) -> NDArray[np.float64]:
    """Return scores, NaN where there is none that is of use."""
    try:
        with np.errstate(all="ignore"):
            scores = np.asarray(ask(X), dtype=np.float64)
    except Exception:  # noqa: BLE001 - what an estimator raises at such rows is not to be known
        return np.full(len(X), np.nan)
    return usable(scores)


def _changes(layout: Layout) -> Iterator[dict[int, Value]]:
    places = {feature: place for place, feature in enumerate(layout.features)}
    categories = [places[feature] for feature in layout.categories]
    gaps = [places[feature] for feature in layout.missing]
    numbers = [place for feature, place in places.items() if feature not in layout.categories]
    kinds: list[tuple[list[int], Value]] = [(categories, _UNSEEN), (categories, ""), (gaps, None)]
    for some, value in kinds:
        yield from ({place: value} for place in some[:_MOST_FEATURES])
        if some:
            yield dict.fromkeys(some, value)
    if numbers:
        for at, edge in enumerate(_EDGES):
            yield {numbers[at % len(numbers)]: edge}
            yield dict.fromkeys(numbers, edge)


def _with(row: Row, changed: dict[int, Value]) -> tuple[Value, ...]:
    return tuple(changed.get(at, value) for at, value in enumerate(row))
