import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.text.numbers import as_text
from serving.bundle import Layout, Value, encode, stand_in
from serving.values.spelling import SPELLING

LAYOUT = Layout(("height", "colour"), {"colour": ("blue", "red")}, ("height",))
NAN = float("nan")


@pytest.mark.parametrize(
    ("row", "laid_out"),
    [
        ((1.5, "blue"), [1.5, 0.0]),
        ((2, "red"), [2.0, 1.0]),
        ((None, "red"), [NAN, 1.0]),
        ((1.5, None), [1.5, NAN]),
        ((1.5, "green"), [1.5, NAN]),
        ((1.5, ""), [1.5, NAN]),
    ],
    ids=["first category", "second", "no number", "no category", "unknown category", "no text"],
)
def test_a_value_has_its_place(row: tuple[Value, ...], laid_out: list[float]) -> None:
    """Numbers as they are, a category as its place, what is missing or unknown as NaN."""
    matrix = encode(LAYOUT, [row, row])
    assert np.array_equal(matrix, [laid_out, laid_out], equal_nan=True)
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous


@given(before=st.text(max_size=3), after=st.text(max_size=3))
def test_a_category_is_the_same_with_spaces_around_it(before: str, after: str) -> None:
    """What training takes off a text when it reads a file, the matrix does without as well."""
    sent = f"{before}red{after}"
    (as_read,) = as_text(pl.Series("colour", [sent]), SPELLING)
    known = Layout(("colour",), {"colour": (as_read,)}, spelling=SPELLING)
    assert encode(known, [(sent,), (as_read,)]).tolist() == [[0.0], [0.0]]
    assert np.isnan(encode(LAYOUT, [(1.0, sent)])[0, 1]) == (as_read != "red")


def test_no_rows_are_a_matrix_of_the_right_width() -> None:
    """Whoever has no row to show gets an empty matrix, not an error."""
    assert encode(LAYOUT, []).shape == (0, 2)


def test_a_row_of_another_width_is_an_error() -> None:
    """Values would stand under the wrong names."""
    with pytest.raises(ValueError, match="a row has 1 values for 2 features"):
        encode(LAYOUT, [(1.0, "red"), (1.0,)])


def test_a_stand_in_can_be_laid_out() -> None:
    """Zeros and known categories, and a text where no category was ever seen."""
    assert stand_in(LAYOUT) == (0.0, "blue")
    never_seen = Layout(("colour",), {"colour": ()})
    assert np.isnan(encode(never_seen, [stand_in(never_seen)])).all()
