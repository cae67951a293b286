"""Parses a block of delimited text into columns of text or numbers, and finds malformed rows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from include.formats.bits import Places
from include.formats.marks import regular
from include.formats.parsed_table import Chunk, RefusedRow
from include.formats.records import CsvRecord
from include.formats.survey import Flags, RowPositions
from include.records.refusal_reasons import ReasonKind
from include.text.encodings import BOM


def line_feeds(data: bytes) -> Places:
    """Return the positions of the line feeds."""
    return np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))


def count(data: bytes, byte: int) -> int:
    """Return how often a byte occurs."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == byte))


def has_long_line(data: bytes, longest: int) -> bool:
    """Say whether more than `longest` bytes come without a line feed."""
    end = 0
    while len(data) - end > longest:
        # Jump to the last line feed within reach, so that few of them are looked for.
        feed = data.rfind(b"\n", end, end + longest + 1)
        if feed < 0:
            return True
        end = feed + 1
    return False


def is_simple(data: bytes, lines: int, separator: int, width: int) -> bool:
    """Say whether every line is a row of `width` fields, or else `parsed` will fail.

    `data` holds no quotes, has `lines` line feeds and ends with a line end.
    """
    if data.startswith((b"\n", b"\r", BOM)) or not decodable(data):
        return False
    if b"\r" in data and (b"\n\r" in data or data.count(b"\r") != data.count(b"\r\n")):
        return False
    # `parsed` fails at a row that is too long; where none is and the total is right, none is too
    # short or empty.
    return width > 1 and count(data, separator) == lines * (width - 1)


@dataclass(frozen=True)
class RowDialect:
    """How the rows of a text are split into fields."""

    separator: int
    width: int
    """The number of fields of a row."""
    quoted: bool = False


def read_columns(
    data: bytes, shape: RowDialect, places: Mapping[str, int], numbers: Collection[str]
) -> pl.DataFrame | None:
    """Read the columns at these positions; `numbers` are Float64 where all fields are numbers.

    None when polars finds the text malformed.
    """
    if not data:
        return pl.DataFrame(schema=dict.fromkeys(places, pl.String))
    as_numbers = {place for name, place in places.items() if name in numbers}
    frame = _read(data, shape, as_numbers)
    if frame is None:
        return None
    doubtful = _doubtful(frame, as_numbers)
    if doubtful:
        texts = _read(data, shape, (), doubtful)
        frame = frame if texts is None else frame.with_columns(texts.get_columns())
    return frame.select(pl.col(str(place)).alias(name) for name, place in places.items())


def _read(
    data: bytes, shape: RowDialect, numbers: Collection[int], only: Collection[int] | None = None
) -> pl.DataFrame | None:
    """Return columns named by their positions: all of them, or `only` these."""
    schema = {str(i): pl.Float64 if i in numbers else pl.String for i in range(shape.width)}
    try:
        return pl.read_csv(
            data,
            has_header=False,
            schema=schema,
            # In columns that it does not read polars lets rows be too long.
            columns=None if only is None else sorted(only),
            separator=chr(shape.separator),
            quote_char='"' if shape.quoted else None,
            # What is no number becomes null. A row that is too long is an error all the same.
            ignore_errors=True,
        )
    except pl.exceptions.PolarsError:
        return None


def without_odd_rows(
    data: bytes, line: int, rows: RowPositions, width: int, header: bytes
) -> tuple[Flags, tuple[RefusedRow, ...]]:
    """Flag the rows with a field for each column; return the others, without empty lines.

    A row that repeats the `header`, byte for byte, is refused too. `line` is the first row's line.
    """
    problems = {
        ReasonKind.UNDECODABLE: _undecodable(data, rows),
        ReasonKind.UNCLOSED: _flagged(rows, rows.unclosed),
        ReasonKind.STRAY: _flagged(rows, rows.stray),
        ReasonKind.RAGGED: rows.separators != width - 1,
        ReasonKind.HEADER_AGAIN: _again(data, rows, header),
    }
    empty = rows.starts == rows.ends
    wrong = np.logical_or.reduce(list(problems.values()))
    bad = np.flatnonzero(wrong & ~empty)
    broken = tuple(
        RefusedRow(
            line + int(rows.line_offsets[i]),
            "",
            next(problem for problem, flags in problems.items() if flags[i]),
            raw,
            _fields(int(rows.separators[i]) + 1, width),
        )
        for i, raw in zip(bad, raw_texts(data, rows, bad), strict=True)
    )
    return ~(empty | wrong), broken


def rows_text(data: bytes, rows: RowPositions, whole: Flags) -> bytes:
    """Return the text of the flagged rows, with line ends that polars recognises."""
    if len(rows.lone_returns):
        text = np.frombuffer(data, np.uint8).copy()
        text[rows.lone_returns] = ord("\n")
        data = text.tobytes()
    borders = np.flatnonzero(np.diff(whole, prepend=False, append=False))
    stops = np.append(rows.starts, len(data))[borders]
    runs = zip(stops[::2].tolist(), stops[1::2].tolist(), strict=True)
    return data if whole.all() else b"".join(data[start:stop] for start, stop in runs)


def raw_texts(data: bytes, rows: RowPositions, chosen: Places) -> list[str]:
    """Return the texts of the rows at these positions."""
    return [bytes_as_text(data[rows.starts[i] : rows.ends[i]]) for i in chosen]


def from_records(
    records: Sequence[CsvRecord], separator: int, header: Sequence[str], columns: Sequence[str]
) -> Chunk:
    """Return the chunk of rows that the csv module has read."""
    problems = [_problem(record, separator, header) for record in records]
    whole = [record for record, problem in zip(records, problems, strict=True) if not problem]
    positions = {name: place for place, name in enumerate(header)}
    places = {name: positions[name] for name in columns}
    frame = pl.DataFrame(
        {name: [record.fields[place] for record in whole] for name, place in places.items()},
        schema=dict.fromkeys(columns, pl.String),
    )
    broken = tuple(
        RefusedRow(
            record.line,
            "",
            problem,
            bytes_as_text(record.raw),
            _fields(len(record.fields), len(header)),
        )
        for record, problem in zip(records, problems, strict=True)
        if problem
    )
    lines = pl.Series([record.line for record in whole], dtype=pl.Int64)
    return Chunk(frame, lines, lambda chosen: [bytes_as_text(whole[i].raw) for i in chosen], broken)


def decodable(data: bytes) -> bool:
    """Say whether bytes are valid UTF-8."""
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def bytes_as_text(raw: bytes) -> str:
    r"""Return bytes as text; a byte that is not UTF-8 is shown as `\xff`."""
    return raw.decode(errors="backslashreplace")


def _fields(width_given: int, width: int) -> str:
    return "" if width_given == width else f"{width_given} fields where the header has {width}"


def _doubtful(frame: pl.DataFrame, places: Collection[int]) -> set[int]:
    """Return the number columns with a value that is null or not finite: its text says why."""
    names = [str(place) for place in places]
    if not names:
        return set()
    usable = (pl.col(names).null_count() == 0) & pl.col(names).is_finite().all()
    return {int(name) for name, good in frame.select(usable).row(0, named=True).items() if not good}


def _flagged(rows: RowPositions, chosen: Places) -> Flags:
    flags = np.zeros(len(rows.starts), np.bool_)
    flags[chosen] = True
    return flags


def _again(data: bytes, rows: RowPositions, header: bytes) -> Flags:
    flags = np.zeros(len(rows.starts), np.bool_)
    place = data.find(header) if header else -1
    while place >= 0:
        row = int(np.searchsorted(rows.starts, place, side="right")) - 1
        end = place + len(header)
        flags[row] = flags[row] or (rows.starts[row] == place and rows.ends[row] == end)
        place = data.find(header, end)
    return flags


def _undecodable(data: bytes, rows: RowPositions) -> Flags:
    flags = np.zeros(len(rows.starts), np.bool_)
    if decodable(data):
        return flags
    high = np.flatnonzero(np.frombuffer(data, np.uint8) > 0x7F)  # noqa: PLR2004 - beyond ASCII
    for i in np.unique(np.searchsorted(rows.starts, high, side="right") - 1):
        flags[i] = not decodable(data[rows.starts[i] : rows.ends[i]])
    return flags


def _problem(record: CsvRecord, separator: int, header: Sequence[str]) -> str:
    if not decodable(record.raw):
        return ReasonKind.UNDECODABLE
    if not record.closed:
        return ReasonKind.UNCLOSED
    if not regular(record.raw, separator):
        return ReasonKind.STRAY
    if len(record.fields) != len(header):
        return ReasonKind.RAGGED
    return (
        ReasonKind.HEADER_AGAIN
        if [field.strip() for field in record.fields] == list(header)
        else ""
    )
