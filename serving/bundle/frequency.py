"""How often a value was seen: a feature that no classifier makes up for itself.

Where some values repeat and others do not, being rare says of a row what no column says. Counts of
values were what lifted the best solutions of Kaggle's Santander Customer Transaction Prediction
(2019) from an area under the ROC curve of .90 to .92, as one of them tells ("Financial Data
Modeling with RAPIDS", 17th place). They counted over the test rows too; a served model has only the
rows that it was fitted on.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

_BLOCK = 1024  # rows that are looked up at a time: memory is some 40 bytes a value of them
_Bits = NDArray[np.uint32]


class ValueFrequency(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Tells of each value in how many other fitted rows its column holds the same one.

    Other rows: `fit_transform` leaves a row itself out of its counts, so that a fitted row looks to
    the next step as a new one does. Values are compared as float32; a missing one, NaN, counts as a
    value; one that was never seen has 0.

    The output is float32. With `append` the columns come first, then their counts, shape (rows,
    2 * features); without it the counts alone, shape (rows, features).
    """

    def __init__(self, *, append: bool = True) -> None:
        """Keep the parameter, as scikit-learn wants it kept."""
        self.append = append

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Count the values of each column of X, shape (rows, features); labels play no part."""
        del y
        self._count(self._checked(X, reset=True))
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Tell of rows that are not among the fitted ones."""
        check_is_fitted(self)
        matrix = self._checked(X, reset=False)
        return self._beside(matrix, self._looked_up(matrix))

    def fit_transform(self, X: ArrayLike, y: object = None, **_: Any) -> NDArray[np.float32]:
        """Fit, and tell of the fitted rows, none of which counts itself."""
        del y
        matrix = self._checked(X, reset=True)
        self._count(matrix)
        return self._beside(matrix, self._looked_up(matrix) - 1)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Name the output's columns: `NAME` as it was and `NAME_count`."""
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        counts = np.array([f"{name}_count" for name in names], dtype=object)
        return np.concatenate([names, counts]) if self.append else counts

    def __sklearn_tags__(self) -> Tags:
        """Say that missing values are welcome and that the output is float32."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _checked(self, X: ArrayLike, *, reset: bool) -> NDArray[np.float32]:
        checked: NDArray[np.float32] = validate_data(
            self, X, reset=reset, dtype=np.float32, ensure_all_finite="allow-nan"
        )
        return checked

    def _count(self, matrix: NDArray[np.float32]) -> None:
        """Keep each column's values, sorted and one column after another, and their counts.

        Six bytes a value as a rule: counts take the smallest type that holds the largest.
        """
        columns = [np.unique(_bits(column), return_counts=True) for column in matrix.T]
        self.values_ = np.concatenate([values for values, _ in columns])
        counts = np.concatenate([counts for _, counts in columns])
        self.counts_ = counts.astype(np.min_scalar_type(counts.max()))
        self.ends_ = np.cumsum([len(values) for values, _ in columns])

    def _looked_up(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the count of each value, shape (rows, features)."""
        counts = np.empty(matrix.shape, np.float32)
        for start in range(0, len(matrix), _BLOCK):
            block = slice(start, start + _BLOCK)
            counts[block] = self._bisected(_bits(matrix[block].T)).T
        return counts

    def _bisected(self, bits: _Bits) -> NDArray[np.unsignedinteger[Any]]:
        """Look up the bit patterns of some rows, shape (features, rows), in all columns at once.

        As fast for many rows as a `searchsorted` a column, and ten times faster for one row of 200
        columns.
        """
        ends = self.ends_[:, np.newaxis]
        lengths = np.diff(ends, axis=0, prepend=0)
        below = np.broadcast_to(ends - lengths, bits.shape)  # the place after all smaller values
        step = 1 << int(lengths.max() - 1).bit_length()
        while step:
            ahead = below + step
            smaller = self.values_[np.minimum(ahead, ends) - 1] < bits
            below = below + step * (smaller & (ahead <= ends))
            step >>= 1
        place = np.minimum(below, ends - 1)
        return np.where(self.values_[place] == bits, self.counts_[place], 0)

    def _beside(
        self, matrix: NDArray[np.float32], counts: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        return np.hstack([matrix, counts]) if self.append else counts


def _bits(values: NDArray[np.float32]) -> _Bits:
    """Return the bit patterns of values, one pattern for both zeros and one for every NaN."""
    plain = np.ascontiguousarray(values) + np.float32(0)  # minus zero becomes zero
    plain[np.isnan(plain)] = np.nan
    return plain.view(np.uint32)
