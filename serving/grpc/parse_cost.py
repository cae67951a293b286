"""Estimates the memory that parsing an infer request takes, from its bytes, before parsing it.

A message of empty tensors takes 42 times its size when parsed (measured), so the size of the parsed
message is limited too, and not only that of the received one.
"""

from collections.abc import Iterator

import numpy as np

from serving.refusals import RequestRefusedError
from serving.values.units import KIB

MOST_FIELDS = 2**18
"""Of one message: tensors, parameters and strings. To read that many off takes a fifth of a second.
"""

_SMALL_BYTES = 16 * KIB
_SMALL_FACTOR = 48
"""No message takes more of its own size than this; a small one is not worth a closer look."""
_MESSAGE_BYTES = 256
"""Bytes of a nested message and its entry in a list, whose capacity doubles as it grows."""
_TEXT_BYTES = 48
_NUMBER_BYTES = 16
_TENSOR, _OUTPUT, _PARAMETER, _CONTENTS, _NUMBERS, _TEXT, _FIXED = range(7)
_KINDS: dict[int, dict[int, int]] = {
    -1: {4: _PARAMETER, 5: _TENSOR, 6: _OUTPUT, 7: _TEXT},
    _TENSOR: {3: _NUMBERS, 4: _PARAMETER, 5: _CONTENTS},
    _OUTPUT: {2: _PARAMETER},
    _CONTENTS: dict.fromkeys((2, 3, 4, 5), _NUMBERS) | {1: _FIXED, 6: _FIXED, 7: _FIXED, 8: _TEXT},
}
"""Which fields of which message hold what; the numbers are those of `inference.proto`."""
_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_GROUPS = (3, 4)
_LONGEST_VARINT = 64


def parse_cost(packed: bytes | bytearray) -> int:
    """Return the bytes that the ModelInferRequest made of these takes beside them, at most.

    Raises RequestRefusedError: 413 for more fields than anybody needs, 400 when it is no message.
    """
    if len(packed) <= _SMALL_BYTES:
        return _SMALL_FACTOR * len(packed)
    walk = _Walk(packed)
    walk.read(-1, 0, len(packed))
    return walk.cost


class _Walk:
    """One reading of a message; nothing is kept of it but two numbers."""

    def __init__(self, packed: bytes | bytearray) -> None:
        self.cost = 0
        self._fields = 0
        self._packed = packed

    def read(self, message: int, start: int, end: int) -> None:
        kinds = _KINDS[message]
        for number, first, last in _fields(self._packed, start, end):
            kind = kinds.get(number)
            self._fields += 1
            if self._fields > MOST_FIELDS:
                raise RequestRefusedError(
                    413,
                    f"the message has more than {MOST_FIELDS} tensors, parameters and strings; "
                    "send the rows in several requests, or in `raw_input_contents`",
                )
            self.cost += _cost(kind, self._packed, first, last)
            if kind in _KINDS:
                self.read(kind, first, last)


def _cost(kind: int | None, packed: bytes | bytearray, first: int, last: int) -> int:
    if kind is None:
        return 0
    if kind == _TEXT:
        return _TEXT_BYTES + last - first
    if kind == _FIXED:
        return last - first
    if kind == _NUMBERS:
        if last - first < _LONGEST_VARINT:
            return _NUMBER_BYTES * (last - first)
        piece = np.frombuffer(packed, np.uint8, last - first, first)
        return _NUMBER_BYTES * int(np.count_nonzero(piece < 128))  # noqa: PLR2004 - a number's last byte
    return _MESSAGE_BYTES


def _fields(packed: bytes | bytearray, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each field; a group's fields count as its parent's."""
    at = start
    while at < end:
        tag, at = _varint(packed, at, end)
        wire = tag & 7
        first = at
        if wire == _VARINT:
            _, at = _varint(packed, at, end)
        elif wire == _LENGTH:
            size, first = _varint(packed, at, end)
            at = first + size
        elif wire in (_EIGHT, _FOUR):
            at += 8 if wire == _EIGHT else 4
        elif wire not in _GROUPS:
            raise _no_message()
        if at > end:
            raise _no_message()
        yield tag >> 3, first, at


def _varint(packed: bytes | bytearray, index: int, end: int) -> tuple[int, int]:
    """Return a number and where it ends."""
    value = shift = 0
    while index < end:
        byte = packed[index]
        index += 1
        value |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004 - its last byte
            return value, index
        shift += 7
        if shift > _LONGEST_VARINT:
            break
    raise _no_message()


def _no_message() -> RequestRefusedError:
    return RequestRefusedError(400, "the bytes are no ModelInferRequest")
