"""Finds where the rows of delimited text begin, and the character that separates its columns."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from include.errors import FileRefusedError
from include.formats.blocks import bytes_as_text, decodable
from include.formats.parsed_table import HEADER_BYTES, StatedFormat
from include.formats.records import CsvRecord, csv_records
from include.formats.suffixes import SEPARATORS
from include.store.units import MIB
from serving.values.spelling import name_of

_NAMES = {ord("\t"): "a tab"}
_SAID = re.compile(rb'"?sep=([^\w"\r\n])\1*+"?(?:\1| )*+(\r\n|\n|\r|$)', re.IGNORECASE)
"""Excel's own line that states the separator; some programs pad it to the table's width."""
_LOOKED_AT = 100
"""Rows that are tried with each separator."""


@dataclass(frozen=True)
class FileStart:
    """What comes before the rows of a file, and what it states."""

    columns: tuple[str, ...]
    separator: int
    text: str
    """What a file with rows of this one has to begin with."""
    used: int
    """Bytes before the first row."""
    line: int
    """The line of the first row, from 1."""
    header: bytes = b""
    """The header line as it is in the file, without its line end."""


def read_start(text: bytes, stated: StatedFormat) -> FileStart:
    """Read the start of a text without a byte order mark; raises FileRefusedError without header.

    The separator is the one that the file states, else the one with which the target is among the
    columns, or with which there are as many columns as the spec names.
    """
    own_line = _SAID.match(text)
    before = own_line.group() if own_line else b""
    separators = own_line.group(1) if own_line else SEPARATORS
    rows = text[len(before) : len(before) + HEADER_BYTES]
    if stated.columns is None:
        header, separator, used = read_header(rows, stated.target, separators)
    else:
        separator = _separator(rows, separators, stated.columns)
        header, used = _first_record(rows, separator)
        if not _names_columns(header, stated):
            said_anew = f"sep={chr(separator)}\n"
            columns = tuple(map(stated.name_of, stated.columns))
            return FileStart(columns, separator, said_anew, len(before), 1 + bool(before))
    return FileStart(
        tuple(map(stated.name_of, header.fields)),
        separator,
        f"{bytes_as_text(before + header.raw)}\n",
        len(before) + used,
        bool(before) + header.line + len(header.raw.splitlines()),
        header.raw,
    )


def read_header(
    text: bytes, target: str, separators: bytes = SEPARATORS
) -> tuple[CsvRecord, int, int]:
    """Return the header, the separator with which it names the target, and the header's bytes.

    Where the target is not found, it is the separator that makes the most fields.
    """
    readings = [(*_first_record(text, separator), separator) for separator in separators]
    header, used, separator = max(
        readings,
        key=lambda item: (name_of(target) in map(name_of, item[0].fields), len(item[0].fields)),
    )
    _require_whole(header, used)
    return header, separator, used


def _require_whole(header: CsvRecord, used: int) -> None:
    if not header.closed or used >= HEADER_BYTES:
        raise FileRefusedError(
            f"the header is longer than {HEADER_BYTES // MIB} MB, or has a name beyond all measure "
            "or a quote that is never closed"
        )
    if not decodable(header.raw):
        raise FileRefusedError(
            "the header has bytes that are not UTF-8: save the file as UTF-8, or state what it is "
            'under [data] in the spec, such as encoding = "windows-1252"'
        )


def _separator(text: bytes, separators: bytes, names: tuple[str, ...]) -> int:
    """Return the separator that splits the first rows into as many fields as there are names."""
    widths = {
        separator: [len(row.fields) for row in _records(text, separator)]
        for separator in separators
    }
    counts = {separator: row_widths.count(len(names)) for separator, row_widths in widths.items()}
    best = [
        separator
        for separator in separators
        if counts[separator] and counts[separator] == max(counts.values())
    ]
    if not best:
        fields = max((row_widths[0] for row_widths in widths.values() if row_widths), default=0)
        raise FileRefusedError(
            f"the first row has {fields} fields, `data.columns` of the spec names {len(names)}"
        )
    if len(best) > 1:
        marks = " or ".join(_NAMES.get(separator, chr(separator)) for separator in best)
        raise FileRefusedError(
            f"whether {marks} separates the columns cannot be told: state it in a first line such "
            f"as sep={chr(best[0])}"
        )
    return best[0]


def _names_columns(first: CsvRecord, stated: StatedFormat) -> bool:
    """Say whether the first row is a header although the spec names the columns."""
    names = [name_of(name) for name in first.fields]
    if sorted(names) == sorted(map(name_of, stated.columns or ())):
        return True
    if name_of(stated.target) in names:
        raise FileRefusedError(
            "the first line is a header that names other columns than `data.columns` of the spec: "
            "mend the list, or take it out of the spec"
        )
    return False


def _records(text: bytes, separator: int) -> list[CsvRecord]:
    records: list[CsvRecord] = []
    try:
        records += islice(csv_records(text.splitlines(keepends=True), separator, 1), _LOOKED_AT)
    except FileRefusedError:  # a field beyond all measure: reading on will tell its line
        return records
    return records


def _first_record(text: bytes, separator: int) -> tuple[CsvRecord, int]:
    used = 0

    def counted() -> Iterator[bytes]:
        nonlocal used
        for line in text.splitlines(keepends=True):
            used += len(line)
            yield line

    try:
        header = next(csv_records(counted(), separator, 1), None)
    except FileRefusedError:  # a field beyond all measure: what has none is no separator here
        return CsvRecord(1, [], text[:used], closed=False), used
    if header is None:
        raise FileRefusedError(
            "the file is empty: a header line was expected"
            if len(text) < HEADER_BYTES
            else f"the first {HEADER_BYTES // MIB} MB are empty lines: a header line was expected"
        )
    return header, used
