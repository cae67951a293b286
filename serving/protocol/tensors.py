"""The tensors of a V2 request to a matrix in the model's layout, however the tensors came.

Guarantees that a model never sees a number that the caller did not send, and NaN only where a value
may be missing or for a category that the model does not know. Anything else is refused with a
sentence that names the input and what was expected.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from serving.bundle import Layout, encode_column
from serving.protocol.sentences import clip, listed, nearest_feature, reason, refusal, too_many
from serving.protocol.usable import Origin, require_whole, usable
from serving.values.datatypes import FLOATS, INTEGERS, TEXT, TRUTH
from serving.values.spelling import SPELLING, truth_words

_NUMERIC = frozenset((*FLOATS, *INTEGERS, TRUTH))


class Tensor(Protocol):
    """An input of a request: what it says of itself, and a way to read what it holds."""

    @property
    def name(self) -> str:
        """Whatever the caller calls it."""

    @property
    def shape(self) -> Sequence[int]:
        """No dimension is negative."""

    @property
    def datatype(self) -> str:
        """The protocol's word, or anything else that the caller wrote."""

    @property
    def absent(self) -> str:
        """How a missing value is written in a tensor that came this way."""

    def numbers(self, *, may_be_missing: bool) -> NDArray[Any]:
        """Return the numbers, flat and as many as the shape says, NaN where one is missing.

        Raises ValueError, or RecursionError, when there are none or too many or too few. A NaN
        may be there although none may be missing: that is judged where the features are known.
        """

    def texts(self, *, may_be_missing: bool) -> Sequence[str | None]:
        """Return the strings in the same way, None where one is missing."""


def matrix(inputs: Sequence[Tensor], layout: Layout, max_rows: int) -> NDArray[np.float32]:
    """Return the tensors of a request as a matrix of a layout, shape (n, features), C order.

    Raises RequestRefusedError: 413 for more than `max_rows` rows, 400 unless the tensors are what
    the layout asks for.
    """
    first = inputs[0]
    is_whole = len(first.shape) == 2 and first.shape[1] == len(layout.features)  # noqa: PLR2004
    if len(inputs) > 1 or layout.categories or (not is_whole and first.name in layout.own_names):
        return _columns(inputs, layout, max_rows)
    if not is_whole:
        raise refusal(f"{_input(first)} has shape {clip(list(first.shape))}", layout)
    return _numbers(first, layout.features, layout, max_rows)


def _columns(inputs: Sequence[Tensor], layout: Layout, max_rows: int) -> NDArray[np.float32]:
    by_name = {layout.feature_of(tensor.name): tensor for tensor in inputs}
    _require_features([layout.feature_of(tensor.name) for tensor in inputs], layout)
    columns = [_column(by_name[name], layout, max_rows) for name in layout.features]
    lengths = {len(column): name for column, name in zip(columns, layout.features, strict=True)}
    if len(lengths) > 1:
        found = ", ".join(f"{clip(name)} has {rows} rows" for rows, name in lengths.items())
        raise refusal(f"the inputs differ in length: {clip(found)}", layout)
    return np.ascontiguousarray(np.concatenate(columns, axis=1), dtype=np.float32)


def _require_features(names: list[str], layout: Layout) -> None:
    seen, known = Counter(names), set(layout.features)
    unknown = [name for name in seen if name not in known]
    if unknown:
        said = f"{len(unknown)} unknown feature names: {listed(unknown)}"
        raise refusal(said + nearest_feature(unknown[0], layout), layout)
    problems = {
        "missing features": [name for name in layout.features if name not in seen],
        "features sent twice": [name for name, times in seen.items() if times > 1],
    }
    for problem, found in problems.items():
        if found:
            raise refusal(f"{len(found)} {problem}: {listed(found)}", layout)


def _column(tensor: Tensor, layout: Layout, max_rows: int) -> NDArray[Any]:
    """Return the values of one feature as they stand in the matrix, shape (n, 1)."""
    if len(tensor.shape) != 1 and list(tensor.shape[1:]) != [1]:
        raise refusal(
            f"{_input(tensor)} has shape {clip(list(tensor.shape))}; "
            "an input for one feature has shape [n] or [n, 1]",
            layout,
        )
    feature = layout.feature_of(tensor.name)
    if feature not in layout.categories:
        if tensor.datatype == TEXT and feature in layout.notations:
            return _texts(tensor, layout, max_rows)
        return _numbers(tensor, (feature,), layout, max_rows)
    words = truth_words(layout.categories[feature])
    if tensor.datatype == TRUTH and (words or layout.spelling >= SPELLING):
        return _categories(tensor, layout, max_rows, truth=True)
    if tensor.datatype in _NUMERIC and layout.spelling >= SPELLING:
        return _categories(tensor, layout, max_rows, truth=False)
    if tensor.datatype != TEXT:
        raise refusal(
            f"{_input(tensor)} has datatype {clip(tensor.datatype)} "
            f"where {TEXT} with shape [n] is expected, for it holds categories",
            layout,
        )
    return _texts(tensor, layout, max_rows)


def _texts(tensor: Tensor, layout: Layout, max_rows: int) -> NDArray[Any]:
    """Return the values of one feature that came as strings, shape (n, 1)."""
    _require_size(tensor, layout, max_rows)
    feature = layout.feature_of(tensor.name)
    try:
        texts = tensor.texts(may_be_missing=feature in layout.optional)
        return encode_column(layout, feature, texts).reshape(-1, 1)
    except (ValueError, RecursionError) as error:
        raise _unreadable(tensor, error, layout) from error


def _categories(
    tensor: Tensor, layout: Layout, max_rows: int, *, truth: bool
) -> NDArray[np.float64]:
    """Return the categories of one feature that came as truths or as numbers, shape (n, 1)."""
    feature = layout.feature_of(tensor.name)
    values = _exact(tensor, (feature,), layout, max_rows)
    require_whole(values, (feature,), _origin(tensor, layout))
    # A NaN, where one may be, stands for no category, and so is missing.
    said = [None if math.isnan(one) else bool(one) if truth else one for one in values.tolist()]
    return encode_column(layout, feature, said).reshape(-1, 1)


def _numbers(
    tensor: Tensor, features: tuple[str, ...], layout: Layout, max_rows: int
) -> NDArray[np.float32]:
    """Return the numbers of a tensor that has a column for each of these features."""
    values = _exact(tensor, features, layout, max_rows)
    return usable(values, features, layout.optional, _origin(tensor, layout))


def _origin(tensor: Tensor, layout: Layout) -> Origin:
    def refuse(what: str) -> Exception:
        return refusal(f"{_input(tensor)}, {what}", layout)

    return Origin(refuse, tensor.datatype, tensor.absent)


def _exact(
    tensor: Tensor, features: tuple[str, ...], layout: Layout, max_rows: int
) -> NDArray[Any]:
    """Return the numbers of a tensor as they came, flat."""
    if tensor.datatype not in _NUMERIC:
        raise refusal(f"{_input(tensor)} has datatype {clip(tensor.datatype)}", layout)
    _require_size(tensor, layout, max_rows)
    some = bool(layout.missing) and (len(features) > 1 or features[0] in layout.optional)
    try:
        return tensor.numbers(may_be_missing=some)
    except (ValueError, RecursionError) as error:
        raise _unreadable(tensor, error, layout) from error


def _require_size(tensor: Tensor, layout: Layout, max_rows: int) -> None:
    if 0 in tensor.shape:
        shape = clip(list(tensor.shape))
        raise refusal(f"{_input(tensor)} is an empty batch: it has shape {shape}", layout)
    if tensor.shape[0] > max_rows:
        raise too_many(tensor.shape[0], max_rows)


def _unreadable(tensor: Tensor, error: Exception, layout: Layout) -> Exception:
    return refusal(f"{_input(tensor)} has data that cannot be used: {reason(error)}", layout)


def _input(tensor: Tensor) -> str:
    return f"input {clip(tensor.name)}"
