"""Tensors whose data came as JSON: fast where they are plain numbers, exact in what is refused.

The numbers of a flat or a rectangular list are read by simdjson straight into an array. Whatever
that does not take (a null, a text, a number beyond 64 bits, another length) is read again by
msgspec, which is strict and says where it stumbled; so simdjson decides nothing.
"""

import math
import re
import threading
from itertools import islice
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
import simdjson
from numpy.typing import NDArray

from serving.protocol.parameters import InputParameters
from serving.protocol.sentences import TRUTH

NESTED_START = re.compile(rb"\s*\[\s*\[")
_Dimension = Annotated[int, msgspec.Meta(ge=0, le=2**31)]
# A parser keeps what its largest document needed, which is many times its size.
_KEPT_PARSER_BYTES = 2**20
# Above this, items are counted before memory is spent on them: it can be 30 times what was sent.
COUNTED_BYTES = 2**16
_TEXT_OR_NULL = re.compile(rb'"(?:[^"\\]|\\.)*+"|null', re.DOTALL)


class JsonTensor(msgspec.Struct):
    """A tensor of a JSON request, its data still as they came."""

    name: str
    shape: Annotated[list[_Dimension], msgspec.Meta(max_length=8)]
    datatype: str
    # Raw, because whether the numbers come flat or nested is only known from the shape.
    data: msgspec.Raw = msgspec.Raw()
    parameters: InputParameters | None = None
    absent: ClassVar[str] = "null"

    def numbers(self, *, may_be_missing: bool) -> NDArray[np.float64]:
        """Return the numbers, flat; see Tensor."""
        raw = bytes(self.data)
        expected = math.prod(self.shape)
        # Flat or in rows, numbers have one comma less than there are numbers.
        if len(raw) > COUNTED_BYTES and commas(raw) >= expected:
            raise ValueError(f"more values came than shape {self.shape} needs")
        values = _at_once(raw, self.shape)
        if values is not None:
            return values
        decoders = _TRUTHS if self.datatype == TRUTH else _NUMBERS
        return np.array(_items(raw, self.shape, decoders[may_be_missing]), dtype=np.float64)

    def texts(self, *, may_be_missing: bool) -> list[str | None]:
        """Return the strings, flat; see Tensor."""
        raw = bytes(self.data)
        expected = math.prod(self.shape)
        if len(raw) > COUNTED_BYTES and commas(raw) >= expected:
            # Commas stand in texts as well, so the texts are counted, no further than needed.
            found = islice(_TEXT_OR_NULL.finditer(raw), expected, expected + 1)
            if next(found, None) is not None:
                raise ValueError(f"more values came than shape {self.shape} needs")
        return _items(raw, self.shape, _TEXTS[may_be_missing])


def commas(raw: bytes) -> int:
    """Return how many commas there are, wherever they stand."""
    return int(np.count_nonzero(np.frombuffer(raw, np.uint8) == ord(",")))


class _Decoders:
    """What reads the data of a tensor, flat or nested, when its items have this type."""

    def __init__(self, item: Any) -> None:
        self.flat = msgspec.json.Decoder(list[item])
        self.nested = msgspec.json.Decoder(list[list[item]])


_NUMBERS = {False: _Decoders(float), True: _Decoders(float | None)}  # True where one may be missing
_TRUTHS = {False: _Decoders(bool | float), True: _Decoders(bool | float | None)}
_TEXTS = {False: _Decoders(str), True: _Decoders(str | None)}


class _Own(threading.local):
    """A parser for each thread, for it is not to be shared."""

    def __init__(self) -> None:
        self.parser = simdjson.Parser()


_OWN = _Own()


def _at_once(raw: bytes, shape: list[int]) -> NDArray[np.float64] | None:
    """Return the numbers, or None where only the strict reading can tell."""
    nested = NESTED_START.match(raw) is not None
    # `as_buffer` flattens whatever is nested, so the brackets have to be the expected ones.
    if nested and (len(shape) == 1 or raw.count(b"[") != shape[0] + 1):
        return None
    if not nested and raw.find(b"[", 1) >= 0:
        return None
    parser = _OWN.parser if len(raw) <= _KEPT_PARSER_BYTES else simdjson.Parser()
    try:
        data: Any = parser.parse(raw)
        if nested and not _rectangular(data, shape):
            return None
        values = np.frombuffer(data.as_buffer(of_type="d"), dtype=np.float64)
    except (ValueError, TypeError, RuntimeError, AttributeError):
        return None
    return values if len(values) == math.prod(shape) else None


def _rectangular(data: Any, shape: list[int]) -> bool:
    return len(data) == shape[0] and all(len(row) == shape[1] for row in data)


def _items(raw: bytes, shape: list[int], decoders: _Decoders) -> list[Any]:
    if not raw:
        raise ValueError("there is no `data`")
    expected = math.prod(shape)
    items: list[Any]
    if not NESTED_START.match(raw):
        items = decoders.flat.decode(raw)
    else:
        rows = decoders.nested.decode(raw)
        if len(shape) == 1:
            raise ValueError(f"the data are nested where shape {shape} is flat")
        wrong = [len(row) for row in rows if len(row) != shape[1]]
        if wrong:
            raise ValueError(f"a row has {wrong[0]} values where shape {shape} says otherwise")
        items = [item for row in rows for item in row]
    if len(items) != expected:
        raise ValueError(f"{len(items)} values came where shape {shape} needs {expected}")
    return items
