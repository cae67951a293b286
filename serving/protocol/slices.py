"""A large list of JSON in pieces: whoever decodes them one by one never keeps others waiting long.

A decoder holds Python's lock from its first byte to its last. Between two pieces others run.
"""

import re
from collections.abc import Iterator
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.values.units import KIB

SLICE_BYTES = 64 * KIB
"""Of a piece, about: one or two milliseconds to decode, and a few megabytes at the worst."""
_END_OF_ROW = re.compile(rb"\]\s*+,")
_ROWS = re.compile(rb"\[\s*+\[")
_INDEX = re.compile(r"\$\[(\d+)\]")
_QUOTE, _BACKSLASH, _COMMA = b'"\\,'
_OPENS, _CLOSES = b"{}"
_SQUARE = 0x20
"""The bit between a square bracket and a curly one."""
_Item = TypeVar("_Item")
_Flags = NDArray[np.bool_]


def slices(raw: bytes) -> Iterator[bytes]:
    """Yield a list as lists of some of its items each, in order and together all of them.

    Where it is cut is no more than a guess at where an item ends: a wrong one makes pieces that no
    decoder takes. Nothing is lost or made up, for only the whole list may be empty. What is small
    or no list is yielded as it is.
    """
    if len(raw) <= SLICE_BYTES or raw[:1] != b"[" or raw[-1:] != b"]":
        yield raw
        return
    start, end = 1, len(raw) - 1
    for cut in _cuts(raw):
        yield _piece(raw, start, cut)
        start = cut + 1
    yield _piece(raw, start, end) if start > 1 else raw


def shifted(problem: str, first: int) -> str:
    """Return what msgspec says of a piece with the index that its item has in the whole list."""
    return _INDEX.sub(lambda match: f"$[{int(match[1]) + first}]", problem, count=1)


def at_most(raw: bytes, decoder: msgspec.json.Decoder[list[_Item]], most: int) -> list[_Item]:
    """Return the items of a list; ValueError as soon as there are more than so many."""
    items = list[_Item]()
    for piece in slices(raw):
        try:
            items += decoder.decode(piece)
        except msgspec.ValidationError as error:
            raise ValueError(shifted(str(error), len(items))) from error
        if len(items) > most:
            raise ValueError(f"over {most} of them came where at most {most} can be meant")
    return items


def _piece(raw: bytes, start: int, end: int) -> bytes:
    piece = raw[start:end]
    # Blank, it would be a list that is empty and right, where a comma too many stands.
    return b"[%b]" % (b"," if piece.isspace() or not piece else piece)


def _cuts(raw: bytes) -> Iterator[int]:
    """Yield the places of commas between items of the list, each about a piece after the last."""
    if raw.find(b'"') >= 0:
        yield from _cuts_among_texts(raw)
    elif _ROWS.match(raw):
        found = _END_OF_ROW.search(raw, SLICE_BYTES)
        while found is not None:
            yield found.end() - 1
            found = _END_OF_ROW.search(raw, found.end() + SLICE_BYTES)
    else:
        place = raw.find(b",", SLICE_BYTES)
        while place >= 0:
            yield place
            place = raw.find(b",", place + SLICE_BYTES)


def _cuts_among_texts(raw: bytes) -> Iterator[int]:
    """Yield them where commas and brackets may stand in texts, or items in one another."""
    depth, inside, after_backslash = 0, False, False
    for begin in range(1, len(raw) - 1, SLICE_BYTES):
        count = min(SLICE_BYTES, len(raw) - 1 - begin)
        block = np.frombuffer(raw, np.uint8, count, begin)
        quotes = block == _QUOTE
        escaped, after_backslash = _escaped(block, first=after_backslash)
        if escaped is not None:
            quotes &= ~escaped
        in_text = np.bitwise_xor.accumulate(quotes.view(np.uint8)) ^ inside
        outside = in_text == 0
        brackets = block | _SQUARE
        opens, closes = (brackets == _OPENS) & outside, (brackets == _CLOSES) & outside
        depths = depth + np.cumsum(opens.view(np.int8) - closes.view(np.int8), dtype=np.int32)
        commas = np.flatnonzero((block == _COMMA) & outside & (depths == 0))
        if len(commas):
            yield begin + int(commas[-1])
        depth, inside = int(depths[-1]), bool(in_text[-1])


def _escaped(block: NDArray[np.uint8], *, first: bool) -> tuple[_Flags | None, bool]:
    """Return which bytes a backslash stands before that means it, and whether the next one is."""
    backslashes = block == _BACKSLASH
    if not first and not backslashes.any():
        return None, False
    # In a run of backslashes every second one is escaped; a run ends at what is none.
    places = np.arange(len(block))
    last_other = np.maximum.accumulate(np.where(backslashes, -1, places))
    # Backslashes that stand directly before each place, and one from before the block.
    before = np.empty(len(block) + 1, dtype=np.int64)
    before[0] = first
    run = places - last_other
    run[last_other < 0] += first
    before[1:] = np.where(backslashes, run, 0)
    odd = before % 2 == 1
    return odd[:-1], bool(odd[-1])
