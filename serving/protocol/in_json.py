"""Decodes tensors from JSON: plain numbers fast, everything else strictly.

simdjson reads the numbers of a flat or rectangular list directly into an array. Data that it does
not accept (a null, a text, a number beyond 64 bits, another length) are decoded again by msgspec,
which is strict and reports the position of an error; so only msgspec refuses data.
"""

import math
import re
import threading
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
import simdjson
from numpy.typing import NDArray

from serving.protocol.parameters import InputParameters
from serving.protocol.slices import SLICE_BYTES, shifted, slices
from serving.values.datatypes import TRUTH
from serving.values.units import KIB, MIB

NESTED_START = re.compile(rb"\s*+\[\s*+\[")
_Dimension = Annotated[int, msgspec.Meta(ge=0, le=2**31)]
Shape = Annotated[list[_Dimension], msgspec.Meta(max_length=8)]
# A parser keeps what its largest document needed, which is many times its size.
_KEPT_PARSER_BYTES = MIB
# Above this, items are counted before memory is spent on them: it can be 30 times what was sent.
COUNTED_BYTES = 64 * KIB


class JsonTensor(msgspec.Struct):
    """A tensor of a JSON request, its data still as they came."""

    name: str
    shape: Shape
    datatype: str
    # Raw, because whether the numbers come flat or nested is only known from the shape.
    data: msgspec.Raw = msgspec.Raw()
    parameters: InputParameters | None = None
    absent: ClassVar[str] = "null"

    def numbers(self, *, may_be_missing: bool) -> NDArray[np.float64]:
        """Return the numbers, flat; see Tensor."""
        raw, expected = bytes(self.data), math.prod(self.shape)
        if len(raw) <= SLICE_BYTES:  # as nearly always: then without what puts pieces together
            whole = _at_once(raw, self.shape, nested=NESTED_START.match(raw) is not None)
            if whole is not None and len(whole) == expected:
                return whole
        # Flat or in rows, numbers have one comma less than there are numbers.
        if len(raw) > COUNTED_BYTES and commas(raw) >= expected:
            raise ValueError(f"more values came than shape {self.shape} needs")
        decoders = (_TRUTHS if self.datatype == TRUTH else _NUMBERS)[may_be_missing]
        pieces = [
            np.array(items, dtype=np.float64) if isinstance(items, list) else items
            for items in self._pieces(decoders, quick=True)
        ]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def texts(self, *, may_be_missing: bool) -> list[str | None]:
        """Return the strings, flat; see Tensor."""
        return [text for items in self._pieces(_TEXTS[may_be_missing]) for text in items]

    def _pieces(self, decoders: "_Decoders", *, quick: bool = False) -> Iterator[Any]:
        """Yield the data piece by piece; ValueError unless they are as many as the shape says.

        What is too much is found before memory is spent on it: it can be 30 times what was sent.
        """
        raw, shape = bytes(self.data), self.shape
        nested = NESTED_START.match(raw) is not None
        expected, count = math.prod(shape), 0
        for piece in slices(raw):
            items: Any = _at_once(piece, shape, nested=nested) if quick else None
            if items is None:
                first = count // shape[1] if nested and len(shape) > 1 else count
                items = _items(piece, shape, decoders, first, nested=nested)
            count += len(items)
            if count > expected and len(piece) < len(raw):
                raise ValueError(f"more values came than shape {shape} needs")
            yield items
        if count != expected:
            raise ValueError(f"{count} values came where shape {shape} needs {expected}")


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
    """A simdjson parser for each thread, because a parser must not be shared."""

    def __init__(self) -> None:
        self.parser = simdjson.Parser()


_OWN = _Own()


def _at_once(raw: bytes, shape: list[int], *, nested: bool) -> NDArray[np.float64] | None:
    """Return the numbers in row order; None when msgspec has to decide."""
    # `as_buffer` flattens whatever is nested, so the brackets have to be the expected ones.
    if (nested and len(shape) == 1) or (not nested and raw.find(b"[", 1) >= 0):
        return None
    parser = _OWN.parser if len(raw) <= _KEPT_PARSER_BYTES else simdjson.Parser()
    try:
        data: Any = parser.parse(raw)
        if nested and (raw.count(b"[") != len(data) + 1 or not _rectangular(data, shape)):
            return None
        return np.frombuffer(data.as_buffer(of_type="d"), dtype=np.float64)
    except (ValueError, TypeError, RuntimeError, AttributeError):
        return None


def _rectangular(data: Any, shape: list[int]) -> bool:
    return all(len(row) == shape[1] for row in data)


def _items(
    raw: bytes, shape: list[int], decoders: _Decoders, first: int, *, nested: bool
) -> list[Any]:
    """Return the items of a piece strictly; `first` is the place of its first one or first row."""
    if not raw:
        raise ValueError("there is no `data`")
    try:
        if not nested:
            items: list[Any] = decoders.flat.decode(raw)
            return items
        rows = decoders.nested.decode(raw)
    except msgspec.ValidationError as error:
        raise ValueError(shifted(str(error), first)) from error
    if len(shape) == 1:
        raise ValueError(f"the data are nested where shape {shape} is flat")
    wrong = [len(row) for row in rows if len(row) != shape[1]]
    if wrong:
        raise ValueError(f"a row has {wrong[0]} values where shape {shape} says otherwise")
    return [item for row in rows for item in row]
