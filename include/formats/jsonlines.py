"""JSON lines: an object a line; its values are read as the text they would have in a CSV."""

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import polars as pl

from include.errors import FileRefusedError
from include.formats.blocks import UNDECODABLE, decodable, shown
from include.formats.records import split_lines
from include.formats.table import BOM, FIRST_BLOCK_BYTES, Chunk, RefusedRow

NOT_JSON = "not JSON"
NESTED = "a nested value"
Fields = dict[str, str | None]
# Python objects take several times the memory of their text.
_SHARE = 8


class JsonLinesTable:
    """A `Table` of JSON lines; its columns are the keys of its first chunk."""

    kinds = None

    def __init__(self, pieces: Iterator[bytes], size: int) -> None:
        """Read the first lines; FileRefusedError when no object is among them."""
        self._lines = enumerate(_without_mark(split_lines(pieces)), 1)
        self._size = size
        self._first: list[tuple[int, bytes]] | None = self._some(min(size, FIRST_BLOCK_BYTES))
        if not self._first:
            raise FileRefusedError("the file is empty: a JSON object in each line was expected")
        objects = [_object(text) for _, text in self._first]
        found = [one for one in objects if not isinstance(one, str)]
        self.columns = tuple(dict.fromkeys(key for one in found for key in one))
        if not found:
            raise FileRefusedError("no line at the start of the file is a JSON object")

    def read(self, columns: Sequence[str], numbers: Collection[str]) -> Chunk | None:
        """Return the next rows, all as text, None at the end."""
        del numbers
        lines, self._first = self._first, None
        lines = lines or self._some(self._size)
        return _chunk(lines, columns) if lines else None

    def texts(self, lines: Collection[int]) -> Iterator[tuple[int, str]]:
        """Yield line and raw text of the rows ahead that stand in these lines."""
        while batch := self._first or self._some(self._size):
            self._first = None
            yield from ((line, shown(text)) for line, text in batch if line in lines)

    def _some(self, size: int) -> list[tuple[int, bytes]]:
        """Return the next lines that are not empty, each with its number."""
        taken: list[tuple[int, bytes]] = []
        length = 0
        for line, text in self._lines:
            if bare := text.strip():
                taken.append((line, bare))
                length += len(text)
                if length * _SHARE >= size:
                    break
        return taken


def _chunk(lines: Sequence[tuple[int, bytes]], columns: Sequence[str]) -> Chunk:
    judged = [(line, text, _object(text)) for line, text in lines]
    whole = [(line, text, one) for line, text, one in judged if not isinstance(one, str)]
    frame = pl.DataFrame(
        {name: [one.get(name) for _, _, one in whole] for name in columns},
        schema=dict.fromkeys(columns, pl.String),
    )
    broken = tuple(
        RefusedRow(line, "", one, shown(text)) for line, text, one in judged if isinstance(one, str)
    )
    numbers = pl.Series([line for line, _, _ in whole], dtype=pl.Int64)
    return Chunk(frame, numbers, lambda chosen: [shown(whole[i][1]) for i in chosen], broken)


def _object(text: bytes) -> Fields | str:
    """Return an object's values as text, or why the line is none."""
    if not decodable(text):
        return UNDECODABLE
    try:
        # Numbers keep the digits they are written with.
        found = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return NOT_JSON
    if not isinstance(found, dict):
        return NOT_JSON
    return _texts(found)


def _texts(found: dict[str, Any]) -> Fields | str:
    fields: Fields = {}
    for key, value in found.items():
        if isinstance(value, dict | list):
            return NESTED
        text = str(int(value)) if isinstance(value, bool) else value
        # JSON can escape halves of characters, which no text can hold.
        if not _writable(key) or (text is not None and not _writable(text)):
            return UNDECODABLE
        fields[key] = text
    return fields


def _writable(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _without_mark(lines: Iterator[bytes]) -> Iterator[bytes]:
    for place, line in enumerate(lines):
        yield line.removeprefix(BOM) if place == 0 else line
