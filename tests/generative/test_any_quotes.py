"""Quoted, half-quoted and broken rows are the same rows, read at once or by the csv module."""

import io
import random
from collections.abc import Iterator
from typing import Any

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from include.errors import FileRefusedError
from include.formats.blocks import from_records
from include.formats.marks import regular
from include.formats.opening import open_table
from include.formats.parsed_table import Chunk, StatedFormat
from include.formats.records import csv_records

COLUMNS = ("a", "b", "y")
PLAIN = st.sampled_from(["", "1", "-2.5", "x", " 3 ", "\u00e9t\u00e9"])
QUOTED = st.sampled_from(['""', '"1"', '"x|y"', '"x;y,z"', '"\t"', '""""', '"a ""b"" c"'])
LONG = st.sampled_from(['"1\n2"', '"1\r\n2\r\n"', '"\n"', '"\r"', '"x\n,;|\n"""'])
BROKEN = st.sampled_from(['a"b', '"a"b', '"a" ', ' "a"', '"', '"a', 'a"', '"a"""b', '""a', "\xff"])
REGULAR = st.one_of(PLAIN, QUOTED, QUOTED, LONG)
ROW = st.one_of(
    st.lists(QUOTED, min_size=3, max_size=3),
    st.lists(REGULAR, min_size=3, max_size=3),
    st.lists(st.one_of(REGULAR, BROKEN), min_size=3, max_size=3),
    st.lists(st.one_of(REGULAR, BROKEN), max_size=5),
)
Rows = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]] | str


def of_chunks(chunks: Iterator[Chunk]) -> Rows:
    """Return the rows with their lines, and the bad ones; or why the file is refused."""
    rows: list[tuple[Any, ...]] = []
    broken: list[tuple[Any, ...]] = []
    try:
        for chunk in chunks:
            texts = chunk.frame.select(pl.all().cast(pl.String).fill_null(""))
            raw = chunk.raw(range(texts.height))
            rows += zip(chunk.lines, raw, texts.iter_rows(), strict=True)
            broken += [(row.line, row.reason, row.raw, row.cell) for row in chunk.broken]
    except FileRefusedError as error:
        return str(error)
    return rows, broken


def in_blocks(content: bytes, size: int) -> Rows:
    """Read a file as every delivery is read, so many bytes at a time."""
    table = open_table(io.BytesIO(content), "x.csv", StatedFormat("y"), size)
    return of_chunks(iter(lambda: table.read(COLUMNS, ()), None))


def by_the_csv_module(body: bytes, separator: int) -> Rows:
    """Read what follows a header with the csv module."""

    def chunks() -> Iterator[Chunk]:
        records = list(csv_records(body.splitlines(keepends=True), separator, 2))
        yield from_records(records, separator, COLUMNS, COLUMNS)

    return of_chunks(chunks())


def delivered(rows: list[list[str]], separator: str, end: str, seed: int, count: int) -> bytes:
    """Return many rows of a few kinds, the first the most frequent; the last without its end."""
    order = random.Random(seed).choices(
        rows, [4.0 ** -min(place, 6) for place in range(len(rows))], k=count
    )
    return end.join(separator.join(row) for row in order).encode().replace("\xff".encode(), b"\xff")


BODIES = st.builds(
    delivered,
    st.lists(ROW, min_size=1, max_size=6),
    st.shared(st.sampled_from(",;\t|"), key="separator"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(0, 100),
    st.sampled_from([1, 2, 5, 30, 300, 3000]),
)
MARK = b"\xef\xbb\xbf"
STRAY = b'"1","x"y,"0"\n"1",x"y,"0"\n'


@given(BODIES, st.shared(st.sampled_from(",;\t|"), key="separator"), st.sampled_from([b"", MARK]))
@example(b'"1","2","0"\n' * 5000 + b'"1","2"x,"0"\n' + b'"1","2","0"\n' * 5000, ",", b"")
@example(b'"1","2","0"\n' * 5000 + b'"1,"2","0"\n' + b'"1","2","0"\n' * 5000, ",", b"")
@example(STRAY * 3000, ",", b"")
@example(b'"1","x\ny","0"\n' * 3000 + STRAY + b'"1","x\ny","0', ",", MARK)
def test_rows_with_quotes_are_what_the_csv_module_reads(
    body: bytes, separator: str, mark: bytes
) -> None:
    """Rows, bad rows with their reasons, line numbers and raw texts, in blocks of any size."""
    header = mark + separator.join(COLUMNS).encode() + b"\n"
    expected = by_the_csv_module(body, ord(separator))
    for size in (50, 5_000, 1 << 20) if len(body) < 20_000 else (1 << 15, 1 << 20):
        assert in_blocks(header + body, size) == expected


@given(st.text('",\n\ra', max_size=12).map(str.encode))
def test_a_quote_is_regular_where_its_field_reads_back_as_written(row: bytes) -> None:
    """What is regular has one reading: quotes around whole fields, and doubled ones inside."""
    is_open, is_start, quotes_are_regular = False, True, True
    text = row + b"\n"
    place = 0
    while place < len(row):
        byte, following = text[place : place + 1], text[place + 1 : place + 2]
        if byte == b'"' and is_open and following == b'"' and place + 1 < len(row):
            place += 1
        elif byte == b'"' and is_open:
            is_open = False
            quotes_are_regular &= following in b",\n\r"
        elif byte == b'"':
            quotes_are_regular &= is_start
            is_open = True
        is_start = not is_open and byte in b",\n\r"
        place += 1
    assert regular(row, ord(",")) == (quotes_are_regular and not is_open)
