from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.base import BaseEstimator, clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from serving.bundle import ValueFrequency

NAN = float("nan")
FITTED = np.array([[1.0, NAN], [1.0, 5.0], [2.0, NAN], [1.0, 5.5]], np.float32)
LEAVES_ITSELF_OUT = {
    "check_transformer_general": "a fitted row does not count itself",
    "check_transformer_data_not_an_array": "a fitted row does not count itself",
}
TABLES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.integers(1, 3)),
    elements=st.sampled_from([-1.5, -0.0, 0.0, 1.0, 2.0, 3e38, NAN]) | st.floats(-4, 4, width=16),
)


def same(value: float) -> object:
    """Return what a value is counted as: every NaN is one, and so are both zeros."""
    return "missing" if np.isnan(value) else float(value)


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [ValueFrequency(), ValueFrequency(append=False)],
    expected_failed_checks=lambda _: LEAVES_ITSELF_OUT,
)
def test_scikit_learn_takes_it_for_one_of_its_own(estimator: BaseEstimator, check: Any) -> None:
    """Its own checks of a transformer pass, but for the two that a fit of its own rows fails."""
    check(estimator)


def test_a_new_row_gets_the_fitted_counts() -> None:
    """A value that was never seen has none; a missing one counts like any other."""
    asked = np.array([[1, NAN], [2, 5], [3, 7], [NAN, 1]])
    counts = ValueFrequency(append=False).fit(FITTED).transform(asked)
    assert counts.tolist() == [[3, 2], [1, 1], [0, 0], [0, 0]]
    assert counts.dtype == np.float32


def test_a_fitted_row_does_not_count_itself() -> None:
    """What is left is what a new row with its values would have found among the others."""
    counts = ValueFrequency(append=False).fit_transform(FITTED)
    assert counts.tolist() == [[2, 1], [2, 0], [0, 1], [2, 0]]


def test_counts_stand_behind_the_columns() -> None:
    """The columns stay as they were, missing values included, and the names say which is which."""
    frequency = ValueFrequency()
    told = frequency.fit_transform(FITTED)
    assert np.array_equal(told[:, :2], FITTED, equal_nan=True)
    assert told.shape == (4, 4)
    assert frequency.get_feature_names_out(["a", "b"]).tolist() == ["a", "b", "a_count", "b_count"]


def test_values_are_what_float32_makes_of_them() -> None:
    """What the server asks with in float64 finds what was fitted in float32."""
    exact = np.array([[0.1], [0.1], [0.3]])
    assert ValueFrequency(append=False).fit(exact).transform(exact.astype(np.float32)).sum() == 5
    assert ValueFrequency(append=False).fit(exact).transform([[np.nextafter(0.1, 1)]]) == 2


@given(TABLES, TABLES)
def test_it_counts_as_a_dictionary_would(fitted: Any, request: Any) -> None:
    """For any values, asked in any order, many rows at once and one at a time."""
    request = np.resize(request, (len(request), fitted.shape[1]))
    known = [Counter(map(same, column)) for column in fitted.T]
    expected = [[known[at][same(v)] for at, v in enumerate(row)] for row in request]
    frequency = ValueFrequency(append=False).fit(fitted)
    assert frequency.transform(request).tolist() == expected
    assert [frequency.transform(row[np.newaxis])[0].tolist() for row in request] == expected
    again = clone(frequency).fit_transform(fitted)
    assert np.array_equal(again, frequency.transform(fitted) - 1)


def test_more_rows_than_a_block_holds() -> None:
    """Rows are looked up some at a time; none is left out at the edges."""
    column = np.arange(2049, dtype=np.float32)[:, np.newaxis] % 1000
    counts = ValueFrequency(append=False).fit(column).transform(column)
    assert counts.ravel().tolist() == [3.0 if value < 49 else 2.0 for value in column.ravel()]
