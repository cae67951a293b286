"""Where the rows of delimited text begin and end, by the rules of Python's csv module.

`survey` finds the rows of a block with a few passes of numpy and gives up on a block whose quotes
do not stand where RFC 4180 puts them. `careful` is the csv module itself, which decides what such
text means; the two agree on everything that `survey` accepts.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from include.errors import FileRefusedError
from include.formats.table import LONGEST_ROW_BYTES

LONGEST_FIELD = 131_072
"""In characters; the csv module's own limit. An unclosed quote makes the rest of a file one."""
_LF, _CR, _QUOTE = b'\n\r"'
_WINDOW = 1 << 20
_EMPTY = frozenset({b"\n", b"\r", b"\r\n"})
# Fed to the csv module after the last line: inside an open quote it ends up in a field.
_END = "\0end of the file\0"

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


class Record(NamedTuple):
    """A row as the csv module reads it."""

    line: int
    fields: list[str]
    raw: bytes
    closed: bool
    """Whether its last quote was closed."""


@dataclass(frozen=True)
class Survey:
    """The rows of a block: places in its bytes, the line ends that close rows not included."""

    starts: Places
    ends: Places
    line_offsets: Places
    """How many lines of the block stand before each row."""
    separators: Places
    """Separators outside quotes, per row."""
    lone_returns: Places
    """Carriage returns that end a row by themselves."""
    quoted: bool
    longest_field: int
    """In bytes, line ends and quotes included; rounded up to the longest row when that is short."""


def survey(block: bytes, separator: int) -> Survey:
    """Find the rows of a block that ends with a row and whose quotes are regular."""
    data = np.frombuffer(block, np.uint8)
    quotes = data == _QUOTE
    quoted = bool(quotes.any())
    outside = ~_inside(quotes) if quoted else np.ones(len(data), np.bool_)
    line_ends = _line_ends(data)
    closing = np.flatnonzero(line_ends & outside)
    starts = np.concatenate([[0], closing[:-1] + 1]).astype(np.int64)
    crlf = (data[closing] == _LF) & (closing > starts) & (data[closing - 1] == _CR)
    cuts = np.flatnonzero((data == separator) & outside)
    offsets = np.arange(len(starts))
    return Survey(
        starts,
        closing - crlf,
        np.searchsorted(np.flatnonzero(line_ends), starts) if quoted else offsets,
        np.diff(np.searchsorted(cuts, closing), prepend=0) if len(cuts) else 0 * offsets,
        closing[data[closing] == _CR],
        quoted,
        _longest(starts, closing, cuts),
    )


def regular(text: bytes, separator: int, *, last: bool) -> bool:
    """Say whether every quote opens, closes or doubles one as RFC 4180 has it.

    `text` starts with a row and may end anywhere unless it is the `last` of the file.
    """
    data = np.frombuffer(text, np.uint8)
    border = np.zeros(256, np.bool_)
    # A quote beside one that opens has closed the one before: the two are a doubled quote.
    border[[separator, _LF, _CR, _QUOTE]] = True
    seen = 0
    for start in range(0, len(data), _WINDOW):
        quotes = np.flatnonzero(data[start : start + _WINDOW] == _QUOTE) + start
        opening, closing = quotes[seen % 2 :: 2], quotes[1 - seen % 2 :: 2]
        opens = (opening == 0) | border[data[opening - 1]]
        closes = (closing == len(data) - 1) | border[data[np.minimum(closing + 1, len(data) - 1)]]
        if not (opens.all() and closes.all()):
            return False
        seen += len(quotes)
    return not (last and seen % 2)


def whole_rows(text: bytes) -> int:
    """Return how many bytes of a text with regular quotes are rows with their line ends."""
    # Whether a carriage return at the very end stands alone, the next byte tells.
    stop = len(text) - 1 if text.endswith(b"\r") else len(text)
    feed = text.rfind(b"\n", 0, stop)
    end = max(feed, text.rfind(b"\r", feed + 1, stop))
    if end < 0 or b'"' not in text:
        return end + 1
    data = np.frombuffer(text, np.uint8)
    quotes = int(np.count_nonzero(data == _QUOTE))
    while stop > 0:
        start = max(0, stop - _WINDOW)
        marks = data[start:stop] == _QUOTE
        quotes -= int(np.count_nonzero(marks))
        outside = _inside(marks) == bool(quotes % 2)
        ends = _line_ends(data[start : stop + 1])[: stop - start]
        found = np.flatnonzero(ends & outside)
        if len(found):
            return start + int(found[-1]) + 1
        stop = start
    return 0


def careful(lines: Iterable[bytes], separator: int, line: int) -> Iterator[Record]:
    """Yield the rows of lines that start with a row, empty ones left out; `line` is the first's.

    Raises FileRefusedError for a field beyond LONGEST_FIELD.
    """
    consumed: list[bytes] = []
    first = line

    def remembered() -> Iterator[str]:
        nonlocal first
        length = 0
        for number, text in enumerate(lines, line):
            if not consumed:
                if text in _EMPTY:
                    continue
                first, length = number, 0
            consumed.append(text)
            length += len(text)
            if length > LONGEST_ROW_BYTES:
                raise too_long(first)
            yield text.decode(errors="surrogateescape")
        yield _END

    try:
        for fields in csv.reader(remembered(), delimiter=chr(separator)):
            raw = b"".join(consumed)
            consumed.clear()
            if fields and fields != [_END]:
                yield Record(first, fields, _chomped(raw), not fields[-1].endswith(_END))
    except csv.Error as error:
        raise FileRefusedError(f"line {first}: not CSV: {error}") from error


def split_lines(pieces: Iterable[bytes], line: int = 1) -> Iterator[bytes]:
    """Yield lines with their ends; LF, CRLF and a lone CR end a line. `line` is the first's."""
    held = b""
    for piece in pieces:
        for start in range(0, len(piece), _WINDOW):
            held += piece[start : start + _WINDOW]
            *whole, held = held.splitlines(keepends=True)
            yield from whole
            line += len(whole)
            if len(held) > LONGEST_ROW_BYTES:
                raise too_long(line)
    # What was held back may be a whole line: a CR at its end could have been half a CRLF.
    yield from held.splitlines(keepends=True)


def too_long(line: int) -> FileRefusedError:
    """Return the refusal of a file with a row that is longer than memory allows."""
    return FileRefusedError(
        f"line {line}: a row is longer than {LONGEST_ROW_BYTES >> 20} MB: a quote is never closed, "
        "or this is no text with a row a line"
    )


def _inside(quotes: Flags) -> Flags:
    parity = np.bitwise_xor.accumulate(quotes.view(np.uint8))
    return np.asarray(parity, np.bool_)


def _line_ends(data: Bytes) -> Flags:
    ends: Flags = data == _LF
    returns = np.flatnonzero(data == _CR)
    if len(returns):
        following = np.minimum(returns + 1, len(data) - 1)
        ends[returns[data[following] != _LF]] = True
    return ends


def _longest(starts: Places, closing: Places, cuts: Places) -> int:
    longest = int((closing - starts).max(initial=0))
    if longest <= LONGEST_FIELD:
        return longest
    return int(np.diff(np.sort(np.concatenate([[-1], closing, cuts]))).max())


def _chomped(raw: bytes) -> bytes:
    return (
        raw.removesuffix(b"\n").removesuffix(b"\r")
        if raw.endswith(b"\n")
        else raw.removesuffix(b"\r")
    )
