"""JSON lines, one object a line; values are read as the texts that a CSV file would hold."""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Any

import polars as pl

from include.errors import FileRefusedError
from include.formats.blocks import UNDECODABLE, bytes_as_text, decodable
from include.formats.parsed_table import (
    FIRST_BLOCK_BYTES,
    LONGEST_ROW_BYTES,
    MOST_COLUMNS,
    OBJECT_BYTES,
    OBJECT_SHARE,
    Chunk,
    RefusedRow,
    StatedFormat,
    require_few_columns,
)
from include.formats.records import too_long
from include.text.encodings import BOM

NOT_JSON = "not JSON"
NESTED = "a nested value"
TWICE = "two keys of one name"
MOST_CELLS = 1 << 22
"""Values read at a time: a key that most objects leave out is a value in each row all the same."""
MOST_CELLS_PER_BYTE = 100
"""Beyond MOST_CELLS, the values that a byte of the file may stand for, absent keys counted."""
Fields = dict[str, str | None]
"""The values of an object as texts, by key."""
_LINE = re.compile(rb"[^\r\n]+")
_WINDOW = 1 << 20


class JsonLinesTable:
    """A `ParsedTable` of JSON lines; its columns are the keys of its first chunk."""

    kinds = None
    start = None
    separator = None

    def __init__(self, pieces: Iterator[bytes], stated: StatedFormat, size: int) -> None:
        """Read the first lines; raises FileRefusedError when none of them is an object."""
        self._lines = _numbered(_without_mark(pieces))
        self._size, self._stated = size, stated
        self._names: set[str] = set()
        self._cells = self._bytes = 0
        self._first: list[tuple[int, bytes]] | None = self._some(min(size, FIRST_BLOCK_BYTES))
        if not self._first:
            raise FileRefusedError("the file is empty: a JSON object in each line was expected")
        objects = [self._object(text) for _, text in self._first]
        readable = [fields for fields in objects if not isinstance(fields, str)]
        self.columns = tuple(dict.fromkeys(key for fields in readable for key in fields))
        if NESTED in objects and not readable:
            raise FileRefusedError(
                "every object at the start of the file holds another one or a list: write what is "
                "in it as keys of its own"
            )
        if not readable:
            document = self._first[0][1].startswith((b"{", b"["))
            raise FileRefusedError(
                "no line at the start of the file is a JSON object"
                + (": write each object in a line of its own" if document else "")
            )

    def has(self, column: str) -> bool:
        """Return True for any key: it may appear late in the file."""
        del column
        return True

    def every_key(self) -> tuple[str, ...]:
        """Read to the end and return the keys of all objects; the table is exhausted then."""
        keys = dict.fromkeys(self.columns)
        self._first = None
        while lines := self._some(self._size):
            for _, text in lines:
                fields = self._object(text)
                if not isinstance(fields, str) and not fields.keys() <= keys.keys():
                    keys |= dict.fromkeys(fields)
                    require_few_columns(len(keys))
        return tuple(keys)

    def read(self, columns: Sequence[str], numbers: Collection[str]) -> Chunk | None:
        """Return the next rows, all as text, None at the end."""
        del numbers
        rows = max(1, MOST_CELLS // len(columns))
        lines = self._next(rows)
        self._require_dense(lines, len(columns))
        if len(lines) > rows:
            self._lines = chain(lines[rows:], self._lines)
        return self._chunk(lines[:rows], columns) if lines else None

    def _chunk(self, lines: Sequence[tuple[int, bytes]], columns: Sequence[str]) -> Chunk:
        judged = [(line, text, self._object(text)) for line, text in lines]
        whole = [(at, text, fields) for at, text, fields in judged if not isinstance(fields, str)]
        frame = pl.DataFrame(
            {name: [fields.get(name) for _, _, fields in whole] for name in columns},
            schema=dict.fromkeys(columns, pl.String),
        )
        broken = tuple(
            RefusedRow(line, "", fields, bytes_as_text(text))
            for line, text, fields in judged
            if isinstance(fields, str)
        )
        numbers = pl.Series([line for line, _, _ in whole], dtype=pl.Int64)
        return Chunk(
            frame, numbers, lambda chosen: [bytes_as_text(whole[i][1]) for i in chosen], broken
        )

    def _object(self, text: bytes) -> Fields | str:
        """Return an object's values as texts by the names of their columns, or why it is none."""
        fields = _object(text)
        # Nearly every object has the keys of the one before, spelled as they should be.
        if isinstance(fields, str) or fields.keys() <= self._names:
            return fields
        named = {self._stated.name_of(key): value for key, value in fields.items()}
        if len(named) < len(fields):
            return TWICE
        if len(self._names) < MOST_COLUMNS:
            self._names |= named.keys()
        return named

    def texts(self, lines: Collection[int]) -> Iterator[tuple[int, str]]:
        """Yield line and raw text of the rows ahead that are on these lines."""
        while batch := self._next():
            yield from ((line, bytes_as_text(text)) for line, text in batch if line in lines)

    def _next(self, rows: int | None = None) -> list[tuple[int, bytes]]:
        """Return the lines that gave the columns, all of them, then at most `rows` of the next."""
        first, self._first = self._first, None
        return first or self._some(self._size, rows)

    def _require_dense(self, lines: Sequence[tuple[int, bytes]], columns: int) -> None:
        """Refuse objects that leave out nearly all keys: an absent value takes memory too."""
        self._bytes += sum(len(text) for _, text in lines)
        self._cells += len(lines) * columns
        if self._cells > max(MOST_CELLS, MOST_CELLS_PER_BYTE * self._bytes):
            raise FileRefusedError(
                f"the objects have hardly any of the {columns} keys that are read, as no table "
                "does: if it is one, send it as Parquet, or `exclude` some in the spec"
            )

    def _some(self, size: int, rows: int | None = None) -> list[tuple[int, bytes]]:
        """Return the next lines that are not empty, each with its number."""
        taken: list[tuple[int, bytes]] = []
        length = 0
        for line, text in self._lines:
            if bare := text.strip():
                taken.append((line, bare))
                length += len(text) + OBJECT_BYTES
                if length * OBJECT_SHARE >= size or len(taken) == rows:
                    break
        return taken


def _object(text: bytes) -> Fields | str:
    """Return an object's values as texts, or why the line is none."""
    if not decodable(text):
        return UNDECODABLE
    try:
        # As texts, numbers keep the digits that they are written with.
        value = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return NOT_JSON
    if not isinstance(value, dict):
        return NOT_JSON
    return _texts(value)


def _texts(values: dict[str, Any]) -> Fields | str:
    fields: Fields = {}
    for key, value in values.items():
        if isinstance(value, dict | list):
            return NESTED
        text = str(value).lower() if isinstance(value, bool) else value
        # JSON can escape lone surrogates, which no text can hold.
        if not _writable(key) or (text is not None and not _writable(text)):
            return UNDECODABLE
        fields[key] = text
    return fields


def _writable(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _without_mark(pieces: Iterator[bytes]) -> Iterator[bytes]:
    start = b""
    for piece in pieces:
        start += piece
        if len(start) >= len(BOM):
            yield start.removeprefix(BOM)
            break
    else:
        yield start
    yield from pieces


def _numbered(pieces: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not empty, each with its number."""
    held, line = b"", 1
    for piece in pieces:
        for start in range(0, len(piece), _WINDOW):
            held += piece[start : start + _WINDOW]
            # A carriage return at the end may be half of CRLF: the next byte tells.
            end = max(held.rfind(b"\n"), held.rfind(b"\r", 0, len(held) - 1)) + 1
            yield from _lines_of(held[:end], line)
            line += _line_ends(held[:end])
            held = held[end:]
            if len(held) > LONGEST_ROW_BYTES:
                raise too_long(line)
    yield from _lines_of(held, line)


def _lines_of(text: bytes, line: int) -> Iterator[tuple[int, bytes]]:
    end = 0
    for match in _LINE.finditer(text):
        line += _line_ends(text[end : match.start()])
        end = match.end()
        yield line, match.group()


def _line_ends(text: bytes) -> int:
    if len(text) <= 1:
        return len(text)
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")
