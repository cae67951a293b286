"""What the real server has to answer before a challenger may become champion.

Golden rows are real rows of the holdout, of both labels, and variants of them with every kind of
value that a caller may send: gaps, categories that nobody has ever seen, numbers at the edges of 32
bits. That is where two ways of laying a row out, or of asking a model, would differ first. The
server's answers must be the pipeline's own: the label exactly, the probability to `TOLERANCE`.
"""

from collections.abc import Sequence

import numpy as np

from include.records.arrays import Probabilities
from serving.bundle import Bundle, Value, answers, encode, odd_rows

ROWS_OF_A_LABEL = 200
TOLERANCE = 1e-6

Row = tuple[Value, ...]


def golden_rows(sampled: Sequence[Row], bundle: Bundle) -> list[Row]:
    """Return what to ask: the sampled rows, then variants of which the model is sure itself."""
    layout = bundle.manifest.layout
    odd = odd_rows(layout, sampled)
    if not odd:
        return [*sampled]
    steady = answers(bundle.probability, encode(layout, odd)).steady
    return [*sampled, *(row for row, sure in zip(odd, steady, strict=True) if sure)]


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
