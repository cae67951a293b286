"""Preflight: compares the real server's answers with the pipeline's before a promotion.

Golden rows are real holdout rows of both labels, and variants of them with every kind of value that
a caller may send: missing values, categories never seen, numbers at the limits of float32. Two
implementations of the row layout or of the model call would differ there first. The server has to
give the pipeline's own answers: the same label, and the probability within `TOLERANCE`.
"""

from collections.abc import Sequence

import numpy as np

from include.records.arrays import Probabilities
from serving.bundle import Bundle, Value, answers, encode, odd_rows
from serving.bundle.probing import TOLERANCE

ROWS_OF_A_LABEL = 200
"""Holdout rows that are sampled of each label."""

Row = tuple[Value, ...]


def golden_rows(sampled: Sequence[Row], bundle: Bundle) -> list[Row]:
    """Return the rows to send: the sampled ones, then the variants that the model is steady on.

    A variant that the model refuses, or answers differently alone and among others, is left out:
    the server may rightly answer it otherwise.
    """
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
    """Return a sentence for each row that the server answers differently.

    Both probabilities are float64 of shape (rows,), the labels are as long. Where the numbers of
    answers and of rows differ, that is the only sentence.
    """
    if len(answered) != len(expected) or len(answered_labels) != len(expected):
        return [f"{len(answered)} answers for {len(expected)} rows"]
    # Written as "not within", so that a NaN is a difference too.
    wrong = ~(np.abs(answered - expected) <= TOLERANCE)
    wrong |= np.array(answered_labels) != np.array(expected_labels)
    return [
        f"row {row} got {answered_labels[row]} at {answered[row]:.9f}, the pipeline gives "
        f"{expected_labels[row]} at {expected[row]:.9f}"
        for row in np.flatnonzero(wrong).tolist()
    ]
