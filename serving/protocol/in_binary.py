"""Tensors as packed little-endian bytes: the binary extension's, and gRPC's raw contents.

Form: https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/
extension_binary_data.html: row after row without padding, and a text as its length in four bytes
followed by that many bytes of UTF-8.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from serving.values.datatypes import TRUTH

_DTYPES = {
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    TRUTH: np.dtype("u1"),  # as bytes, because those that are neither 0 nor 1 are refused
}
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class BinaryTensor:
    """A tensor whose items stand packed in a piece of the body."""

    name: str
    shape: Sequence[int]
    datatype: str
    packed: memoryview
    absent: ClassVar[str] = "NaN"

    def numbers(self, *, may_be_missing: bool) -> NDArray[Any]:
        """Return the numbers, flat, in memory of the body; see Tensor."""
        del may_be_missing  # a NaN is judged where the features are known
        dtype = _DTYPES[self.datatype]
        needed = math.prod(self.shape) * dtype.itemsize
        if len(self.packed) != needed:
            raise ValueError(
                f"{len(self.packed)} bytes came where shape {list(self.shape)} of {self.datatype} "
                f"needs {needed}"
            )
        return np.frombuffer(self.packed, dtype)

    def texts(self, *, may_be_missing: bool) -> list[str | None]:
        """Return the strings, flat; none is ever missing. See Tensor."""
        del may_be_missing
        count, end = math.prod(self.shape), len(self.packed)
        if count * _LENGTH.size > end:
            raise ValueError(f"{end} bytes are too few for {count} texts")
        texts: list[str | None] = []
        start = 0
        for place in range(count):
            text, start = self._text(place, start)
            texts.append(text)
        if start != end:
            raise ValueError(f"{end - start} bytes are left over after {count} texts")
        return texts

    def _text(self, place: int, start: int) -> tuple[str, int]:
        begin = start + _LENGTH.size
        if begin > len(self.packed):
            raise ValueError(f"the bytes end before text {place}")
        (length,) = _LENGTH.unpack_from(self.packed, start)
        if begin + length > len(self.packed):
            raise ValueError(f"text {place} says it has {length} bytes, which are not there")
        return decode_text(self.packed[begin : begin + length], place), begin + length


def decode_text(packed: bytes | memoryview, place: int) -> str:
    """Return the text at this place of a tensor; raises ValueError when it is not UTF-8."""
    try:
        return str(packed, "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"text {place} is not UTF-8") from error


def pack(datatype: str, values: Sequence[float | str]) -> bytes:
    """Return numbers, or texts where the datatype is BYTES, as packed bytes."""
    if datatype in _DTYPES:
        return np.array(values, _DTYPES[datatype]).tobytes()
    texts = [str(value).encode() for value in values]
    return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
