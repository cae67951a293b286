"""Preflight: compares the real server's answers with the pipeline's before a promotion.

Golden rows are real holdout rows of both labels, and variants of them with every kind of value that
a caller may send: missing values, categories never seen, numbers at the limits of float32. Two
implementations of the row layout or of the model call would differ there first. The server has to
give the pipeline's own answers: the same labels, and numbers within `TOLERANCE`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from serving.bundle import Bundle, Value, answers, encode, odd_rows
from serving.bundle.probing import TOLERANCE

ROWS_OF_A_LABEL = 200
"""Holdout rows that are sampled of each label."""

Row = tuple[Value, ...]
Outputs = Mapping[str, Sequence[Any]]
"""By output of an answer, its value for each row."""


def golden_rows(sampled: Sequence[Row], bundle: Bundle) -> list[Row]:
    """Return the rows to send: the sampled ones, then the variants that the model is steady on.

    A variant that the model refuses, or answers differently alone and among others, is left out:
    the server may rightly answer it otherwise.
    """
    layout = bundle.manifest.layout
    odd = odd_rows(layout, sampled)
    if not odd:
        return [*sampled]
    steady = answers(bundle.scores, encode(layout, odd), bundle.problem.usable).steady
    return [*sampled, *(row for row, sure in zip(odd, steady, strict=True) if sure)]


def differences(expected: Outputs, answered: Outputs) -> list[str]:
    """Return a sentence for each row that the server answers differently.

    Numbers with a fraction are equal within the tolerance, all other values by their text. Where
    the numbers of answers and of rows differ, that is the only sentence.
    """
    rows = len(next(iter(expected.values())))
    for name in expected:
        if len(answered.get(name, ())) != rows:
            return [f"{len(answered.get(name, ()))} answers for {rows} rows"]
    return [
        f"row {row} got {_in_words(answered, expected, row)}, the pipeline gives "
        f"{_in_words(expected, expected, row)}"
        for row in range(rows)
        if not all(_is_same(expected[name][row], answered[name][row]) for name in expected)
    ]


def _is_same(expected: Any, answered: Any) -> bool:
    if not isinstance(expected, float):
        return str(expected) == str(answered)
    # Written as "within", so that a NaN is a difference too.
    return isinstance(answered, float | int) and abs(answered - expected) <= TOLERANCE


def _in_words(outputs: Outputs, order: Outputs, row: int) -> str:
    """Return the values of a row, the last output first: `yes at 0.731000000`."""
    values = [outputs[name][row] for name in reversed([*order])]
    return " at ".join(f"{one:.9f}" if isinstance(one, float) else f"{one}" for one in values)
