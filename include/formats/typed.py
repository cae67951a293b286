"""Converts typed columns of Parquet to the numbers or texts that a text file would have."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from serving.values.spelling import category_form

_DAY_IN_MICROSECONDS = 86_400_000_000


def plain(column: Any) -> Any:
    """Return a column decoded from its dictionary, where it has one."""
    return column.dictionary_decode() if types.is_dictionary(column.type) else column


def numbers(column: Any) -> Any:
    """Return numbers or truths as float64."""
    if types.is_float16(column.type):
        column = column.cast(pa.float32())
    return column.cast(pa.float64(), safe=False)


def texts(column: Any) -> Any:
    """Return numbers or truths as the texts that stand for them, NaN as null."""
    if not types.is_floating(column.type):
        return column.cast(pa.large_string())
    values = numbers(column)
    places = pc.dictionary_encode(values)
    forms = [
        None if value != value else category_form(_shortest(value, column.type))  # noqa: PLR0124 - NaN alone differs
        for value in places.dictionary.drop_null().to_pylist()
    ]
    return pa.array(forms, pa.large_string()).take(places.indices)


def _shortest(value: float, column_type: Any) -> float:
    """Return the shortest number that a column of this type holds as this one: 0.1 in float32."""
    if types.is_float64(column_type):
        return value
    return float(str(np.float32(value) if types.is_float32(column_type) else np.float16(value)))


def days(column: Any) -> Any:
    """Return dates or times as float64, days since 1970-01-01 in UTC."""
    if types.is_date32(column.type):
        return column.cast(pa.int32()).cast(pa.float64())
    moments = (
        column.cast(pa.timestamp("us"), safe=False).cast(pa.int64()).cast(pa.float64(), safe=False)
    )
    return pc.divide(moments, float(_DAY_IN_MICROSECONDS))
