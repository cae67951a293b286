"""JSON lines, one object a line; values are read as the texts that a CSV file would hold."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

import polars as pl

from include.errors import FileRefusedError
from include.formats.blocks import bytes_as_text, decodable
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
from include.records.refusal_reasons import ReasonKind
from include.store.units import MIB
from include.text.encodings import BOM
from include.text.showable import showable_name

_REPEATED: list[Any] = []
"""Stands for an object with two keys of one name."""
_NESTED_VALUE = "{...}"
"""Stands for an object or a list; told from a text by being this very string."""
MOST_CELLS = 1 << 22
"""Values read at a time: a key that most objects leave out is a value in each row all the same."""
MOST_CELLS_PER_BYTE = 100
"""Beyond MOST_CELLS, the values that a byte of the file may stand for, absent keys counted."""
Fields = dict[str, str | None]
"""The values of an object as texts, by key."""
_LINE = re.compile(rb"[^\r\n]+")
_WINDOW = MIB


@dataclass(frozen=True)
class _Nested:
    """An object with another one, or a list, in a column that is read."""

    column: str


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
        self._nested: set[str] = set()
        self._cells = self._bytes = 0
        self._first: list[tuple[int, bytes]] | None = self._some(min(size, FIRST_BLOCK_BYTES))
        if not self._first:
            raise FileRefusedError("the file is empty: a JSON object in each line was expected")
        objects = [self._object(text) for _, text in self._first]
        readable = [fields for fields in objects if not isinstance(fields, str)]
        self.columns = tuple(dict.fromkeys(key for fields in readable for key in fields))
        if not readable and ReasonKind.TWICE in objects:
            raise FileRefusedError("every object at the start of the file has two keys of one name")
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

    def all_columns(self) -> tuple[str, ...]:
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
        objects = [(line, text, self._object(text)) for line, text in lines]
        odd = {self._stated.name_of(key) for key in self._nested}.intersection(columns)
        judged = [(line, text, _flat(fields, odd)) for line, text, fields in objects]
        whole = [(at, text, fields) for at, text, fields in judged if isinstance(fields, dict)]
        if not whole and odd:
            raise _every_nested(lines[0][0], sorted(odd))
        frame = pl.DataFrame(
            {name: [fields.get(name) for _, _, fields in whole] for name in columns},
            schema=dict.fromkeys(columns, pl.String),
        )
        broken = tuple(
            RefusedRow(line, *_place(fields), bytes_as_text(text))
            for line, text, fields in judged
            if not isinstance(fields, dict)
        )
        numbers = pl.Series([line for line, _, _ in whole], dtype=pl.Int64)
        return Chunk(
            frame, numbers, lambda chosen: [bytes_as_text(whole[i][1]) for i in chosen], broken
        )

    def _object(self, text: bytes) -> Fields | str:
        """Return an object's values as texts by the names of their columns, or why it is none."""
        fields = _object(text, self._nested)
        # Nearly every object has the keys of the one before, spelled as they should be.
        if isinstance(fields, str) or fields.keys() <= self._names:
            return fields
        named = {self._stated.name_of(key): value for key, value in fields.items()}
        if len(named) < len(fields):
            return ReasonKind.TWICE
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


def _flat(fields: Fields | str, odd: Collection[str]) -> Fields | str | _Nested:
    """Return an object, or the first of some columns in which it holds another one or a list."""
    if isinstance(fields, str):
        return fields
    column = next((name for name in odd if fields.get(name) is _NESTED_VALUE), None)
    return fields if column is None else _Nested(column)


def _place(problem: str | _Nested) -> tuple[str, str]:
    """Return the column that a line is refused for, empty for all of it, and the reason."""
    return ("", problem) if isinstance(problem, str) else (problem.column, ReasonKind.NESTED)


def _every_nested(line: int, columns: Sequence[str]) -> FileRefusedError:
    names = ", ".join(map(showable_name, columns))
    return FileRefusedError(
        f"every object from line {line} on holds another one or a list in {names}: write what is "
        "in it as keys of its own, or list it in `exclude`"
    )


def _object(text: bytes, nested: set[str]) -> Fields | str:
    """Return an object's values as texts, or why the line is none; `nested` gets nested keys."""
    if not decodable(text):
        return ReasonKind.UNDECODABLE
    line = text.decode("utf-8-sig")
    try:
        values = _PLAIN_DECODER.decode(line)
        if _is_plain(values, line):
            return cast("Fields", values)
        values = _CAREFUL_DECODER.decode(line)
    except (ValueError, RecursionError):
        return ReasonKind.NOT_JSON
    if values is _REPEATED:
        return ReasonKind.TWICE
    return _texts(values, nested) if isinstance(values, dict) else ReasonKind.NOT_JSON


def _is_plain(values: Any, line: str) -> bool:
    """Say whether a line is an object whose values need no more than having been decoded.

    Nearly every line is one. It has texts, numbers and nulls alone, no escape, which may stand for
    a lone surrogate, and as many colons as keys: of two keys of one name only one would be left.
    """
    return (
        isinstance(values, dict)
        and {str, type(None)}.issuperset(map(type, values.values()))
        and line.count(":") == len(values)
        and "\\" not in line
    )


def _with_single_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any] | list[Any]:
    """Return the values of an object by key, `_REPEATED` where one key has two."""
    values = dict(pairs)
    return values if len(values) == len(pairs) else _REPEATED


# As texts, numbers keep the digits that they are written with.
_AS_TEXTS: Mapping[str, Any] = {"parse_int": str, "parse_float": str, "parse_constant": str}
_PLAIN_DECODER = json.JSONDecoder(**_AS_TEXTS)
_CAREFUL_DECODER = json.JSONDecoder(object_pairs_hook=_with_single_keys, **_AS_TEXTS)


def _texts(values: dict[str, Any], nested: set[str]) -> Fields | str:
    """Return the values as texts, a nested one as `_NESTED_VALUE`, or why the line is none."""
    fields: Fields = {}
    for key, value in values.items():
        text = str(value).lower() if isinstance(value, bool) else value
        if isinstance(value, dict | list):
            text = _NESTED_VALUE
            nested.add(key)
        # JSON can escape lone surrogates, which no text can hold.
        if not _writable(key) or (text is not None and not _writable(text)):
            return ReasonKind.UNDECODABLE
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
