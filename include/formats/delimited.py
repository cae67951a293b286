"""Delimited text in UTF-8: a header line unless the spec names the columns, RFC 4180 quotes.

A block is read in one of three ways, which give identical rows. Most blocks are plain and go to
polars as they are. From the others `survey` first removes what polars would misread, among it the
bad rows. What is left over goes through the csv module, as does the rest of a file with very many
stray quotes, or with a field that is too long.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import polars as pl

from include.formats.blocks import (
    RowDialect,
    bytes_as_text,
    count,
    from_records,
    has_long_line,
    is_simple,
    line_feeds,
    raw_texts,
    read_columns,
    rows_text,
    without_odd_rows,
)
from include.formats.header import read_start
from include.formats.parsed_table import (
    FIRST_BLOCK_BYTES,
    HEADER_BYTES,
    LONGEST_ROW_BYTES,
    MOST_LINES,
    OBJECT_BYTES,
    OBJECT_SHARE,
    Chunk,
    StatedFormat,
)
from include.formats.read_ahead import read_ahead
from include.formats.records import (
    LONGEST_FIELD,
    CsvRecord,
    csv_records,
    split_lines,
    too_long,
)
from include.formats.survey import MOST_STRAY, RowPositions, rows_end, survey
from include.text.encodings import BOM

_LINE_ENDS = b"\r\n"


@dataclass(frozen=True)
class _Block:
    data: bytes
    line: int
    lines: int
    """The number of its line feeds."""
    rows: RowPositions | None
    """Its survey, where that was needed already."""


class DelimitedTable:
    """A `ParsedTable` of delimited text; `pieces` are its bytes."""

    kinds = None

    def __init__(self, pieces: Iterator[bytes], stated: StatedFormat, size: int) -> None:
        """Read the header; raises FileRefusedError when there is none, nor names in the spec."""
        self._pieces, self._size, self._ended = pieces, size, False
        self._held = b""
        self._fill(2 * HEADER_BYTES)
        self._held = self._held.removeprefix(BOM)
        start = read_start(self._held[: 2 * HEADER_BYTES], stated)
        self.columns, self._separator, self.start = start.columns, start.separator, start.text
        self._header = start.header
        self._places = {name: place for place, name in enumerate(self.columns)}
        self._held = self._held[start.used :]
        self._line = start.line
        self._next_size = min(size, FIRST_BLOCK_BYTES)
        self._records: Iterator[CsvRecord] | None = None
        self._blocks = read_ahead(iter(self._block, None))

    @property
    def separator(self) -> str:
        """The character that separates the fields of a row."""
        return chr(self._separator)

    def all_columns(self) -> tuple[str, ...]:
        """Return the columns of the header: there are no others."""
        return self.columns

    def has(self, column: str) -> bool:
        """Say whether there is a column of this name."""
        return column in self._places

    def read(self, columns: Sequence[str], numbers: Collection[str]) -> Chunk | None:
        """Return the next rows, None at the end."""
        block = next(self._blocks, None)
        if block is not None:
            return self._chunk(block, columns, numbers)
        records = self._some_records()
        if not records:
            return None
        return from_records(records, self._separator, self.columns, columns)

    def texts(self, lines: Collection[int]) -> Iterator[tuple[int, str]]:
        """Yield line and raw text of the rows ahead that start on these lines."""
        for block in self._blocks:
            rows = block.rows or survey(block.data, self._separator)
            numbers = block.line + rows.line_offsets
            wanted = np.flatnonzero(np.isin(numbers, list(lines)))
            texts = raw_texts(block.data, rows, wanted)
            yield from zip(numbers[wanted].tolist(), texts, strict=True)
        for record in self._records or ():
            if record.line in lines:
                yield record.line, bytes_as_text(record.raw)

    def _fill(self, size: int) -> None:
        """Buffer at least `size` bytes, or all that are left."""
        parts, length = [self._held], len(self._held)
        while length < size and not self._ended:
            piece = next(self._pieces, None)
            self._ended = piece is None
            parts.append(piece or b"")
            length += len(parts[-1])
        self._held = b"".join(parts)

    def _block(self) -> _Block | None:
        """Return the next whole rows; None at the end, or where only the csv module may go on."""
        size, self._next_size = self._next_size, self._size
        most_lines = MOST_LINES
        while self._records is None:
            self._fill(size)
            self._skip_empty_lines()
            text = self._held[:size] if len(self._held) > 2 * size else self._held
            text, lines = _with_few_lines(text, most_lines)
            if not text:
                if self._ended:
                    return None
                continue
            block = self._cut(text, lines)
            if block is not None:
                return block
            if len(text) > LONGEST_ROW_BYTES and self._records is None:
                raise too_long(self._line)
            size, most_lines = 2 * len(text), 2 * most_lines
        return None

    def _skip_empty_lines(self) -> None:
        """Drop the empty lines that come next, all of them in one go."""
        if not self._held.startswith((b"\n", b"\r")):
            return
        rest = self._held.lstrip(_LINE_ENDS)
        gap = self._held[: len(self._held) - len(rest)]
        # A carriage return at the end of the buffer may be half of CRLF: the next byte tells.
        if not rest and not self._ended:
            gap = gap.removesuffix(b"\r")
        self._line += count(gap, ord("\n")) + _lone_returns(gap)
        self._held = self._held[len(gap) :]

    def _cut(self, text: bytes, lines: int) -> _Block | None:
        """Return the whole rows at the start of a text; None where more is needed, or given up."""
        last = self._ended and len(self._held) == len(text)
        if last and not text.endswith((b"\n", b"\r")):
            text, lines = text + b"\n", lines + 1
        data, rows = self._surveyed(text, last=last)
        # polars drops a byte order mark at the start of what it reads from the first field.
        if text.startswith(BOM) or (rows and rows.longest_field > LONGEST_FIELD):
            self._give_up()
            return None
        if not data:
            return None
        lines -= text.count(b"\n", len(data))
        block = _Block(data, self._line, lines, rows)
        self._held = self._held[len(data) :]
        self._line += lines + _lone_returns(data)
        if rows and len(rows.stray) == MOST_STRAY:
            self._give_up()
        return block

    def _surveyed(self, text: bytes, *, last: bool) -> tuple[bytes, RowPositions | None]:
        """Return the whole rows at the start of a text, and their survey where it was needed."""
        if b'"' in text:
            rows = survey(text, self._separator, self._line, last=last)
            return text[: rows.size], rows
        data = text if last else text[: rows_end(text)]
        is_long = has_long_line(data, LONGEST_FIELD)
        return data, survey(data, self._separator) if is_long else None

    def _give_up(self) -> None:
        lines = split_lines(chain([self._held], self._pieces), self._line)
        self._records = csv_records(lines, self._separator, self._line)
        self._held = b""

    def _some_records(self) -> list[CsvRecord]:
        taken: list[CsvRecord] = []
        length = 0
        for record in self._records or ():
            taken.append(record)
            length += len(record.raw) + OBJECT_BYTES
            if length * OBJECT_SHARE >= self._size:
                break
        return taken

    def _chunk(self, block: _Block, columns: Sequence[str], numbers: Collection[str]) -> Chunk:
        separator, width = self._separator, len(self.columns)
        places = {name: self._places[name] for name in columns}
        again = bool(self._header) and self._header in block.data
        if (
            block.rows is None
            and not again
            and is_simple(block.data, block.lines, separator, width)
        ):
            frame = read_columns(block.data, RowDialect(separator, width), places, numbers)
            if frame is not None and frame.height == block.lines:
                return _plain_chunk(block, frame)
        rows = block.rows or survey(block.data, separator)
        whole, broken = without_odd_rows(
            block.data, block.line, rows, width, self._header if again else b""
        )
        data = rows_text(block.data, rows, whole)
        frame = read_columns(data, RowDialect(separator, width, rows.quoted), places, numbers)
        positions = np.flatnonzero(whole)
        if data.startswith(BOM) or frame is None or frame.height != len(positions):
            records = list(csv_records(split_all(block.data), separator, block.line))
            return from_records(records, separator, self.columns, columns)
        lines = pl.Series(block.line + rows.line_offsets[positions], dtype=pl.Int64)
        return Chunk(
            frame,
            lines,
            lambda chosen: raw_texts(block.data, rows, positions[list(chosen)]),
            broken,
        )


def split_all(data: bytes) -> list[bytes]:
    """Return the lines of a text with their line ends."""
    return data.splitlines(keepends=True)


def _lone_returns(text: bytes) -> int:
    """Count the carriage returns that end a line on their own."""
    return count(text, ord("\r")) - text.count(b"\r\n") if b"\r" in text else 0


def _with_few_lines(text: bytes, most: int) -> tuple[bytes, int]:
    """Return a text, or the start of it, with at most `most` line ends, and its line feeds."""
    while True:
        feeds = count(text, ord("\n"))
        if feeds + (count(text, ord("\r")) if b"\r" in text else 0) <= most:
            return text, feeds
        text = text[: len(text) // 2]


def _plain_chunk(block: _Block, frame: pl.DataFrame) -> Chunk:
    """Return the chunk of a block in which each line is a row."""

    def raw(chosen: Sequence[int]) -> list[str]:
        ends = line_feeds(block.data)
        starts = np.concatenate([[0], ends[:-1] + 1])
        return [bytes_as_text(block.data[starts[i] : ends[i]].removesuffix(b"\r")) for i in chosen]

    lines = pl.int_range(block.line, block.line + frame.height, eager=True, dtype=pl.Int64)
    return Chunk(frame, lines, raw)
