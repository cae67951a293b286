"""Finds where the rows of a text begin and end, without parsing it row by row.

Quotes placed as RFC 4180 has them show what is inside a field and what ends a row. A row with any
other quote is read by the csv module, which decides where it ends; behind it the search continues.
Both ways agree on every text, which tests check.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.formats.bits import Bits, Places, count_between, counts_before, places
from include.formats.marks import CR, LF, Marks, marks
from include.formats.records import LONGEST_FIELD, CsvRecord, csv_records

Flags = NDArray[np.bool_]
MOST_STRAY = 1 << 11
"""Rows with stray quotes, beyond which the csv module reads the rest of a text."""
_NEAR = 1 << 12
"""Bytes of a text that are split into lines at first."""


@dataclass(frozen=True)
class RowPositions:
    """The rows of a block: positions in its bytes, without the line ends that close rows."""

    starts: Places
    ends: Places
    line_offsets: Places
    """How many lines of the block come before each row."""
    separators: Places
    """Separators outside quotes, per row."""
    lone_returns: Places
    """Positions of carriage returns that end a row on their own."""
    stray: Places
    """Numbers of the rows with a misplaced quote."""
    unclosed: Places
    """Number of the row, the last of a file, whose last quote is not closed."""
    size: int
    """The end of the last row, its line end included."""
    quoted: bool
    longest_field: int
    """In bytes, line ends and quotes included; the length of the longest row where that is within
    the limit."""


@dataclass(frozen=True)
class _Odd:
    start: int
    record: CsvRecord


def survey(text: bytes, separator: int, line: int = 1, *, last: bool = True) -> RowPositions:
    """Find the rows of a text that starts with one, at `line` of the file.

    The `last` text of a file ends with a line end; any other may end within a row, which is left
    out. Raises FileRefusedError for a row that the csv module refuses.
    """
    text_marks = marks(text, separator)
    odd, size = _settled(text_marks, text, separator, line, last=last)
    closing = places(text_marks.line_ends & ~text_marks.inside, size)
    data = np.frombuffer(text, np.uint8)
    starts = np.concatenate([[0], closing[:-1] + 1])[: len(closing)].astype(np.int64)
    crlf = (data[closing] == LF) & (closing > starts) & (data[closing - 1] == CR)
    cuts = text_marks.separators & ~text_marks.inside
    separators = np.diff(counts_before(cuts, closing), prepend=0)
    rows = np.searchsorted(starts, [odd_row.start for odd_row in odd])
    separators[rows] = [len(odd_row.record.fields) - 1 for odd_row in odd]
    is_closed = np.array([odd_row.record.closed for odd_row in odd], np.bool_)
    return RowPositions(
        starts,
        closing - crlf,
        counts_before(text_marks.line_ends, starts),
        separators,
        closing[data[closing] == CR],
        rows[is_closed],
        rows[~is_closed],
        size,
        b'"' in text,
        _longest(starts, closing, cuts),
    )


def rows_end(text: bytes) -> int:
    """Return how many bytes of a text without quotes are whole rows with their line ends."""
    stop = _known(text)
    feed = text.rfind(b"\n", 0, stop)
    return max(feed, text.rfind(b"\r", feed + 1, stop)) + 1


def _known(text: bytes) -> int:
    # A carriage return at the end may be half of CRLF: the next byte tells.
    return len(text) - text.endswith(b"\r")


def _settled(
    block_marks: Marks, text: bytes, separator: int, line: int, *, last: bool
) -> tuple[list[_Odd], int]:
    """Settle the rows with misplaced quotes; return them, and the end of the last whole row."""
    odd: list[_Odd] = []
    start = end = 0
    while len(odd) < MOST_STRAY:
        place = block_marks.odd_quote(end)
        if place is None and last and block_marks.is_open:
            place = len(text)
        if place is None:
            return odd, len(text) if last else block_marks.rows_end(_known(text))
        before, start = start, block_marks.rows_end(place)
        line += count_between(block_marks.line_ends, before, start)
        record, end = _record(text, start, separator, line)
        may_go_on = end == len(text) and not text.endswith(b"\n")
        if not last and (may_go_on or not record.closed):
            return odd, start
        odd.append(_Odd(start, record))
        block_marks.settle(start, start + len(record.raw), end)
    return odd, end


def _record(text: bytes, start: int, separator: int, line: int) -> tuple[CsvRecord, int]:
    """Return the row at `start` as the csv module reads it, and the start of the next row."""
    end = start

    def counted() -> Iterator[bytes]:
        nonlocal end
        for text_line in _lines(text, start):
            end += len(text_line)
            yield text_line

    return next(csv_records(counted(), separator, line)), end


def _lines(text: bytes, start: int) -> Iterator[bytes]:
    """Yield the lines of a text from `start` on; little is split ahead of what is taken."""
    size = _NEAR
    while start < len(text):
        lines = text[start : start + size].splitlines(keepends=True)
        if start + size < len(text):
            # The last line may continue behind the slice.
            lines.pop()
        yield from lines
        start += sum(map(len, lines))
        size *= 4


def _longest(starts: Places, closing: Places, cuts: Bits) -> int:
    longest = int((closing - starts).max(initial=0))
    if longest <= LONGEST_FIELD:
        return longest
    stops = places(cuts, int(closing[-1]))
    return int(np.diff(np.sort(np.concatenate([[-1], closing, stops]))).max())
