"""Arrays, dtypes and plain bytes of a model file, made of arguments that were looked at."""

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.bundle.part_checks import is_flat, is_int, is_shape
from serving.bundle.refused_bundle import require

_PLAIN = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|O8|[SU][1-9][0-9]{0,3}|V[1-9][0-9]{0,3}")


def dtype_kind(kind: Any, aligned: Any, copied: Any) -> str:
    """Return the kind of a dtype, a plain one: numbers, short texts, objects or records."""
    require(type(kind) is str and _PLAIN.fullmatch(kind), "a dtype is of no plain kind")
    require((aligned, copied) == (False, True), "a dtype is no copy")
    return str(kind)


def finish_dtype(kind: str, state: Any) -> np.dtype[Any]:
    """Return a new dtype of this machine; a record has plain fields inside its size."""
    require(type(state) is tuple and len(state) == 8, "a dtype has another state")  # noqa: PLR2004
    _, endian, within, names, fields, size, *_ = state
    require(endian in {"<", "|"} and within is None, "a dtype is of another machine")
    if not kind.startswith("V"):
        require(names is None and fields is None, "a dtype of numbers has fields")
        return np.dtype(kind)
    require(type(names) is tuple and type(fields) is dict, "a record has no fields")
    listed = [fields.get(name) for name in names]
    for one in listed:
        require(type(one) is tuple and len(one) == 2, "a field has no place")  # noqa: PLR2004
        require(is_flat(one[0]) and one[0].names is None and is_int(one[1]), "a field is odd")
    formats, offsets = [one[0] for one in listed], [one[1] for one in listed]
    require(is_int(size, 1, 10_000) and size == int(kind[1:]), "a record has another size")
    return np.dtype(
        {"names": list(names), "formats": formats, "offsets": offsets, "itemsize": size}
    )


def from_buffer(buffer: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> NDArray[Any]:
    """Return an array of all the bytes that are there, and of no objects."""
    require(type(buffer) in {bytes, bytearray} and is_flat(dtype), "an array has no plain data")
    require(is_shape(shape) and order in ("C", "F", "K"), "an array has no shape")
    require(axes is None or is_shape(axes), "an array has odd axes")
    require(math.prod(shape) * dtype.itemsize == len(buffer), "an array is of another size")
    flat: NDArray[Any] = np.frombuffer(buffer, dtype)
    if axes is not None:
        return flat.reshape(shape).transpose(axes)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def empty_array(kind: Any, shape: Any, code: Any) -> NDArray[Any]:
    """Return the empty array that a state is given to."""
    require((kind, shape, code) == ("numpy.ndarray", (0,), b"b"), "an array is of another class")
    return np.empty((0,), "b")


def finish_array(array: NDArray[Any], state: Any) -> NDArray[Any]:
    """Return an array of as many bytes or objects as its shape says."""
    require(type(state) is tuple and len(state) == 5, "an array has another state")  # noqa: PLR2004
    version, shape, dtype, in_columns, data = state
    require(version == 1 and is_shape(shape) and type(in_columns) is bool, "an array is odd")
    require(isinstance(dtype, np.dtype), "an array has no dtype")
    if dtype.hasobject:
        require(dtype.names is None and type(data) is list, "an array of objects holds none")
        require(len(data) == math.prod(shape), "an array is of another size")
    else:
        require(is_flat(dtype) and type(data) is bytes, "an array has no plain data")
        require(len(data) == math.prod(shape) * dtype.itemsize, "an array is of another size")
    array.__setstate__(state)
    return array


def scalar(dtype: Any, data: Any) -> Any:
    """Return a number of as many bytes as its dtype says."""
    require(is_flat(dtype) and dtype.names is None and type(data) is bytes, "a number is none")
    require(len(data) == dtype.itemsize, "a number is of another size")
    return np.frombuffer(data, dtype)[0]


def plain_bytearray(data: Any) -> bytearray:
    """Return bytes that can be changed."""
    require(type(data) is bytes, "bytes are none")
    return bytearray(data)


def plain_slice(*ends: Any) -> slice:
    """Return a slice between whole numbers."""
    require(len(ends) == 3 and all(end is None or type(end) is int for end in ends), "odd slice")  # noqa: PLR2004
    return slice(*ends)
