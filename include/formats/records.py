"""The rows of delimited text as Python's csv module reads them, which defines what a text means."""

import csv
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from include.errors import FileRefusedError
from include.formats.parsed_table import LONGEST_ROW_BYTES
from include.store.units import MIB

LONGEST_FIELD = 131_072
"""Characters of a field: the csv module's own limit. An unclosed quote makes the rest of a file one
field."""
_WINDOW = MIB
_EMPTY = frozenset({b"\n", b"\r", b"\r\n"})
# Given to the csv module after the last line: within an open quote it ends up in a field, which
# shows that the quote was never closed.
_END = "\0end of the file\0"


class CsvRecord(NamedTuple):
    """A row as the csv module reads it."""

    line: int
    fields: list[str]
    raw: bytes
    closed: bool
    """Whether its last quote was closed."""


def csv_records(lines: Iterable[bytes], separator: int, line: int) -> Iterator[CsvRecord]:
    """Yield the rows of lines that start with a row, without empty ones; `line` is the first's.

    Raises FileRefusedError for a field longer than LONGEST_FIELD.
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
            if fields and raw:  # not the end itself
                yield CsvRecord(first, fields, _chomped(raw), not fields[-1].endswith(_END))
    except csv.Error as error:
        raise FileRefusedError(f"line {first}: not CSV: {error}") from error


def split_lines(pieces: Iterable[bytes], line: int = 1) -> Iterator[bytes]:
    """Yield lines with their ends: LF, CRLF or a lone CR. `line` is the number of the first."""
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
    """Return the refusal of a file with a row of more than LONGEST_ROW_BYTES."""
    return FileRefusedError(
        f"line {line}: a row is longer than {LONGEST_ROW_BYTES // MIB} MB: a quote is never "
        "closed, or this is no text with a row a line"
    )


def _chomped(raw: bytes) -> bytes:
    return (
        raw.removesuffix(b"\n").removesuffix(b"\r")
        if raw.endswith(b"\n")
        else raw.removesuffix(b"\r")
    )
