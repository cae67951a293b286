"""The tensors of a V2 request to a matrix in the model's layout.

Guarantees that a model never sees a number that the caller did not send, and NaN only for a null
where a value may be missing or for a category that the model does not know. Anything else is
refused with a sentence that names the input and what was expected.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from include.bundle import Layout, encode_column
from serving.refusals import RequestRefusedError

TEXT = "BYTES"  # the protocol's word
_FLOATS = ("FP64", "FP32")
_INTEGERS = {
    f"{kind}{bits}": np.iinfo(f"{kind.lower()}{bits}")
    for kind in ("INT", "UINT")
    for bits in (8, 16, 32, 64)
}
_LARGEST = float(np.finfo(np.float32).max)
_CLIP = 60
_SHOWN = 3
_Dimension = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class Tensor(msgspec.Struct):
    """A tensor of a request, its data still as they came."""

    name: str
    shape: list[_Dimension]
    datatype: str
    # Raw, because whether the numbers come flat or nested is only known from the shape.
    data: msgspec.Raw


_NESTED_START = re.compile(rb"\s*\[\s*\[")


class _Decoders:
    """What reads the data of a tensor, flat or nested, when its items have this type."""

    def __init__(self, item: Any) -> None:
        self.flat = msgspec.json.Decoder(list[item])
        self.nested = msgspec.json.Decoder(list[list[item]])


_NUMBERS = {False: _Decoders(float), True: _Decoders(float | None)}  # True where one may be missing
_TEXTS = {False: _Decoders(str), True: _Decoders(str | None)}


def matrix(inputs: list[Tensor], layout: Layout) -> NDArray[np.float32]:
    """Return the tensors of a request as a matrix of a layout, shape (n, features), C order.

    Raises RequestRefusedError with status 400 unless they are what the layout asks for.
    """
    first = inputs[0]
    is_whole = first.shape[1:] == [len(layout.features)]
    if len(inputs) > 1 or layout.categories or (first.name in layout.features and not is_whole):
        values = _columns(inputs, layout)
    elif is_whole:
        values = _whole(first, layout)
    else:
        raise refusal(f"input {_clip(first.name)} has shape {_clip(first.shape)}", layout)
    return np.ascontiguousarray(values, dtype=np.float32)


def refusal(sentence: str, layout: Layout) -> RequestRefusedError:
    """Return a refusal that says what came and what a model of this layout expects."""
    return RequestRefusedError(400, f"{sentence}. Expected {_expected(layout)}.")


def reason(error: Exception) -> str:
    """Return what is wrong with JSON that could not be decoded."""
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def listed(names: Sequence[str]) -> str:
    """Return the first names, cut to a bounded length."""
    shown = ", ".join(_clip(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, ... ({len(names)} in all)"


def _whole(tensor: Tensor, layout: Layout) -> NDArray[np.float64]:
    values = _numbers(tensor, layout, may_be_missing=bool(layout.missing)).reshape(tensor.shape)
    if layout.missing:
        fixed = [feature not in layout.optional for feature in layout.features]
        absent = np.isnan(values) & fixed
        if absent.any():
            row, column = divmod(int(np.argmax(absent)), len(fixed))
            raise refusal(
                f"input {_clip(tensor.name)}, row {row}: "
                f"feature {_clip(layout.features[column])} is null",
                layout,
            )
    return values


def _columns(inputs: list[Tensor], layout: Layout) -> NDArray[np.float64]:
    by_name = {tensor.name: tensor for tensor in inputs}
    _require_features([tensor.name for tensor in inputs], layout)
    columns = [_column(by_name[name], layout) for name in layout.features]
    lengths = {len(column): name for column, name in zip(columns, layout.features, strict=True)}
    if len(lengths) > 1:
        found = ", ".join(f"{_clip(name)} has {rows} rows" for rows, name in lengths.items())
        raise refusal(f"the inputs differ in length: {_clip(found)}", layout)
    return np.column_stack(columns)


def _require_features(names: list[str], layout: Layout) -> None:
    seen, known = Counter(names), set(layout.features)
    problems = {
        "unknown feature names": [name for name in seen if name not in known],
        "missing features": [name for name in layout.features if name not in seen],
        "features sent twice": [name for name, times in seen.items() if times > 1],
    }
    for problem, found in problems.items():
        if found:
            raise refusal(f"{len(found)} {problem}: {listed(found)}", layout)


def _column(tensor: Tensor, layout: Layout) -> NDArray[np.float64]:
    """Return the values of one feature as they stand in the matrix."""
    if not tensor.shape or tensor.shape[1:] not in ([], [1]):
        raise refusal(
            f"input {_clip(tensor.name)} has shape {_clip(tensor.shape)}; "
            "an input for one feature has shape [n] or [n, 1]",
            layout,
        )
    may_be_missing = tensor.name in layout.optional
    if tensor.name not in layout.categories:
        return _numbers(tensor, layout, may_be_missing=may_be_missing)
    if tensor.datatype != TEXT:
        raise refusal(
            f"input {_clip(tensor.name)} has datatype {_clip(tensor.datatype)} "
            f"where {TEXT} with shape [n] is expected, for it holds categories",
            layout,
        )
    return encode_column(layout, tensor.name, _flatten(tensor, _TEXTS[may_be_missing], layout))


def _numbers(tensor: Tensor, layout: Layout, *, may_be_missing: bool) -> NDArray[np.float64]:
    """Return the flat numbers of a tensor, refused unless they are what its shape and type say."""
    if tensor.datatype not in _FLOATS and tensor.datatype not in _INTEGERS:
        raise refusal(f"input {_clip(tensor.name)} has datatype {_clip(tensor.datatype)}", layout)
    numbers = _flatten(tensor, _NUMBERS[may_be_missing], layout)
    values = np.array(numbers, dtype=np.float64)
    _require_in_range(values, tensor, layout)
    return values


def _flatten(tensor: Tensor, decoders: _Decoders, layout: Layout) -> list[Any]:
    """Return the items of a tensor in a flat list, refused unless as many came as it says."""
    where = f"input {_clip(tensor.name)}"
    if 0 in tensor.shape:
        raise refusal(f"{where} is an empty batch: it has shape {_clip(tensor.shape)}", layout)
    try:
        items = _items(tensor, decoders)
    except (ValueError, RecursionError) as error:
        raise refusal(f"{where} has data that cannot be used: {reason(error)}", layout) from error
    return items


def _items(tensor: Tensor, decoders: _Decoders) -> list[Any]:
    expected = math.prod(tensor.shape)
    items: list[Any]
    if not _NESTED_START.match(memoryview(tensor.data)):
        items = decoders.flat.decode(tensor.data)
    else:
        rows = decoders.nested.decode(tensor.data)
        if len(tensor.shape) == 1:
            raise ValueError(f"the data are nested where shape {tensor.shape} is flat")
        wrong = [len(row) for row in rows if len(row) != tensor.shape[1]]
        if wrong:
            raise ValueError(
                f"a row has {wrong[0]} values where shape {tensor.shape} says otherwise"
            )
        items = [item for row in rows for item in row]
    if len(items) != expected:
        raise ValueError(f"{len(items)} values came where shape {tensor.shape} needs {expected}")
    return items


def _require_in_range(values: NDArray[np.float64], tensor: Tensor, layout: Layout) -> None:
    """Refuse numbers that are too large or no integers; a NaN was a null and is judged apart."""
    bad = np.abs(values) > _LARGEST
    rule = "is not a number that 32-bit floats can hold"
    limits = _INTEGERS.get(tensor.datatype)
    if limits is not None and not bad.any():
        whole = (values == np.floor(values)) | np.isnan(values)
        bad = ~whole | (values < limits.min) | (values > limits.max)
        rule = f"is no {tensor.datatype}"
    if bad.any():
        position = int(np.argmax(bad))
        width = math.prod(tensor.shape[1:])
        feature = layout.features[position % width] if width > 1 else tensor.name
        raise refusal(
            f"input {_clip(tensor.name)}, row {position // width}, feature {_clip(feature)}: "
            f"{values[position]:g} {rule}",
            layout,
        )


def _expected(layout: Layout) -> str:
    numbers = "datatype FP64, FP32, INT or UINT (8 to 64 bits) and finite numbers"
    null = f"; null only where a value is missing, in {listed(layout.missing)}"
    names, count = listed(layout.features), len(layout.features)
    if not layout.categories:
        form = (
            f"one input of shape [n, {count}] with {numbers} in the order {names}, or one input of "
            "shape [n] or [n, 1] for each of these names"
        )
    else:
        form = (
            f"one input of shape [n] or [n, 1] for each of {names}: with datatype {TEXT} and "
            f"strings for the categories of {listed(tuple(layout.categories))}, with {numbers} for "
            "any other"
        )
    return form + null if layout.missing else form


def _clip(value: object) -> str:
    text = str(value)
    return text if len(text) <= _CLIP else f"{text[:_CLIP]}..."
